rule make_toy:
    output:
        f"<output_dir>/toy/{{sample}}_{{number}}.{PLAN.toy_suffix}",
    log:
        "<output_dir>/logs/make_toy/{sample}_{number}.log",
    conda:
        "../../envs/jetmill.yaml"
    params:
        **passed(toy=lambda w: CONFIG.samples[w.sample].toy),
        format=CONFIG.input.format,
        seed=CONFIG.seed,
        code=code_digest("stages.make_toy"),
    message:
        "Make toy file {wildcards.number} of {wildcards.sample}"
    script:
        "../scripts/make_toy.py"
