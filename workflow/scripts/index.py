"""Join the parts of each output into one file."""

from jetmill.logs import job_log
from jetmill.stages.index import write_index

with job_log(snakemake.log[0]):
    params = snakemake.params
    for output, path in snakemake.output.items():
        parts = snakemake.input.get(output)
        write_index(parts, path, merge=params.merge, compression=params.compression, attributes=params.attributes)
