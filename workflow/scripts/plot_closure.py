"""Check the scaling of the first training part."""

from jetmill.balancing.selection import PartSpec
from jetmill.stages.plot_closure import plot_closure
from jetmill.workflow.jobs import job

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    source = PartSpec.from_batch_list(given.batches, "train", params.slice_of_keys, params.batches)
    plot_closure(source, given.balance, given.part, snakemake.output[0])
