"""Files that appear under their name only when they are complete."""

import errno
import glob
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetmill.errors import JetmillError, first_line

if TYPE_CHECKING:
    import h5py

# A full disk, a quota, a limit, a file system that is read-only or broken, no permission.
_OF_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES}


class UnwritableError(JetmillError):
    """A file cannot be written, for a reason of the system."""


@contextmanager
def complete(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, which takes its place if the block succeeds.

    Raises
    ------
    UnwritableError
        If the disk is full or the like.
    """
    path = Path(path)
    with unwritable_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(path)
        try:
            yield partial
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


@contextmanager
def complete_directory(path: str | Path) -> Iterator[Path]:
    """Give a temporary directory beside `path`, which takes its place if the block succeeds.

    Raises
    ------
    UnwritableError
        If the disk is full or the like.
    """
    path = Path(path)
    with unwritable_named(path):
        partial = _partial(path)
        partial.mkdir(parents=True)
        try:
            yield partial
            shutil.rmtree(path, ignore_errors=True)
            partial.replace(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _partial(path: Path) -> Path:
    """Return a temporary name beside `path`, and remove what jobs that were killed have left there."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


@contextmanager
def unwritable_named(path: Path) -> Iterator[None]:
    """Turn what is raised where the system refuses to write into an `UnwritableError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 raises both.
        if reason := _reason_of_system(error):
            raise UnwritableError(f"{path}: cannot be written: {reason}") from error
        raise


def _reason_of_system(error: BaseException | None) -> str | None:
    """Return why the system refuses, which HDF5 says in its message alone, or in that of an earlier exception."""
    while error is not None:
        told = re.search(r"errno = (\d+)", str(error))
        number = int(told[1]) if told else getattr(error, "errno", None)
        if number in _OF_SYSTEM:
            return os.strerror(number)
        error = error.__context__
    return None


@contextmanager
def made_earlier(path: str | Path) -> Iterator[None]:
    """Say what to do about a file of an earlier job that is damaged or gone."""
    try:
        yield
    except FileNotFoundError as error:
        raise JetmillError(f"{path}: no such file; start snakemake again, which makes it anew") from error
    except (OSError, ValueError, KeyError) as error:
        raise JetmillError(
            f"{path}: damaged ({first_line(error)}). Remove it and start again: Snakemake then makes it anew"
        ) from error


def open_made_earlier(path: str | Path) -> "h5py.File":
    """Open an HDF5 file of an earlier job for reading."""
    import h5py  # takes a tenth of a second, which jobs without HDF5 need not spend

    with made_earlier(path):
        return h5py.File(path, "r")


def put(file: "h5py.File", name: str, values: Any, **options: Any) -> None:
    """Create a dataset and write it at once.

    A dataset that is not flushed is written when it is closed, where h5py does not raise if the disk is full.
    """
    dataset = file.create_dataset(name, data=values, **options)
    dataset.flush()


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, as ``sha256sum`` prints it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_sources(path: str | Path, dataset: Any) -> list[str]:
    """Return the files that a dataset of the HDF5 file `path` points to and that are not there.

    HDF5 would silently return its fill value in their place. It looks for them beside the file and, if that is a
    link, beside what the link points to. (It looks in the working directory too, where they are those of another file.)
    """
    if not dataset.is_virtual:
        return []
    beside = {Path(path).parent, Path(path).resolve().parent}
    sources = (source.file_name for source in dataset.virtual_sources())
    return [name for name in sources if not any((directory / name).exists() for directory in beside)]
