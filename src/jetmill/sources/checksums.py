"""Checksums of input files, and whether they are the expected ones."""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from jetmill.sources.damage import UnreadableError, damage_named

# Bytes read at a time.
BLOCK_BYTES = 2**20


class _Hash(Protocol):
    def update(self, block: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Adler32:
    def __init__(self) -> None:
        self._sum = zlib.adler32(b"")

    def update(self, block: bytes, /) -> None:
        self._sum = zlib.adler32(block, self._sum)

    def hexdigest(self) -> str:
        return f"{self._sum:08x}"


_HASHES: dict[str, Callable[[], _Hash]] = {
    "adler32": _Adler32,
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha256": hashlib.sha256,
}


def check_bytes(path: str, expected: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """Read a local file once, compare its checksums with the expected ones, and return them.

    `expected` is algorithm (``adler32``, ``md5``, ``sha256``) to checksum in lower case, `also` further algorithms.
    Raises UnreadableError if the file cannot be read, or a checksum differs.
    """
    hashes = {name: _HASHES[name]() for name in (*expected, *also)}
    if not hashes:
        return {}
    with damage_named(path, "cannot be read"), Path(path).open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            for digest in hashes.values():
                digest.update(block)
    found = {name: digest.hexdigest() for name, digest in hashes.items()}
    for name, checksum in expected.items():
        if found[name] != checksum:
            raise UnreadableError(
                f"{path}: its {name} is {found[name]}, expected {checksum}; it is damaged, or another version of"
                " the file"
            )
    return found
