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
        **passed(settings=lambda w: PLAN.bin_settings[w.group]),
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
        **passed(settings=PLAN.balance_settings),
        code=code_digest("stages.balance"),
    message:
        "Balance the classes"
    script:
        "../scripts/balance.py"
