"""Draw cleaning and balance."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.plot_balance import plot_balance
from jetmill.workflow.jobs import job

with job(snakemake):
    given = snakemake.input
    plot_balance(read_batch_list(given.batches), given.balance, snakemake.output[0], snakemake.params.figures)
