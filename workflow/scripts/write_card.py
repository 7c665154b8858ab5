"""Write the README.md of a format."""

from jetmill.formats.registry import FORMATS
from jetmill.stages.write_card import write_card
from jetmill.workflow.jobs import job

with job(snakemake):
    write_card(FORMATS[snakemake.wildcards.format].card, snakemake.params.outputs, snakemake.output[0])
