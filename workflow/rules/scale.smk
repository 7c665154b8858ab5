rule fit_scalers:
    input:
        batches=paths.NOMINAL_BATCHES,
        balance=paths.BALANCE if PLAN.scalers_need_balance else [],
    output:
        paths.RANGE,
    log:
        "<logs>/fit_scalers/range_{range}.log",
    benchmark:
        "<benchmarks>/fit_scalers/range_{range}.tsv"
    # The slowest jobs before the parts.
    priority: 1
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=range_memory,
        runtime=range_time,
    params:
        **passed(settings=lambda w: PLAN.fit_settings[int(w.range)]),
        code=code_digest("stages.fit_scalers"),
    message:
        "Fit the scalers of range {wildcards.range}"
    script:
        "../scripts/fit_scalers.py"


rule merge_scalers:
    input:
        paths.range_files(PLAN),
    output:
        paths.SCALERS,
    log:
        "<logs>/merge_scalers.log",
    localrule: True
    conda:
        "../../envs/jetmill.yaml"
    params:
        **passed(settings=PLAN.merge_settings),
        code=code_digest("stages.merge_scalers"),
    message:
        "Merge the scalers"
    script:
        "../scripts/merge_scalers.py"


rule export:
    input:
        ranges=paths.range_files(PLAN),
        scalers=paths.SCALERS,
        balance=paths.BALANCE,
        # Source of the counts of constituent labels.
        batches=paths.NOMINAL_BATCHES,
    output:
        **paths.EXPORTS,
    log:
        "<logs>/export.log",
    localrule: not PLAN.weighted_labels
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=table_memory,
        runtime=all_time,
    params:
        labels=PLAN.weighted_labels,
        jets_name=CONFIG.jets.name,
        code=code_digest("stages.export"),
    message:
        "Write scalers and class weights for umami and salt"
    script:
        "../scripts/export.py"
