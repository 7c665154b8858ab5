"""The warnings of a job, kept with its data."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _WarningList(logging.Handler):
    """Collects the warnings of jetmill."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """Give a list that receives the text of each warning of jetmill in the block."""
    handler, library = _WarningList(), logging.getLogger("jetmill")
    library.addHandler(handler)
    try:
        yield handler.texts
    finally:
        library.removeHandler(handler)
