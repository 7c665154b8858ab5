import atexit
import gc
import json
import os
from dataclasses import asdict
from pathlib import Path

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
# What each format consists of: the files to use, and the parts that hold the data.
FORMATS = {
    "hdf5": expand("<results>/{output}.h5", output=PLAN.outputs),
    "structured": expand("<results>/structured/{output}.h5", output=PLAN.outputs),
    "tfrecords": expand("<results>/tfrecords/{output}", output=PLAN.outputs),
    "parquet": [
        *PLAN.part_files(under="parquet", ending="parquet"),
        "<results>/parquet/README.md",
    ],
    "torch": PLAN.part_files(ending="pt"),
}
PARTS = FORMATS | {
    "hdf5": PLAN.part_files(),
    "structured": PLAN.part_files(under="structured/parts"),
}


def varied(name, variation):
    """Return the files of a format that a variation has; in place of TFRecords, the arrays they are made from."""
    if name == "hdf5":
        return [f"<results>/{variation}{o}.h5" for o in PLAN.outputs_of(variation)]
    under, ending = {
        "structured": ("structured/parts", "h5"),
        "parquet": ("parquet", "parquet"),
        "torch": ("parts", "pt"),
        "tfrecords": ("parts", "h5"),
    }[name]
    return PLAN.part_files(under=under, ending=ending, variation=variation)


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
    logger.info(PLAN.farewell())


onerror:
    lock.release()
    logger.error(
        f"Each job's log is under {OUTPUT}/logs/. Mend the cause and start again: what is done stays."
    )
