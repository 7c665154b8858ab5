rule bin_jets:
    input:
        "<results>/{variation}clean/{sample}/batch_{batch}.h5",
    output:
        "<results>/{variation}bins/{sample}/batch_{batch}.h5",
    log:
        "<logs>/{variation}bin_jets/{sample}/batch_{batch}.log",
    benchmark:
        "<benchmarks>/{variation}bin_jets/{sample}/batch_{batch}.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=500,
    params:
        bins=CONFIG.balance.bins,
        n_classes=len(CONFIG.classes),
        code=code_digest("stages.bin_jets"),
    message:
        "Bin the jets of batch {wildcards.batch} of {wildcards.sample}"
    script:
        "../scripts/bin_jets.py"


rule balance:
    input:
        batches=PLAN.batch_files("clean"),
        bins=PLAN.batch_files("bins"),
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
        samples_of_batches=PLAN.batch_samples(),
        bins=CONFIG.balance.bins,
        classes=list(CONFIG.classes),
        samples=list(CONFIG.samples),
        weights=PLAN.weights,
        resampling=CONFIG.balance.resampling.model_dump(mode="json"),
        strict=CONFIG.strict,
        code=code_digest("stages.balance"),
    message:
        "Balance the classes"
    script:
        "../scripts/balance.py"
