"""Merge the moments of all ranges into the scalers."""

from jetmill.logs import job_log
from jetmill.stages.merge_scalers import merge_scalers

with job_log(snakemake.log[0]):
    merge_scalers(
        snakemake.input,
        snakemake.output.scalers,
        snakemake.output.scale_dict,
        snakemake.output.norm_dict,
        default_offset=snakemake.params.default_offset,
        defaults=snakemake.params.defaults,
        strict=snakemake.params.strict,
    )
