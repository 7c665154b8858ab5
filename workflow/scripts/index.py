"""Join the parts of a split into one file."""

from jetmill.logs import job_log
from jetmill.stages.index import write_index

with job_log(snakemake.log[0]):
    write_index(snakemake.input, snakemake.output[0], merge=snakemake.params.merge)
