"""Draw what is left of constituents."""

from jetmill.logs import job_log
from jetmill.stages.plot_constituents import plot_constituents

with job_log(snakemake.log[0]):
    plot_constituents(snakemake.input, snakemake.output[0])
