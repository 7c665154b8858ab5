"""Write the page of the report."""

from pathlib import Path

from jetmill.report.page import write_page
from jetmill.workflow.jobs import job

with job(snakemake):
    write_page(Path(snakemake.input.manifest).parent)
