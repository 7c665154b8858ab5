"""Decide weights and quotas from the counts of all batches."""

from jetmill.logs import job_log
from jetmill.stages.balance import balance

with job_log(snakemake.log[0]):
    params = snakemake.params
    balance(
        dict(zip(params.batches, snakemake.input)),
        snakemake.output[0],
        bins=params.bins,
        classes=params.classes,
        weights=params.weights,
        resampling=params.resampling,
        strict=params.strict,
        seed=params.seed,
    )
