"""List the cleaned batches and what each holds."""

from jetmill.jobs import job
from jetmill.stages.list_batches import list_batches

with job(snakemake):
    list_batches(snakemake.input, snakemake.output[0])
