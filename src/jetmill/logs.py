"""The warnings of a job, to be kept with the data that they are about."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _WarningList(logging.Handler):
    """Keeps the warnings of jetmill, to be written with the data that they are about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """Give a list that grows by the text of each warning of jetmill in the block."""
    handler, library = _WarningList(), logging.getLogger("jetmill")
    library.addHandler(handler)
    try:
        yield handler.texts
    finally:
        library.removeHandler(handler)
