"""List the cleaned batches and what each holds."""

from jetmill.stages.list_batches import list_batches
from jetmill.workflow.jobs import job

with job(snakemake):
    list_batches(snakemake.input, dict(zip(snakemake.output, snakemake.params.groups, strict=True)))
