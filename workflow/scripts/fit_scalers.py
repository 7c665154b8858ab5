"""Go through one range of variables."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.workflow.jobs import job

with job(snakemake):
    batches = read_batch_list(snakemake.input.batches)
    balance = snakemake.input.balance or None
    fit_scalers(batches, snakemake.output[0], snakemake.params.settings, balance_path=balance)
