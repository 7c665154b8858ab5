rule bin_jets:
    input:
        "<results>/clean/{sample}/batch_{batch}.h5",
    output:
        "<results>/bins/{sample}/batch_{batch}.h5",
    log:
        "<logs>/bin_jets/{sample}/batch_{batch}.log",
    benchmark:
        "<benchmarks>/bin_jets/{sample}/batch_{batch}.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=500,
    params:
        bins=CONFIG.balance.bins,
        n_classes=len(CONFIG.classes),
        seed=CONFIG.seed,
        code=code_digest("stages.bin_jets"),
    message:
        "Bin the jets of batch {wildcards.batch} of {wildcards.sample}"
    script:
        "../scripts/bin_jets.py"


rule balance:
    input:
        PLAN.batch_files("bins"),
    output:
        "<results>/balance.h5",
    log:
        "<logs>/balance.log",
    benchmark:
        "<benchmarks>/balance.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=500,
    params:
        batches=PLAN.batch_names(),
        bins=CONFIG.balance.bins,
        classes=list(CONFIG.classes),
        weights=PLAN.weights,
        resampling=CONFIG.balance.resampling.method,
        strict=CONFIG.strict,
        seed=CONFIG.seed,
        code=code_digest("stages.balance"),
    message:
        "Balance the classes"
    script:
        "../scripts/balance.py"
