"""Draw what is left of constituents."""

from jetmill.batch_list import read_batch_list
from jetmill.logs import job_log
from jetmill.stages.plot_constituents import plot_constituents

with job_log(snakemake.log[0]):
    plot_constituents(read_batch_list(snakemake.input[0]), snakemake.output[0])
