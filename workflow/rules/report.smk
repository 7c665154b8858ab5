from jetmill.files import sha256
from jetmill.report import TEMPLATE

FIGURES_OF_JETS = f"<results>/report/{CONFIG.jets.name}"


rule plot_balance:
    input:
        batches=paths.NOMINAL_BATCHES,
        balance=paths.BALANCE,
    output:
        figures("balance", "Cleaning and balance"),
    log:
        "<logs>/plot_balance.log",
    localrule: LOOKUP < 500
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=table_memory,
    params:
        **passed(figures=PLAN.figure_settings),
        code=code_digest("stages.plot_balance"),
    message:
        "Draw cutflow and balance"
    script:
        "../scripts/plot_balance.py"


# From cleaned columns, so that it need not wait for finished files, whatever their format.
rule plot_jets:
    input:
        batches=paths.NOMINAL_BATCHES,
        balance=paths.BALANCE,
        scalers=paths.SCALERS,
    output:
        figures(CONFIG.jets.name, "Training jets"),
    log:
        "<logs>/plot_jets.log",
    # The longest job after the scalers.
    priority: 2
    conda:
        "../../envs/jetmill.yaml"
    resources:
        mem_mb=table_memory,
    params:
        **passed(content=CONFIG.content, figures=PLAN.figure_settings),
        n_jets=CONFIG.report.jets,
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
        class_weights=paths.class_weights(PLAN),
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
        # Those of training jets need some.
        figures=[
            "<results>/report/balance",
            *([] if CONFIG.apply else [FIGURES_OF_JETS]),
        ],
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
