"""Make one file of toy jets."""

from jetmill.stages.make_toy import write_toy_file
from jetmill.workflow.jobs import job

with job(snakemake):
    toy, wildcards = snakemake.params.toy, snakemake.wildcards
    write_toy_file(
        snakemake.output[0],
        snakemake.params.format,
        process=toy.process,
        n_jets=toy.jets,
        seed=snakemake.params.seed,
        sample=wildcards.sample,
        number=int(wildcards.number),
    )
