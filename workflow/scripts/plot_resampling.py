"""Draw what resampling did."""

from jetmill.jobs import job
from jetmill.stages.plot_resampling import plot_resampling

with job(snakemake):
    plot_resampling(snakemake.input.balance, snakemake.output[0], output=snakemake.wildcards.output)
