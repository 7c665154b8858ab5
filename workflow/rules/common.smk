import atexit
import gc
import json
import os
from pathlib import Path

from jetmill.formats import FORMATS

# Nearly all that Snakemake makes for its jobs stays to the end. To look through it for garbage as often
# as Python does takes a sixth of the time that rehearsing 14,000 jobs does.
gc.set_threshold(100_000, 50, 50)
atexit.register(gc.freeze)  # nor is it looked through at the end

# For jobs, which inherit them: glibc gives the memory of every large array back at once, and the kernel
# clears it anew for the next one. Kept, 1.6 million jets take a tenth less time. (32 MiB is the most it takes.)
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**25))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))

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
    # A batch system is spared by the limit on jobs per second, this machine is not: Snakemake sets a
    # timer of a second whenever it has started jobs, each of which has it select jobs once more and
    # the last of which it waits for at the end. It has no option for no limit (seen in 9.27).
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


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
