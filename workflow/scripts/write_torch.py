"""Write one part as tensors."""

from jetmill.jobs import job
from jetmill.stages.write_torch import write_torch

with job(snakemake):
    write_torch(snakemake.input[0], snakemake.output[0])
