rule clean:
    input:
        files=lambda w: PLAN.batch(w.sample, w.batch).files,
        # Plug-ins, networks and maps: what they hold is part of the settings.
        more=lambda w: list(PLAN.cleaning[w.variation].files),
    output:
        "<results>/{variation}clean/{sample}/batch_{batch}.h5",
    log:
        "<logs>/{variation}clean/{sample}/batch_{batch}.log",
    benchmark:
        "<benchmarks>/{variation}clean/{sample}/batch_{batch}.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=1000,
    params:
        settings=lambda w: PLAN.cleaning[w.variation].model_dump(mode="json"),
        first_file=lambda w: PLAN.batch(w.sample, w.batch).first_file,
        code=code_digest("stages.clean"),
    message:
        "Clean batch {wildcards.batch} of {wildcards.sample} {wildcards.variation}"
    script:
        "../scripts/clean.py"
