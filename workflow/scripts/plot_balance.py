"""Draw the cutflow and the balancing histogram."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.plot_balance import plot_balance
from jetmill.workflow.jobs import job

with job(snakemake):
    plot_balance(
        read_batch_list(snakemake.input.batches),
        snakemake.input.balance,
        snakemake.output.cutflow,
        snakemake.output.classes,
        snakemake.output.get("spectra"),
        snakemake.output.get("maps"),
    )
