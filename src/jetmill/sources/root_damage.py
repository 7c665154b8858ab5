"""What uproot does with damaged files, kept from this process and from files that are sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uproot


@contextmanager
def classes_of_sound_files() -> Iterator[None]:
    """Forget, after an error, the classes that uproot made up from the file, or it reads other files with them."""
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
    """Raise if compressed blocks are at their end before all bytes are there, which uproot would leave as they are.

    Up to 2 GB may be announced; what is in the memory would be read as data.
    """
    if cursor.displacement(start) >= compressed_bytes and filled != uncompressed_bytes:
        raise ValueError(f"{filled} bytes are compressed, not the {uncompressed_bytes} that are announced")


# uproot calls it after each block that does not hold all.
uproot.compression.decompress.hook_after_block = _check_size
