"""Write one part of an output, or an output as a directory."""

from jetmill.balancing.selection import PartSpec
from jetmill.formats.content.part import Part
from jetmill.stages.write import write
from jetmill.workflow.jobs import job

with job(snakemake):
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    source = given.get("source")
    if source is None:
        spec = PartSpec.from_batch_list(given.batches, wildcards.output, params.slice_of_keys, params.batches)
        source = Part.read(spec, given.balance, given.scalers, params.content)
    write(wildcards.format, source, snakemake.output[0], params.options)
