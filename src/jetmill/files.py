"""Files that appear under their name only when they are complete, and are checked when they are read.

Working files, which later jobs read, have checksums: HDF5 files of every chunk, of what describes the chunks, and of
the attributes; JSON files of the whole text.
"""

import errno
import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetmill.errors import JetmillError, first_line

if TYPE_CHECKING:
    import h5py
    import numpy as np

# A full disk, a quota, a limit, a file system that is read-only or broken, no permission.
_OF_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES}


# Name of the checksum of a working file; size of its chunks.
CHECKSUM, CHUNK_BYTES = "sha256", 2**18
MAKE_AGAIN = "Remove it and start again: Snakemake then rebuilds it"


# What the files of this job record of their origin, and its name: see `jetmill.workflow.made_from`.
MADE_FROM = "made_from"
origin: dict[str, str] = {}
# Called with temporary and final path of each complete file, before it gets its name.
finishers: list[Callable[[Path, Path], None]] = []
# Called with the path of each intermediate file that is opened, and its recorded origin.
origin_checks: list[Callable[[str | Path, str | None], None]] = []


class UnwritableError(JetmillError):
    """A file cannot be written, for a reason of the system."""


@contextmanager
def atomic_write(path: str | Path, *, directory: bool = False) -> Iterator[Path]:
    """Give a temporary path (or directory) beside `path`, which replaces it if the block succeeds.

    Raises
    ------
    UnwritableError
        If the disk is full or the like.
    """
    path = Path(path)
    with unwritable_named(path):
        # Remove what killed jobs have left.
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
            _remove(left)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        (partial if directory else path.parent).mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            for finish in finishers:
                finish(partial, path)
            if directory:
                _remove(path)
            partial.replace(path)
        finally:
            _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@contextmanager
