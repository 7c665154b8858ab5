"""List the cleaned batches and what each holds."""

from jetmill.logs import job_log
from jetmill.stages.list_batches import list_batches

with job_log(snakemake.log[0]):
    list_batches(snakemake.input, snakemake.output[0])
