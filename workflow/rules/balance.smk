rule bin_jets:
    input:
        "<results>/clean/batches.json",
    output:
        "<results>/bins/{group}.h5",
    log:
        "<logs>/bin_jets/{group}.log",
    benchmark:
        "<benchmarks>/bin_jets/{group}.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=bin_memory,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        batches=lambda w: PLAN.bin_groups[w.group],
        bins=CONFIG.balance.bins,
        n_classes=len(CONFIG.classes),
        outside=CONFIG.balance.outside,
        weight_columns=CONFIG.balance.weight_columns,
        code=code_digest("stages.bin_jets"),
    message:
        "Count jets in bins, group {wildcards.group} of batches"
    script:
        "../scripts/bin_jets.py"


rule balance:
    input:
        batches="<results>/clean/batches.json",
        bins=expand("<results>/bins/{group}.h5", group=PLAN.bin_groups),
    output:
        "<results>/balance.h5",
    log:
        "<logs>/balance.log",
    benchmark:
        "<benchmarks>/balance.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=balance_memory,
        runtime=all_time,
    params:
        bins=CONFIG.balance.bins,
        classes=list(CONFIG.classes),
        samples=list(CONFIG.samples),
        weights=PLAN.weights,
        weight_columns=CONFIG.balance.weight_columns,
        resampling=CONFIG.balance.resampling.model_dump(mode="json")
        | {"resamples": CONFIG.balance.resampling.resamples},
        strict=CONFIG.strict,
        code=code_digest("stages.balance"),
    message:
        "Balance the classes"
    script:
        "../scripts/balance.py"
