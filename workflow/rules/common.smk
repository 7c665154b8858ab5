import json
from pathlib import Path

from jetmill.formats.registry import FORMATS
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
MANIFEST = Path(OUTPUT, "manifest.json")
VARIATIONS = ["", *PLAN.variations]
# What the manifest describes besides tables: the files that hold jets, and those that join them.
DATA = [
    path
    for v in VARIATIONS
    for name in CONFIG.write.formats
    for path in PLAN.part_files(name, variation=v)
]
CARDS = [f"<results>/{n}/README.md" for n in CONFIG.write.formats if FORMATS[n].card]
WHOLE = [
    path
    for v in VARIATIONS
    for name in CONFIG.write.formats
    for path in PLAN.joined_files(name, v)
]


onstart:
    begin()
    logger.info(PLAN.summary())
    tune_starts_of_jobs(workflow)


onsuccess:
    lock.release()
    if MANIFEST.exists() and (warnings := warning_summary(MANIFEST)):
        logger.warning(warnings)
    logger.info(PLAN.closing_message())


onerror:
    lock.release()
    logger.error(
        f"Each job's log is under {OUTPUT}/logs/. Mend the cause and start again: what is done stays."
    )
