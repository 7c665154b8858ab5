"""Join the parts of a split into one file."""

from jetmill.layout import write_index
from jetmill.logs import job_log

with job_log(snakemake.log[0]):
    write_index(snakemake.input, snakemake.output[0], merge=snakemake.params.merge)
