"""Write one part of an output."""

from jetmill.content import Content
from jetmill.logs import job_log
from jetmill.picking import PartOf
from jetmill.stages.write import write_part

with job_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    write_part(
        PartOf.of(given.batches, snakemake.wildcards.output, params.slice_of_keys, params.batches),
        given.balance,
        given.scalers,
        snakemake.output[0],
        content=Content(**params.content),
        compression=params.compression,
    )
