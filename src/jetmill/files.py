"""Files that appear under their name only when they are complete."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def complete(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, which takes its place if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def complete_directory(path: str | Path) -> Iterator[Path]:
    """Give a temporary directory beside `path`, which takes its place if the block succeeds."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, as ``sha256sum`` prints it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_sources(path: str | Path, dataset: Any) -> list[str]:
    """Return the files that a dataset of the HDF5 file `path` points to and that are not there.

    HDF5 would silently return zeros in their place.
    """
    if not dataset.is_virtual:
        return []
    return [s.file_name for s in dataset.virtual_sources() if not (Path(path).parent / s.file_name).exists()]
