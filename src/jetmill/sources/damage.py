"""Files that cannot be read, as opposed to files that lack what the configuration names."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        raise UnreadableError(f"{path}: {what} ({_why(path, error)})") from error


def _why(path: str, error: Exception) -> str:
    """Return what is plainly wrong with a local file, or else what the library says."""
    with suppress(OSError):
        if not is_remote(path):
            if Path(path).is_dir():
                return "it is a directory"
            with Path(path).open("rb") as file:
                first = file.read(8)
            if not first:
                return "it is empty"
            if "expected Chunk of length" in str(error):  # uproot, of what lies beyond the end
                return "it is cut short" if first.startswith(b"root") else f"it begins with {str(first)[1:]}"
    return first_line(error)
