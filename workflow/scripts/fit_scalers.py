"""Go through one range of variables."""

from types import SimpleNamespace

from jetmill.columns.batch_list import read_batch_list
from jetmill.jobs import job
from jetmill.stages.fit_scalers import fit_scalers

with job(snakemake):
    of, variables = snakemake.params.range
    settings = SimpleNamespace(**snakemake.params.settings)
    listed = read_batch_list(snakemake.input.batches)
    fit_scalers(
        [(batch.sample, batch.path) for batch in listed],
        snakemake.output[0],
        of=of,
        variables=variables,
        settings=settings,
        balance_path=snakemake.input.balance or None,
        types=listed[0].types,
    )
