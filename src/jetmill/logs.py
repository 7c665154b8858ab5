"""The log of one job."""

import logging
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jetmill.errors import JetmillError


@contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Send the messages of jetmill to a file; end the job with exit code 1 at a mistake of the user.

    A `JetmillError` is one line in the log, without a traceback. Any other exception is a defect
    of jetmill: its traceback goes to the log.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    start = time.perf_counter()
    try:
        yield
        seconds, cpu = time.perf_counter() - start, time.process_time()
        root.info("done in %.1f s, %.1f s of CPU, peak memory %.0f MB", seconds, cpu, _peak_memory())
    except JetmillError as error:
        root.error("%s", error)
        sys.exit(1)
    except Exception:
        root.exception("This is a defect of jetmill, please report it:")
        sys.exit(1)
    finally:
        handler.close()


def _peak_memory() -> float:
    """Return the peak resident memory of this process in MB.

    Linux tells it by process; ``getrusage`` alone would count what the parent held at the fork.
    """
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        found = None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
