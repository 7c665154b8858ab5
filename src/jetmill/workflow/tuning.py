"""What is set for speed alone. docs/benchmarks.md has the measurements."""

import atexit
import gc
import os
from typing import Any


def tune_planning() -> None:
    """Collect garbage less often while jobs are planned.

    Nearly all objects that Snakemake makes for its jobs live until the end. Searching them as often as Python does
    takes a sixth of the time of a dry run of 14,000 jobs. At the end they are not searched at all.
    """
    gc.set_threshold(100_000, 50, 50)
    atexit.register(gc.freeze)


def tune_memory_of_jobs() -> None:
    """Let jobs, which inherit the environment, keep the memory of large arrays.

    glibc returns it at once, and the kernel clears it again for the next array. Keeping it saves a tenth of the time
    for 1.6 million jets. 32 MiB is the largest threshold that glibc accepts.
    """
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**25))
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))


def tune_starts_of_jobs(workflow: Any) -> None:
    """Remove the limit on jobs per second where jobs run on this machine; it is meant for batch systems.

    Snakemake sets a timer of a second whenever it has started jobs; each makes it select jobs once more, and it waits
    for the last one at the end. It has no option for no limit (seen in 9.27). `workflow` is Snakemake's object of that
    name.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
