"""Check that the scaling of the first training part can be inverted."""

from jetmill.logs import job_log
from jetmill.stages.plot_closure import plot_closure
from jetmill.stages.write import PartOf

with job_log(snakemake.log[0]):
    number, n_parts = snakemake.params.slice_of_keys
    batches = list(zip(snakemake.params.names, snakemake.input.batches, snakemake.input.bins))
    plot_closure(
        PartOf("train", number, n_parts, batches), snakemake.input.balance, snakemake.input.part, snakemake.output[0]
    )
