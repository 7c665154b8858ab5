from jetmill.files import sha256
from jetmill.report import TEMPLATE

# Figures of the bins, which need one axis and two.
OF_BINS = ["spectra", "maps"][: len(CONFIG.balance.bins)]
FIGURES_OF_JETS = f"<results>/report/{CONFIG.jets.name}"
PLOTS = expand(
    "<results>/report/{plot}.{form}",
    form=("png", "pdf"),
    plot=[
        "cutflow",
        "classes",
        *OF_BINS,
        *(["constituents"] if CONFIG.constituents else []),
        *[f"resampling_{output}" for output in PLAN.resampled],
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


# From cleaned columns, so that it need not wait for finished files, whatever their format.
rule plot_jets:
    input:
        batches=paths.NOMINAL_BATCHES,
        balance=paths.BALANCE,
        scalers=paths.SCALERS,
    output:
        report(
            directory(FIGURES_OF_JETS),
            patterns=["{figure}.png"],
            caption="../report/jets.rst",
            category=f"{'{fold}, ' * FOLDS}Training jets",
            labels={"figure": "{figure}"},
        ),
    log:
        "<logs>/plot_jets.log",
    # The longest job after the scalers.
    priority: 2
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=table_memory,
    params:
        **passed(content=CONFIG.content, report=CONFIG.report),
        code=code_digest("stages.plot_jets"),
    message:
        "Draw the training jets"
    script:
        "../scripts/plot_jets.py"


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
        figures=[*PLOTS, FIGURES_OF_JETS],
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
