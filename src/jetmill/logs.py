"""The log of one job."""

import logging
import sys
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
    try:
        yield
    except JetmillError as error:
        root.error("%s", error)
        sys.exit(1)
    except Exception:
        root.exception("This is a defect of jetmill, please report it:")
        sys.exit(1)
    finally:
        handler.close()
