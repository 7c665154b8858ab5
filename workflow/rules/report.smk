PLOTS = []


rule write_manifest:
    input:
        batches=[f"<results>/clean/{b.sample}/batch_{b.number}.h5" for b in PLAN.batches],
        balance="<results>/balance.h5",
        parts=[f"<results>/parts/{s}/part_{p}.h5" for s, p in PLAN.all_parts],
    output:
        "<results>/manifest.json",
    log:
        "<logs>/write_manifest.log",
    params:
        config=CONFIG.model_dump(mode="json"),
        commit=None,
        code=code_digest("stages.manifest"),
    conda:
        "../../envs/jetmill.yaml"
    message:
        "Write the manifest"
    script:
        "../scripts/write_manifest.py"
