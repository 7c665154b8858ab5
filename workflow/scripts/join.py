"""Join the parts of each output into one file."""

from jetmill.stages.join import join_outputs
from jetmill.workflow.jobs import job

with job(snakemake):
    given, params = dict(snakemake.input.items()), snakemake.params
    options = {"merge": params.merge, "compression": params.compression, "attributes": params.attributes}
    join_outputs(given, dict(snakemake.output.items()), **options)
