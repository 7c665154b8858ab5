"""Check the scaling of the first training part."""

from jetmill.logs import job_log
from jetmill.stages.plot_closure import plot_closure
from jetmill.writing.picking import PartOf

with job_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    source = PartOf.of(given.batches, "train", params.slice_of_keys, params.batches)
    plot_closure(source, given.balance, given.part, snakemake.output[0])
