rule clean:
    input:
        lambda w: PLAN.batch(w.sample, w.batch).files,
    output:
        "<results>/clean/{sample}/batch_{batch}.h5",
    log:
        "<logs>/clean/{sample}/batch_{batch}.log",
    benchmark:
        "<benchmarks>/clean/{sample}/batch_{batch}.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=1000,
    params:
        settings=CONFIG.cleaning.model_dump(mode="json"),
        first_file=lambda w: PLAN.batch(w.sample, w.batch).first_file,
        code=code_digest("stages.clean"),
    message:
        "Clean batch {wildcards.batch} of {wildcards.sample}"
    script:
        "../scripts/clean.py"
