# Jobs that fail at first, each for a reason that Slurm finds.


rule all:
    input:
        "memory",
        "time",
        "node",


# 500 MB, and what Snakemake itself takes.
rule needs_memory:
    output:
        "memory",
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime=5,
    shell:
        "python3 -c 'import time; held = b\"1\" * 500_000_000; time.sleep(4)'; touch {output}"


rule needs_time:
    output:
        "time",
    resources:
        mem_mb=500,
        runtime=lambda wildcards, attempt: attempt,
    shell:
        "test {resources.runtime} -gt 1 || sleep 600; touch {output}"


# Waits for ever, unless it has been started before.
rule loses_its_node:
    output:
        "node",
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "if mkdir started; then sleep 600; fi; touch {output}"
