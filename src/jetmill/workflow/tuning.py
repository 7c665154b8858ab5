"""What is set for speed alone. docs/benchmarks.md has the measurements."""

import atexit
import gc
import os
from typing import Any


def tune_planning() -> None:
    """Look for garbage less often while jobs are planned.

    Nearly all that Snakemake makes for its jobs stays to the end, and to look through it as often as Python does takes
    a sixth of the time of a dry run of 14,000 jobs. At the end it is not looked through at all.
    """
    gc.set_threshold(100_000, 50, 50)
    atexit.register(gc.freeze)


def tune_memory_of_jobs() -> None:
    """Have jobs, which inherit the environment, keep the memory of large arrays.

    glibc gives it back at once, and the kernel clears it again for the next array. Kept, 1.6 million jets take a tenth
    less time. 32 MiB is the largest threshold that glibc takes.
    """
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**25))
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**30))


def tune_starts_of_jobs(workflow: Any) -> None:
    """Take away the limit on jobs per second where jobs run on this machine; a batch system is spared by it.

    Snakemake sets a timer of a second whenever it has started jobs, each of which has it select jobs once more and the
    last of which it waits for at the end. It has no option for no limit (seen in 9.27).

    Parameters
    ----------
    workflow
        Snakemake's object of that name.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
