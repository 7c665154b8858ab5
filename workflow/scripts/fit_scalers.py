"""Go through one range of variables."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.workflow.jobs import job

with job(snakemake):
    listed = read_batch_list(snakemake.input.batches)
    fit_scalers(
        [(batch.sample, batch.path) for batch in listed],
        snakemake.output[0],
        snakemake.params.settings,
        balance_path=snakemake.input.balance or None,
        types=listed[0].types,
    )
