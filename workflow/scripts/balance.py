"""Decide weights and quotas from the counts of all batches."""

from types import SimpleNamespace

from jetmill.columns.batch_list import read_batch_list
from jetmill.jobs import job
from jetmill.stages.balance import balance

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    resampling = SimpleNamespace(**params.resampling)
    resampling.components = [SimpleNamespace(**component) for component in resampling.components]
    listed = read_batch_list(given.batches)
    balance(
        [(batch.sample, batch.path) for batch in listed],
        given.bins,
        snakemake.output[0],
        bins=params.bins,
        classes=params.classes,
        samples=params.samples,
        weights=params.weights,
        weight_columns=params.weight_columns,
        resampling=resampling,
        strict=params.strict,
        types=listed[0].types,
    )
