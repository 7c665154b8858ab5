"""Go through one range of variables."""

from jetmill.config_cleaning import ScalingOf
from jetmill.logs import job_log
from jetmill.stages.fit_scalers import fit_scalers

with job_log(snakemake.log[0]):
    of, variables = snakemake.params.range
    settings = ScalingOf.model_validate(snakemake.params.settings)
    fit_scalers(snakemake.input, snakemake.output[0], of=of, variables=variables, settings=settings)
