import os
import re
from pathlib import Path

from jetmill.formats.registry import CARDS, FORMATS
from jetmill.workflow import paths
from jetmill.workflow.messages import closing_message, summary
from jetmill.workflow.sizes import cleaned_megabytes, input_megabytes
from jetmill.workflow.terminal import take_over, title
from jetmill.workflow.tuning import (
    tune_memory_of_jobs,
    tune_planning,
    tune_starts_of_jobs,
)

tune_planning()
tune_memory_of_jobs()

# Those who ask for less or more than usual get Snakemake's own lines.
said = workflow.output_settings
TERMINAL = (
    take_over(logger)
    if workflow.is_main_process
    and not (said.dryrun or said.quiet or said.verbose or said.log_handler_settings)
    else None
)

CONFIG = PLAN.config
OUTPUT = CONFIG.output_dir
config["output_dir"] = OUTPUT  # for jobs, where it may be the default
MANIFESTS = [
    Path(paths.placed(PLAN, paths.MANIFEST, results)) for results in PLAN.results
]
VARIATIONS = ["", *PLAN.variations]
FOLDS = CONFIG.split.folds is not None


def wanted():
    """Return the files that a run makes besides plots."""
    files = [paths.MANIFEST, *paths.exports(PLAN), *paths.cards(PLAN)]
    for name in CONFIG.write.formats:
        for v in VARIATIONS:
            joined = paths.joined_files(PLAN, name, v).values()
            files += [*joined] or paths.part_files(PLAN, name, variation=v)
    return files


def results_of(w):
    """Return the directory of the results that a job works on."""
    return os.path.join(OUTPUT, w.fold) if FOLDS else OUTPUT


def placed(w, found):
    """Return a path, or a list of paths, in the results that a job works on."""
    if isinstance(found, str):
        return paths.placed(PLAN, found, results_of(w))
    return [placed(w, path) for path in found]


def figures(name, category):
    """Return a directory of figures for Snakemake's report."""
    return report(
        directory(f"<results>/report/{name}"),
        patterns=["{figure}.png"],
        caption="../report/figures.rst",
        category=f"{'{fold}, ' * FOLDS}{category}",
        labels={"figure": "{figure}"},
    )


def batches_to_clean():
    """Return variation, sample and batch of each job of this run that cleans."""
    jobs = (job for job in workflow.dag.needrun_jobs() if job.rule.name == "clean")
    return [(w.variation, w.sample, w.batch) for w in (job.wildcards for job in jobs)]


def try_inputs(pending):
    """End the run if the jobs that clean would find, each for itself, that their files do not fit the configuration."""
    if pending:
        # It imports what reads the files, which takes a second.
        from jetmill.trial import check_pending

        or_stop(MISFITS, check_pending, PLAN, pending)


onstart:
    # Jobs with an environment of their own have other packages.
    pending = batches_to_clean()
    if jobs_run_here:
        try_inputs(pending)
    begin()
    logger.info(summary(PLAN))
    if TERMINAL:
        TERMINAL.begin(
            {title(s, b, v): len(PLAN.batch(s, b).files) for v, s, b in pending}
        )
    tune_starts_of_jobs(workflow)


onsuccess:
    lock.release()
    for manifest in filter(Path.exists, MANIFESTS):
        if warnings := warning_summary(manifest):
            logger.warning(warnings)
    if others := left_over(OUTPUT, PLAN.results):
        logger.warning(others)
    logger.info(closing_message(PLAN))


onerror:
    lock.release()
    logger.error(
        f"Each job's log is under {OUTPUT}/logs/. Fix the cause and start again: finished outputs are kept."
    )
