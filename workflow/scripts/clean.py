"""Clean one batch of input files."""

from jetmill.config_cleaning import Cleaning
from jetmill.logs import job_log
from jetmill.stages.clean import clean_batch

with job_log(snakemake.log[0]):
    clean_batch(
        snakemake.input.files,
        snakemake.output[0],
        settings=Cleaning.model_validate(snakemake.params.settings),
        sample=snakemake.wildcards.sample,
        first_file=snakemake.params.first_file,
    )
