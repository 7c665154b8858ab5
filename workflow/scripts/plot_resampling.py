"""Draw what resampling did."""

from jetmill.logs import job_log
from jetmill.stages.plot_resampling import plot_resampling

with job_log(snakemake.log[0]):
    plot_resampling(snakemake.input.balance, snakemake.output[0], output=snakemake.wildcards.output)
