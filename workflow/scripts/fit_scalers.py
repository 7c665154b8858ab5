"""Compute the moments of one range of variables."""

from jetmill.logs import job_log
from jetmill.stages.fit_scalers import fit_scalers

with job_log(snakemake.log[0]):
    fit_scalers(snakemake.input, snakemake.output[0], variables=snakemake.params.variables)
