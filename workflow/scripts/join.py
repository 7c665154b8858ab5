"""Join the parts of each output into one file."""

from jetmill.stages.join import join_outputs
from jetmill.workflow.jobs import job

with job(snakemake):
    join_outputs(dict(snakemake.input.items()), dict(snakemake.output.items()), snakemake.params.settings)
