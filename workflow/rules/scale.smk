rule fit_scalers:
    input:
        PLAN.batch_files("clean"),
    output:
        "<results>/scalers/range_{range}.json",
    log:
        "<logs>/fit_scalers/range_{range}.log",
    benchmark:
        "<benchmarks>/fit_scalers/range_{range}.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=500,
    params:
        variables=lambda w: PLAN.ranges[int(w.range)],
        code=code_digest("stages.fit_scalers"),
    message:
        "Fit the scalers of range {wildcards.range}"
    script:
        "../scripts/fit_scalers.py"


rule merge_scalers:
    input:
        expand("<results>/scalers/range_{range}.json", range=PLAN.range_numbers),
    output:
        scalers="<results>/scalers.json",
        scale_dict="<results>/scale_dict.json",
        norm_dict="<results>/norm_dict.yaml",
    log:
        "<logs>/merge_scalers.log",
    conda:
        "../../envs/jetmill.yaml"
    params:
        default_offset=CONFIG.scaling.default_offset,
        defaults=CONFIG.scaling.defaults,
        strict=CONFIG.strict,
        code=code_digest("stages.merge_scalers"),
    message:
        "Merge the scalers"
    script:
        "../scripts/merge_scalers.py"
