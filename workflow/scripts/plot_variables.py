"""Draw one range of variables of the training jets."""

from jetmill.stages.plot_variables import plot_variables
from jetmill.workflow.jobs import job

with job(snakemake):
    params = snakemake.params
    of, variables = params.range
    options = {"n_jets": params.n_jets, "weighted": params.weighted}
    plot_variables(snakemake.input.train, snakemake.output[0], of=of, variables=variables, **options)
