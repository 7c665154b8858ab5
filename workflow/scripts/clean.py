"""Clean one batch of input files."""

from jetmill.stages.clean import clean_batch
from jetmill.workflow.jobs import job

with job(snakemake):
    batch = snakemake.params.batch
    clean_batch(
        batch.files,
        snakemake.output[0],
        settings=snakemake.params.settings,
        sample=batch.sample,
        first_file=batch.first_file,
        checksums=batch.checksums,
    )
