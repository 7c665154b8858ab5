"""Clean one batch of input files."""

from jetmill.stages.clean import clean_batch
from jetmill.workflow.jobs import job

with job(snakemake):
    clean_batch(snakemake.params.batch, snakemake.output[0], snakemake.params.settings)
