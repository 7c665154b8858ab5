"""Check the scaling of the first training part."""

from jetmill.jobs import job
from jetmill.stages.plot_closure import plot_closure
from jetmill.writing.picking import PartOf

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    source = PartOf.of(given.batches, "train", params.slice_of_keys, params.batches)
    plot_closure(source, given.balance, given.part, snakemake.output[0])
