rule bin_jets:
    input:
        paths.NOMINAL_BATCHES,
    output:
        paths.BINS,
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
        batches=paths.NOMINAL_BATCHES,
        bins=paths.bin_files(PLAN),
        applied=paths.applied_balance(PLAN),
    output:
        paths.BALANCE,
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
