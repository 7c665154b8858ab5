rule clean:
    input:
        # Local files only; remote ones are read piece by piece.
        # Plug-ins, networks and maps too: their content is part of the settings.
        lambda w: after_a_look(
            [
                *PLAN.local_files(w.sample, w.batch),
                *PLAN.cleaning[w.variation].files,
            ]
        ),
    output:
        paths.CLEANED,
    log:
        "<output_dir>/logs/{variation}clean/{sample}/batch_{batch}.log",
    benchmark:
        "<output_dir>/benchmarks/{variation}clean/{sample}/batch_{batch}.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=clean_memory,
        runtime=clean_time,
    params:
        **passed(
            batch=lambda w: PLAN.batch(w.sample, w.batch),
            settings=lambda w: PLAN.cleaning[w.variation],
        ),
        code=code_digest("stages.clean"),
    message:
        "Clean batch {wildcards.batch} of {wildcards.sample} {wildcards.variation}"
    script:
        "../scripts/clean.py"


# One file stands for all batches: if a thousand parts each named all batches, Snakemake would need
# minutes for them. With folds there is one file for each, all made at once.
rule list_batches:
    input:
        lambda w: after_a_look(paths.batch_files(PLAN, w.variation)),
    output:
        [paths.placed(PLAN, paths.BATCHES, results) for results in PLAN.results],
    log:
        "<output_dir>/logs/{variation}list_batches.log",
    localrule: True
    conda:
        "../../envs/jetmill.yaml"
    params:
        groups=[*PLAN.results.values()],
        code=code_digest("stages.list_batches"),
    message:
        "List the cleaned batches {wildcards.variation}"
    script:
        "../scripts/list_batches.py"
