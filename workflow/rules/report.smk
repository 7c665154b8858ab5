from jetmill.files import sha256
from jetmill.report import TEMPLATE

# Figures of the bins, which need one axis and two.
OF_BINS = ["spectra", "maps"][: len(CONFIG.balance.bins)]
PLOTS = expand(
    "<results>/report/{plot}.{form}",
    form=("png", "pdf"),
    plot=[
        "cutflow",
        "classes",
        *OF_BINS,
        *(["constituents"] if CONFIG.constituents else []),
        *[f"resampling_{output}" for output in PLAN.resampled],
        # These need the arrays.
        *(
            ["closure", *[f"variables_{n}" for n in PLAN.range_numbers]]
            if "hdf5" in CONFIG.write.formats
            else []
        ),
    ],
)


rule plot_balance:
    input:
        batches=paths.NOMINAL_BATCHES,
        balance=paths.BALANCE,
    output:
        **{
            name: figure(name, "Balance", f"{name} before and after weighting")
            for name in OF_BINS
        },
        cutflow=figure("cutflow", "Cleaning", "jets after each cut"),
        classes=figure("classes", "Balance", "jets of each class"),
        pdf=[
            f"<results>/report/{name}.pdf" for name in ("cutflow", "classes", *OF_BINS)
        ],
    log:
        "<logs>/plot_balance.log",
    localrule: LOOKUP < 500
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=table_memory,
    params:
        code=code_digest("stages.plot_balance"),
    message:
        "Draw cutflow and balance"
    script:
        "../scripts/plot_balance.py"


rule plot_constituents:
    input:
        paths.NOMINAL_BATCHES,
    output:
        figure("constituents", "Cleaning", "constituents after selection"),
        pdf="<results>/report/constituents.pdf",
    log:
        "<logs>/plot_constituents.log",
    conda:
        "../../envs/jetmill.yaml"
    params:
        code=code_digest("stages.plot_constituents"),
    message:
        "Draw the cutflow of constituents"
    script:
        "../scripts/plot_constituents.py"


rule plot_resampling:
    input:
        balance=paths.BALANCE,
    output:
        figure("resampling_{output}", "Balance", "resampling of {output}"),
        pdf="<results>/report/resampling_{output}.pdf",
    log:
        "<logs>/plot_resampling/{output}.log",
    localrule: LOOKUP < 500
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=table_memory,
    params:
        code=code_digest("stages.plot_resampling"),
    message:
        "Draw the resampling of {wildcards.output}"
    script:
        "../scripts/plot_resampling.py"


rule plot_variables:
    input:
        train=paths.joined_files(PLAN, "hdf5").get("train", []),
        parts=paths.part_files(PLAN, "hdf5", "train"),
    output:
        figure("variables_{range}", "Variables", "variables of range {range}"),
        pdf="<results>/report/variables_{range}.pdf",
    log:
        "<logs>/plot_variables/range_{range}.log",
    localrule: True
    conda:
        "../../envs/jetmill.yaml"
    params:
        **passed(range=lambda w: PLAN.fit_settings[int(w.range)]),
        n_jets=CONFIG.report.jets,
        weighted=bool(CONFIG.balance.event_weights),
        code=code_digest("stages.plot_variables"),
    message:
        "Draw the variables of range {wildcards.range}"
    script:
        "../scripts/plot_variables.py"


rule plot_closure:
    input:
        batches=paths.NOMINAL_BATCHES,
        balance=paths.BALANCE,
        part=paths.part_files(PLAN, "hdf5", "train")[0],
    output:
        figure("closure", "Variables", "closure of the scaling"),
        pdf="<results>/report/closure.pdf",
    log:
        "<logs>/plot_closure.log",
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=table_memory,
    params:
        batches=PLAN.sources("0"),
        slice_of_keys=PLAN.slice_of_keys("train", "0"),
        code=code_digest("stages.plot_closure"),
    message:
        "Check the scaling of a part"
    script:
        "../scripts/plot_closure.py"


rule write_manifest:
    input:
        batches=paths.NOMINAL_BATCHES,
        balance=paths.BALANCE,
        parts=[*paths.data_files(PLAN), *paths.cards(PLAN)],
        joined=paths.all_joined_files(PLAN),
        tables=[paths.SCALERS, *paths.exports(PLAN)],
    output:
        paths.MANIFEST,
    log:
        "<logs>/write_manifest.log",
    conda:
        "../../envs/jetmill.yaml"
    threads: 2
    resources:
        mem_mb=table_memory,
    params:
        **passed(settings=PLAN.manifest_settings),
        fold=lambda w: w.fold if FOLDS else "",
        code=code_digest("stages.write_manifest"),
    message:
        "Write the manifest"
    script:
        "../scripts/write_manifest.py"


rule write_report:
    input:
        manifest=paths.MANIFEST,
        scalers=paths.SCALERS,
        figures=PLOTS,
    output:
        paths.REPORT,
    log:
        "<logs>/write_report.log",
    localrule: True
    conda:
        "../../envs/jetmill.yaml"
    params:
        code=code_digest("report.page") + sha256(TEMPLATE),
    message:
        "Write the page of the report"
    script:
        "../scripts/write_report.py"
