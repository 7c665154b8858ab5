"""Draw one range of variables of the training jets."""

from jetmill.logs import job_log
from jetmill.stages.plot_variables import plot_variables

with job_log(snakemake.log[0]):
    plot_variables(
        snakemake.input.train,
        snakemake.output[0],
        variables=snakemake.params.variables,
        n_jets=snakemake.params.n_jets,
    )
