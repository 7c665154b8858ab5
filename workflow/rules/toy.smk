rule make_toy:
    output:
        "<results>/toy/{sample}_{number}.{suffix}",
    log:
        "<logs>/make_toy/{sample}_{number}.{suffix}.log",
    wildcard_constraints:
        suffix="root|h5",
    conda:
        "../../envs/jetmill.yaml"
    params:
        **passed(toy=lambda w: CONFIG.samples[w.sample].toy),
        seed=CONFIG.seed,
        code=code_digest("stages.make_toy"),
    message:
        "Make toy file {wildcards.number} of {wildcards.sample}"
    script:
        "../scripts/make_toy.py"
