"""Write one part as tensors."""

from jetmill.logs import job_log
from jetmill.stages.write_torch import write_torch

with job_log(snakemake.log[0]):
    write_torch(snakemake.input[0], snakemake.output[0])
