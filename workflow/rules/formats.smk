# Formats beside the HDF5 of arrays, each asked for by write.formats.


rule write_structured:
    input:
        batches="<results>/{variation}clean/batches.json",
        balance="<results>/balance.h5",
        scalers="<results>/scalers.json",
    output:
        "<results>/{variation}structured/parts/{output}/part_{part}.h5",
    log:
        "<logs>/{variation}write_structured/{output}/part_{part}.log",
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
        code=code_digest("stages.write_structured"),
    message:
        "Write part {wildcards.part} of {wildcards.output} as records"
    script:
        "../scripts/write_structured.py"


rule index_structured:
    input:
        **{
            output: PLAN.part_files(output, under="structured/parts")
            for output in PLAN.outputs
        },
    output:
        **{output: f"<results>/structured/{output}.h5" for output in PLAN.outputs},
    log:
        "<logs>/index_structured.log",
    localrule: not CONFIG.write.merge
    conda:
        "../../envs/jetmill.yaml"
    params:
        merge=CONFIG.write.merge,
        compression=CONFIG.write.compression,
        # Salt keeps it beside a trained model.
        attributes={"config": json.dumps(as_json(CONFIG))},
        code=code_digest("stages.index"),
    message:
        "Join the records"
    script:
        "../scripts/index.py"


rule write_parquet:
    input:
        batches="<results>/{variation}clean/batches.json",
        balance="<results>/balance.h5",
        scalers="<results>/scalers.json",
    output:
        "<results>/{variation}parquet/{output}/part_{part}.parquet",
    log:
        "<logs>/{variation}write_parquet/{output}/part_{part}.log",
    priority: training_first
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=part_memory(5),
        runtime=part_time,
    params:
        batches=lambda w: PLAN.sources(w.part),
        slice_of_keys=lambda w: PLAN.slice_of_keys(w.output, w.part),
        content=asdict(CONFIG.content),
        code=code_digest("stages.write_parquet"),
    message:
        "Write part {wildcards.part} of {wildcards.output} as Parquet"
    script:
        "../scripts/write_parquet.py"


rule write_card:
    output:
        "<results>/parquet/README.md",
    log:
        "<logs>/write_card.log",
    localrule: True
    conda:
        "../../envs/jetmill.yaml"
    params:
        outputs=PLAN.outputs,
        code=code_digest("stages.write_card"),
    message:
        "Name the splits of the Parquet files"
    script:
        "../scripts/write_card.py"


rule write_tfrecords:
    input:
        index="<results>/{output}.h5",
        parts=lambda w: PLAN.part_files(w.output),
    output:
        directory("<results>/tfrecords/{output}"),
    log:
        "<logs>/write_tfrecords/{output}.log",
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=lambda w, attempt: 1000 * attempt,
        runtime=file_time,
    params:
        records_per_file=CONFIG.write.records_per_file,
        code=code_digest("stages.write_tfrecords"),
    message:
        "Write {wildcards.output} as TFRecords"
    script:
        "../scripts/write_tfrecords.py"


rule write_torch:
    input:
        "<results>/{variation}parts/{output}/part_{part}.h5",
    output:
        "<results>/{variation}parts/{output}/part_{part}.pt",
    log:
        "<logs>/{variation}write_torch/{output}/part_{part}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=file_memory,
        runtime=file_time,
    params:
        code=code_digest("stages.write_torch"),
    message:
        "Write part {wildcards.part} of {wildcards.output} for PyTorch"
    script:
        "../scripts/write_torch.py"
