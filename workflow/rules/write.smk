rule write:
    input:
        batches="<results>/{variation}clean/batches.json",
        balance="<results>/balance.h5",
        scalers="<results>/scalers.json",
    output:
        "<results>/{variation}parts/{output}/part_{part}.h5",
    log:
        "<logs>/{variation}write/{output}/part_{part}.log",
    benchmark:
        "<benchmarks>/{variation}write/{output}/part_{part}.tsv"
    priority: training_first
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=part_memory(3),
        runtime=part_time,
    params:
        batches=lambda w: PLAN.sources(w.part),
        slice_of_keys=lambda w: PLAN.slice_of_keys(w.output, w.part),
        content=asdict(CONFIG.content),
        compression=CONFIG.write.compression,
        code=code_digest("stages.write"),
    message:
        "Write part {wildcards.part} of {wildcards.output}"
    script:
        "../scripts/write.py"


# One job for all outputs: each joins in milliseconds, and starting a job takes longer.
rule index:
    input:
        **{output: PLAN.part_files(output) for output in PLAN.outputs},
    output:
        **{output: f"<results>/{output}.h5" for output in PLAN.outputs},
    log:
        "<logs>/index.log",
    localrule: not CONFIG.write.merge
    conda:
        "../../envs/jetmill.yaml"
    params:
        merge=CONFIG.write.merge,
        compression=CONFIG.write.compression,
        attributes={},
        code=code_digest("stages.index"),
    message:
        "Join the parts"
    script:
        "../scripts/index.py"


# The same for each variation, whose outputs are others.
for variation in PLAN.variations:

    rule:
        name:
            f"index_{variation.split('/')[1]}"
        input:
            **{
                output: PLAN.part_files(output, variation=variation)
                for output in PLAN.outputs_of(variation)
            },
        output:
            **{
                output: f"<results>/{variation}{output}.h5"
                for output in PLAN.outputs_of(variation)
            },
        log:
            f"<logs>/{variation}index.log",
        localrule: not CONFIG.write.merge
        conda:
            "../../envs/jetmill.yaml"
        params:
            merge=CONFIG.write.merge,
            compression=CONFIG.write.compression,
            attributes={},
            code=code_digest("stages.index"),
        message:
            f"Join the parts of {variation}"
        script:
            "../scripts/index.py"
