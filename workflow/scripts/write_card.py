"""Write the card of the Parquet files."""

from jetmill.logs import job_log
from jetmill.stages.write_card import write_card

with job_log(snakemake.log[0]):
    write_card(snakemake.params.outputs, snakemake.output[0])
