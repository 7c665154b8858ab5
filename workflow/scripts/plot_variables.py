"""Draw one range of variables of the training jets."""

from jetmill.stages.plot_variables import plot_variables
from jetmill.workflow.jobs import job

with job(snakemake):
    params = snakemake.params
    options = {"n_jets": params.n_jets, "weighted": params.weighted}
    options |= {"of": params.range.of, "variables": params.range.variables}
    plot_variables(snakemake.input.train, snakemake.output[0], **options)
