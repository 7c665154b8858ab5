"""Write a text file from which another program knows how to read the results."""

from jetmill.stages.write_card import write_card
from jetmill.workflow.jobs import job

with job(snakemake):
    given, params = snakemake.input, snakemake.params
    write_card(
        snakemake.wildcards.card, snakemake.output[0], given.scalers, given.balance, params.settings, params.results
    )
