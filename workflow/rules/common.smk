from pathlib import Path

from jetmill.formats.registry import FORMATS
from jetmill.workflow import paths
from jetmill.workflow.messages import closing_message, summary
from jetmill.workflow.sizes import cleaned_megabytes, input_megabytes
from jetmill.workflow.tuning import (
    tune_memory_of_jobs,
    tune_planning,
    tune_starts_of_jobs,
)

tune_planning()
tune_memory_of_jobs()

CONFIG = PLAN.config
OUTPUT = CONFIG.output_dir
config["output_dir"] = OUTPUT  # for jobs, where it may be the default
MANIFEST = Path(paths.placed(paths.MANIFEST, OUTPUT))
VARIATIONS = ["", *PLAN.variations]


onstart:
    begin()
    logger.info(summary(PLAN))
    tune_starts_of_jobs(workflow)


onsuccess:
    lock.release()
    if MANIFEST.exists() and (warnings := warning_summary(MANIFEST)):
        logger.warning(warnings)
    logger.info(closing_message(PLAN))


onerror:
    lock.release()
    logger.error(
        f"Each job's log is under {OUTPUT}/logs/. Fix the cause and start again: finished outputs are kept."
    )
