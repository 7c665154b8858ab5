"""Write the manifest of the run."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.write_manifest import write_manifest
from jetmill.workflow.jobs import job

with job(snakemake):
    write_manifest(
        read_batch_list(snakemake.input.batches),
        snakemake.input.balance,
        snakemake.input.parts,
        snakemake.output[0],
        config=snakemake.params.settings.config,
        scalers=snakemake.input.tables[0],
        class_weights=next(iter(snakemake.input.class_weights), None),
        joined=snakemake.input.joined,
        tables=[*snakemake.input.tables, snakemake.input.balance],
        fold=snakemake.params.fold,
        user_files=snakemake.params.settings.user_files,
        threads=snakemake.threads,
    )
