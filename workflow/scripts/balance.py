"""Decide weights and quotas from the counts of all batches."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.balance import balance
from jetmill.workflow.jobs import job

with job(snakemake):
    batches = read_batch_list(snakemake.input.batches)
    bins, (output,), settings = snakemake.input.bins, snakemake.output, snakemake.params.settings
    balance(batches, bins, output, settings, applied=next(iter(snakemake.input.applied), None))
