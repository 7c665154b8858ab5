"""Protection of this process, and of intact files, from what uproot does with damaged ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uproot


@contextmanager
def classes_of_sound_files() -> Iterator[None]:
    """After an error, forget the classes that uproot derived from the file, with which it would read other files."""
    classes = dict(uproot.classes)
    versions = {name: dict(c.known_versions) for name, c in classes.items() if hasattr(c, "known_versions")}
    try:
        yield
    except BaseException:
        uproot.classes.clear()
        uproot.classes.update(classes)
        for name, known in versions.items():
            classes[name].known_versions.clear()
            classes[name].known_versions.update(known)
        raise


def _check_size(
    *, cursor: Any, start: Any, compressed_bytes: int, uncompressed_bytes: int, filled: int, **_: Any
) -> None:
    """Raise if compressed blocks end before all bytes are there; uproot would not.

    Up to 2 GB may be announced, and the rest of the memory would be read as data.
    """
    if cursor.displacement(start) >= compressed_bytes and filled != uncompressed_bytes:
        raise ValueError(f"{filled} bytes are compressed, not the {uncompressed_bytes} that are declared")


# uproot calls this after each block but the last.
uproot.compression.decompress.hook_after_block = _check_size
