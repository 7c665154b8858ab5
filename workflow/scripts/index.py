"""Join the parts of an output into one file."""

from jetmill.logs import job_log
from jetmill.stages.index import write_index

with job_log(snakemake.log[0]):
    params = snakemake.params
    write_index(
        snakemake.input,
        snakemake.output[0],
        merge=params.merge,
        compression=params.compression,
        attributes=params.attributes,
    )
