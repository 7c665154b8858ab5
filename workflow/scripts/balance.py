"""Decide weights and quotas from the counts of all batches."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.balance import balance
from jetmill.workflow.jobs import job

with job(snakemake):
    given = snakemake.input
    listed = read_batch_list(given.batches)
    batches = [(batch.sample, batch.path) for batch in listed]
    balance(batches, given.bins, snakemake.output[0], snakemake.params.settings, types=listed[0].types)
