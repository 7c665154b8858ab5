"""Files that cannot be read, as opposed to files that lack what the configuration names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jetmill.errors import JetmillError, first_line
from jetmill.sources.remote import is_remote


class UnreadableError(JetmillError):
    """An input file is damaged, truncated, of another format, gone, or its server does not deliver it."""


@contextmanager
def damage_named(path: str, what: str) -> Iterator[None]:
    """Turn any exception that a library raises for a damaged file into an `UnreadableError`."""
    try:
        yield
    except (JetmillError, MemoryError):
        raise
    except Exception as error:
        if not (is_remote(path) or Path(path).exists()):
            raise UnreadableError(f"{path}: no such file; it was removed while it was read") from error
        raise UnreadableError(f"{path}: {what} ({first_line(error)})") from error
