"""Join the parts of each output into one file."""

from jetmill.jobs import job
from jetmill.stages.index import write_index

with job(snakemake):
    params = snakemake.params
    for output, path in snakemake.output.items():
        parts = snakemake.input.get(output)
        write_index(parts, path, merge=params.merge, compression=params.compression, attributes=params.attributes)
