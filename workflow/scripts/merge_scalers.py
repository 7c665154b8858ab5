"""Merge the statistics of all ranges into the scalers."""

from types import SimpleNamespace

from jetmill.jobs import job
from jetmill.stages.merge_scalers import merge_scalers

with job(snakemake):
    settings = {of: SimpleNamespace(**s) for of, s in snakemake.params.settings.items()}
    merge_scalers(snakemake.input, snakemake.output[0], settings=settings, strict=snakemake.params.strict)
