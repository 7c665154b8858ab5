"""The log of one job."""

import gc
import logging
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jetmill.errors import JetmillError
from jetmill.files import UnwritableError


class _LogFile(logging.FileHandler):
    """A log whose messages go to stderr where they cannot be written, as on a full disk."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        sys.stderr.write(f"{self.format(record)}\n")

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Send the messages of jetmill to a file; end the job with exit code 1 at a mistake of the user.

    A `JetmillError` is one line in the log, without a traceback. The traceback of any other exception, a defect of
    jetmill, goes to the log.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(path, mode="w")
    except OSError as error:
        sys.exit(f"{path}: cannot be written: {error.strerror}")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    start = time.perf_counter()
    try:
        yield
        seconds, cpu = time.perf_counter() - start, time.process_time()
        root.info("done in %.1f s, %.1f s of CPU, peak memory %.0f MB", seconds, cpu, _peak_memory())
    except UnwritableError as error:
        root.error("%s", error)
        handler.close()
        sys.stderr.flush()
        # HDF5 would try once more to write its buffers, print many errors, and may crash.
        os._exit(1)
    except JetmillError as error:
        root.error("%s", error)
        sys.exit(1)
    except Exception:
        root.exception("This is a defect of jetmill, please report it:")
        sys.exit(1)
    finally:
        handler.close()
        # Python would search all objects for garbage once more at its end, in vain.
        gc.freeze()


def _peak_memory() -> float:
    """Return the peak resident memory of this process in MB.

    Linux reports it per process, whereas ``getrusage`` also counts what the parent held at the fork.
    """
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        found = None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
