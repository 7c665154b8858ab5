"""Draw the training jets."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.plot_jets import plot_jets
from jetmill.workflow.jobs import job

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    plot_jets(
        read_batch_list(given.batches),
        given.balance,
        given.scalers,
        snakemake.output[0],
        content=params.content,
        n_jets=params.n_jets,
        settings=params.figures,
    )
