"""Write one part of an output as records."""

from jetmill.balancing.selection import PartSpec
from jetmill.jobs import job
from jetmill.stages.write_structured import write_structured
from jetmill.writing.content import Content

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    write_structured(
        PartSpec.from_batch_list(given.batches, snakemake.wildcards.output, params.slice_of_keys, params.batches),
        given.balance,
        given.scalers,
        snakemake.output[0],
        content=Content(**params.content),
        compression=params.compression,
    )
