"""Merge the statistics of all ranges into the scalers."""

from jetmill.stages.merge_scalers import merge_scalers
from jetmill.workflow.jobs import job

with job(snakemake):
    merge_scalers(snakemake.input, snakemake.output[0], snakemake.params.settings)
