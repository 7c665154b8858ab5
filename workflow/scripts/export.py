"""Write scalers and class weights in the forms of umami and salt."""

from jetmill.balancing.selection import PartSpec
from jetmill.stages.export import export
from jetmill.workflow.jobs import job

with job(snakemake):
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    export(
        PartSpec.from_batch_list(given.batches, "train", (0, 1)),
        given.ranges,
        given.scalers,
        given.balance,
        made.scale_dict,
        made.norm_dict,
        made.class_dict,
        labels=params.labels,
        jets_name=params.jets_name,
    )
