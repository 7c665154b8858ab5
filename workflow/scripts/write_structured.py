"""Write one part of an output as records."""

from jetmill.content import Content
from jetmill.logs import job_log
from jetmill.picking import PartOf
from jetmill.stages.write_structured import write_structured

with job_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    write_structured(
        PartOf.of(given.batches, snakemake.wildcards.output, params.slice_of_keys, params.batches),
        given.balance,
        given.scalers,
        snakemake.output[0],
        content=Content(**params.content),
        compression=params.compression,
    )
