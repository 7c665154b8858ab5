"""Clean one batch of input files."""

from jetmill.config.cleaning import Cleaning
from jetmill.jobs import job
from jetmill.stages.clean import clean_batch

# The section as it is now; the parameter is without what must not make finished jobs run again.
reading = {"input": snakemake.config.get("input", {})}

batch = snakemake.params.batch

with job(snakemake):
    clean_batch(
        batch["files"],
        snakemake.output[0],
        settings=Cleaning.model_validate(snakemake.params.settings | reading),
        sample=batch["sample"],
        first_file=batch["first_file"],
        checksums=batch["checksums"],
    )
