# Finished files: parts of each format, files that join them, directories. See jetmill.formats.


rule write:
    input:
        unpack(format_input),
    output:
        "<results>/{variation}{format}/{output}/part_{part}.{suffix}",
    log:
        "<logs>/{variation}write/{format}/{output}/part_{part}.{suffix}.log",
    benchmark:
        "<benchmarks>/{variation}write/{format}/{output}/part_{part}.{suffix}.tsv"
    wildcard_constraints:
        format=names_where(lambda found: found.suffix),
        suffix="|".join(sorted({found.suffix for found in FORMATS.values()} - {""})),
    priority: training_first
    conda:
        lambda w: f"../../envs/{FORMATS[w.format].environment}.yaml"
    resources:
        mem_mb=part_memory,
        runtime=part_time,
    params:
        **passed(content=CONFIG.content),
        batches=lambda w: PLAN.sources(w.part),
        slice_of_keys=lambda w: PLAN.slice_of_keys(w.output, w.part),
        options=lambda w: PLAN.write_options(w.format),
        code=write_code,
    message:
        "Write part {wildcards.part} of {wildcards.output} as {wildcards.format} {wildcards.variation}"
    script:
        "../scripts/write.py"


# One directory per output, known by its main file: Snakemake marks directories by a file that readers stumble over.
rule write_directory:
    input:
        unpack(directory_input),
    output:
        "<results>/{variation}{format}/{output}/{main}",
    log:
        "<logs>/{variation}write/{format}/{output}/{main}.log",
    wildcard_constraints:
        format=names_where(lambda found: not found.suffix),
        main="|".join(map(re.escape, MAIN_FILES)),
    priority: training_first
    conda:
        lambda w: f"../../envs/{FORMATS[w.format].environment}.yaml"
    resources:
        mem_mb=lambda w, attempt: 1000 * attempt,
        runtime=file_time,
    params:
        options=lambda w: PLAN.write_options(w.format),
        code=write_code,
    message:
        "Write {wildcards.output} as {wildcards.format} {wildcards.variation}"
    script:
        "../scripts/write.py"


# One job for all outputs of a format: joining takes milliseconds, less than the start of a job.
rule join:
    input:
        unpack(parts_to_join),
    output:
        **{output: f"<results>/{{joined}}{output}.h5" for output in PLAN.outputs},
    log:
        "<logs>/{joined}join.log",
    wildcard_constraints:
        joined="|".join(JOINED),
    localrule: not CONFIG.write.merge
    conda:
        "../../envs/jetmill.yaml"
    params:
        **passed(settings=lambda w: PLAN.join_settings[JOINED[w.joined].name]),
        code=code_digest("stages.join"),
    message:
        "Join the parts {wildcards.joined}"
    script:
        "../scripts/join.py"


if PLAN.variations:

    # Variations have other outputs.
    use rule join as join_variation with:
        output:
            **{
                output: f"<results>/{{variation}}{{joined}}{output}.h5"
                for output in PLAN.outputs_of(PLAN.variations[0])
            },
        log:
            "<logs>/{variation}{joined}join.log",
        wildcard_constraints:
            joined="|".join(JOINED),
            variation="|".join(PLAN.variations),
        message:
            "Join the parts {wildcards.variation}{wildcards.joined}"


rule write_card:
    input:
        scalers=paths.SCALERS,
        balance=paths.BALANCE,
    output:
        paths.CARD,
    log:
        "<logs>/write_card/{card}.log",
    wildcard_constraints:
        card="|".join(map(re.escape, CARDS)),
    localrule: True
    conda:
        "../../envs/jetmill.yaml"
    params:
        **passed(settings=PLAN.card_settings),
        results=results_of,
        code=lambda w: [
            code_digest("stages.write_card"),
            code_digest(f"formats.{CARDS[w.card][0]}"),
        ],
    message:
        "Write {wildcards.card}"
    script:
        "../scripts/write_card.py"
