"""Decide weights and quotas from the counts of all batches."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.balance import balance
from jetmill.workflow.jobs import job

with job(snakemake):
    batches = read_batch_list(snakemake.input.batches)
    balance(batches, snakemake.input.bins, snakemake.output[0], snakemake.params.settings)
