"""Write the card of the Parquet files."""

from jetmill.jobs import job
from jetmill.stages.write_card import write_card

with job(snakemake):
    write_card(snakemake.params.outputs, snakemake.output[0])
