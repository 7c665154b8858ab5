"""Draw the cutflow of constituents."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.plot_constituents import plot_constituents
from jetmill.workflow.jobs import job

with job(snakemake):
    plot_constituents(read_batch_list(snakemake.input[0]), snakemake.output[0])
