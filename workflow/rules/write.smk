rule write:
    input:
        batches=lambda w: PLAN.batch_files("clean", w.part),
        bins=lambda w: PLAN.batch_files("bins", w.part),
        balance="<results>/balance.h5",
        scalers="<results>/scalers.json",
    output:
        "<results>/parts/{split}/part_{part}.h5",
    log:
        "<logs>/write/{split}/part_{part}.log",
    benchmark:
        "<benchmarks>/write/{split}/part_{part}.tsv"
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=1000,
    params:
        names=lambda w: PLAN.batch_names(w.part),
        slice_of_keys=lambda w: PLAN.slice_of_keys(w.split, w.part),
        samples=list(CONFIG.samples),
        precision=CONFIG.write.precision,
        code=code_digest("stages.write"),
    message:
        "Write part {wildcards.part} of {wildcards.split}"
    script:
        "../scripts/write.py"


rule index:
    input:
        lambda w: PLAN.part_files(w.split),
    output:
        "<results>/{split}.h5",
    log:
        "<logs>/index/{split}.log",
    conda:
        "../../envs/jetmill.yaml"
    params:
        merge=CONFIG.write.merge,
        code=code_digest("stages.index"),
    message:
        "Join the parts of {wildcards.split}"
    script:
        "../scripts/index.py"


rule write_torch:
    input:
        "<results>/parts/{split}/part_{part}.h5",
    output:
        "<results>/parts/{split}/part_{part}.pt",
    log:
        "<logs>/write_torch/{split}/part_{part}.log",
    conda:
        "../../envs/jetmill.yaml"
    params:
        code=code_digest("stages.write_torch"),
    message:
        "Write part {wildcards.part} of {wildcards.split} for PyTorch"
    script:
        "../scripts/write_torch.py"
