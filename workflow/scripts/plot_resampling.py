"""Draw the effect of resampling."""

from jetmill.stages.plot_resampling import plot_resampling
from jetmill.workflow.jobs import job

with job(snakemake):
    plot_resampling(snakemake.input.balance, snakemake.output[0], output=snakemake.wildcards.output)
