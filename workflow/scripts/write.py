"""Write one part of a split."""

from jetmill.logs import job_log
from jetmill.stages.write import PartOf, write_part

with job_log(snakemake.log[0]):
    number, n_parts = snakemake.params.slice_of_keys
    batches = list(zip(snakemake.params.names, snakemake.input.batches, snakemake.input.bins))
    write_part(
        PartOf(snakemake.wildcards.split, number, n_parts, batches),
        snakemake.input.balance,
        snakemake.input.scalers,
        snakemake.output[0],
        samples=snakemake.params.samples,
        precision=snakemake.params.precision,
    )