def unwritable_named(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into an `UnwritableError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 raises both.
        if reason := _reason_of_system(error):
            raise UnwritableError(f"{path}: cannot be written: {reason}") from error
        raise


def _reason_of_system(error: BaseException | None) -> str | None:
    """Return why the system refuses; HDF5 says so only in its message, or in that of an earlier exception."""
    while error is not None:
        found = re.search(r"errno = (\d+)", str(error))
        number = int(found[1]) if found else getattr(error, "errno", None)
        if number in _OF_SYSTEM:
            return os.strerror(number)
        error = error.__context__
    return None


@contextmanager
def intermediate_file(path: str | Path, advice: str = MAKE_AGAIN) -> Iterator[None]:
    """Report what to do about a file of an earlier job that is damaged or gone."""
    try:
        yield
    except FileNotFoundError as error:
        raise JetmillError(f"{path}: no such file; start snakemake again, which rebuilds it") from error
    except (OSError, ValueError, KeyError) as error:
        raise JetmillError(f"{path}: damaged ({first_line(error)}). {advice}") from error


@contextmanager
def open_intermediate_file(path: str | Path) -> "Iterator[h5py.File]":
    """Open an HDF5 file of an earlier job for reading; errors of HDF5 while it is open mean that it is damaged."""
    import h5py  # takes a tenth of a second, which jobs without HDF5 need not spend

    with intermediate_file(path):
        file = h5py.File(path, "r")
    with file, hdf5_damage_named(path):
        check_attributes(file)
        yield file


@contextmanager
def hdf5_damage_named(path: str | Path, advice: str = MAKE_AGAIN) -> Iterator[None]:
    """Turn errors of HDF5 for a damaged file or checksum into a JetmillError that names the file."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        # All messages of HDF5 begin like this; some concern a file that is being written.
        if not re.match("['\"]?(Unable to|Can't|Object visitation|checksum)(?!.*(write|create|flush))", str(error)):
            raise
        reason = "a checksum is wrong" if re.search("checksum|filter", str(error)) else first_line(error)
        raise JetmillError(f"{path}: damaged ({reason}). {advice}") from error


@contextmanager
def create_hdf5(path: str | Path) -> "Iterator[h5py.File]":
    """Give a working file to fill with `put` or `create_dataset`; it appears under its name when complete.

    All of it has checksums, except the attributes of groups and datasets.
    """
    import h5py

    # Since HDF5 1.10, metadata can have checksums. Without times, bytes depend only on the content.
    of_file, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    of_file.set_obj_track_times(False)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    with (
        atomic_write(path) as partial,
        h5py.File(h5py.h5f.create(os.fsencode(partial), h5py.h5f.ACC_TRUNC, of_file, access)) as file,
    ):
        yield file
        file.attrs.update(origin)
        file.attrs[CHECKSUM] = _of_attributes(file)


def check_attributes(file: "h5py.File") -> None:
    """Raise OSError if the attributes of a working file are not those that were written."""
    try:
        right = CHECKSUM not in file.attrs or file.attrs[CHECKSUM] == _of_attributes(file)
    except Exception:  # damaged text can be anything
        right = False
    if not right:
        raise OSError("checksum of the attributes")


def _of_attributes(file: "h5py.File") -> str:
    values = {name: value for name, value in file.attrs.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=lambda x: x.tolist()).encode()).hexdigest()


def create_dataset(
    file: "h5py.File", name: str, shape: tuple[int, ...], dtype: "np.dtype", **options: Any
) -> "h5py.Dataset":
    """Create a dataset in chunks, each with a checksum."""
    import h5py

    *groups, _ = name.split("/")
    for n in range(1, len(groups) + 1):
        if "/".join(groups[:n]) not in file:
            of_group = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
            of_group.set_obj_track_times(False)
            h5py.h5g.create(file.id, "/".join(groups[:n]).encode(), gcpl=of_group)
    if 0 in shape:  # has no chunks
        return file.create_dataset(name, shape, dtype)
    chunks = (min(shape[0], max(1, CHUNK_BYTES // dtype.itemsize)),) if len(shape) == 1 else True
    return file.create_dataset(name, shape, dtype, chunks=chunks, fletcher32=True, **options)


def put(file: "h5py.File", name: str, values: "np.ndarray", **options: Any) -> None:
    """Write a dataset, created as `create_dataset` does.

    It is flushed, since h5py does not raise if the disk is full when it writes on closing.
    """
    dataset = create_dataset(file, name, values.shape, values.dtype, **options)
    dataset[...] = values
    dataset.flush()


def write_json(path: str | Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    """Write a mapping as JSON, with ``sha256`` as its first key: that of the text with zeros in its own place."""
    text = json.dumps({CHECKSUM: "0" * 64, **origin, **content}, indent=indent)
    with atomic_write(path) as partial:
        partial.write_text(text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1))


def read_json(path: str | Path) -> dict[str, Any]:
    """Read what `write_json` wrote; raises JetmillError if it is damaged or gone."""
    with intermediate_file(path):
        content: dict[str, Any] = json.loads(text := Path(path).read_text())
        found = content.pop(CHECKSUM, None) if isinstance(content, dict) else None
        if not isinstance(found, str) or found != hashlib.sha256(text.replace(found, "0" * 64, 1).encode()).hexdigest():
            raise ValueError("its checksum is wrong or not there")
    content.pop(MADE_FROM, None)
    return content


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, as ``sha256sum`` prints it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_sources(path: str | Path, dataset: Any) -> list[str]:
    """Return the missing files that a dataset of the HDF5 file `path` points to.

    HDF5 would silently return its fill value for them. It looks for them beside the file and, if that is a link, beside
    its target. (It looks in the working directory too, where they are those of another file.)
    """
    if not dataset.is_virtual:
        return []
    beside = {Path(path).parent, Path(path).resolve().parent}
    sources = (source.file_name for source in dataset.virtual_sources())
    return [name for name in sources if not any((directory / name).exists() for directory in beside)]
