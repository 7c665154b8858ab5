"""Batch files for streams, which read a few rows at a time of many files, many times.

The file is opened as HDF5 once, to find out where the chunks of its columns are. Rows are then read from there alone,
not with the whole chunks around them, and the checksum of a chunk is checked when it is first used.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jetmill.columns.batch_file import ADVICE, Batch
from jetmill.columns.batch_list import CleanedBatch
from jetmill.columns.schema import Column, Kind
from jetmill.errors import JetmillError
from jetmill.splitting import Groups

# Files that are kept open: systems allow a process 1024, and each worker is a process.
OPEN_FILES = 512


@dataclass(frozen=True)
class MappedCleanedBatch(CleanedBatch):
    """A cleaned batch whose chunks stay known once it was opened."""

    @classmethod
    def of(cls, listed: CleanedBatch) -> "MappedCleanedBatch":
        """Return a batch of a list as one of these."""
        return cls(**{field.name: getattr(listed, field.name) for field in fields(listed)})

    @cached_property
    def _opened(self) -> "MappedBatch":
        return MappedBatch(self.path, self.types, self.groups)

    def open(self) -> Batch:
        """Open the column file for reading."""
        return self._opened


@dataclass(frozen=True)
class _Chunks:
    """Where the chunks of a column are.

    Attributes
    ----------
    dtype, length, rows
        Type and rows of the column, rows of a chunk.
    places : ndarray of int64, shape (n_chunks,)
        First byte of each chunk.
    checked : ndarray of bool, shape (n_chunks,)
        Whether its checksum was checked.
    """

    dtype: np.dtype
    length: int
    rows: int
    places: np.ndarray
    checked: np.ndarray


class MappedBatch(Batch):
    """A batch of cleaned jets, for reading any number of times; closing it has no effect."""

    def __init__(self, path: str, types: Mapping[Column, str], groups: Groups):
        super().__init__(path, types, groups)
        with self._file, self._damage_named():
            self._identity = _identity(Path(path).stat())
            names: list[bytes] = []
            h5py.h5o.visit(self._file.id, names.append)
            objects = {name.decode(): h5py.h5o.open(self._file.id, name) for name in names}
            self._chunks = {n: _chunks(d) for n, d in objects.items() if isinstance(d, h5py.h5d.DatasetID)}
        # What is open cannot go to a worker.
        del self._file

    def __exit__(self, *exc: object) -> None:
        pass

    def attribute(self, name: str) -> Any:
        """Return an attribute, parsed if it is JSON."""
        with Batch(self.path) as batch:
            return batch.attribute(name)

    def columns(self, kind: Kind) -> list[Column]:
        """Return the columns of jets of a kind."""
        group = f"{kind.value}/"
        return [Column(kind, name.removeprefix(group)) for name in sorted(self._chunks) if name.startswith(group)]

    def values(self, column: Column, rows: slice) -> np.ndarray:
        """Read consecutive rows of a column as they are stored."""
        chunks = self._chunks[column.path]
        found = []
        start, end = rows.indices(chunks.length)[:2]
        while start < end:
            number, first = divmod(start, chunks.rows)
            stop = min(end - start + first, chunks.rows)
            if not chunks.checked[number]:
                self._check(chunks, number)
            place = int(chunks.places[number]) + first * chunks.dtype.itemsize
            found.append(np.frombuffer(self._bytes(place, (stop - first) * chunks.dtype.itemsize), chunks.dtype))
            start += stop - first
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else np.empty(0, chunks.dtype)

    def _check(self, chunks: _Chunks, number: int) -> None:
        data = self._bytes(int(chunks.places[number]), chunks.rows * chunks.dtype.itemsize + 4)
        if fletcher32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise JetmillError(f"{self.path}: damaged (a checksum is wrong). {ADVICE}")
        chunks.checked[number] = True

    def _bytes(self, start: int, n: int) -> bytes:
        try:
            file = _open(self.path, self._identity)
            data = os.pread(file.descriptor, n, start)
            # Linux reads at most 2 GB at a time, far more than a chunk; less than asked for is the end of the file.
            if len(data) < n:
                raise OSError("it is too short")
        except FileNotFoundError:
            raise JetmillError(f"{self.path}: is gone; start again") from None
        except OSError as error:
            raise JetmillError(f"{self.path}: damaged ({error}). {ADVICE}") from None
        return data


class _Open:
    """A file that is open until nothing refers to it."""

    def __init__(self, path: str):
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


@lru_cache(OPEN_FILES)
def _open(path: str, identity: tuple[int, ...]) -> _Open:
    """Open a file, or return it if it still is; it has to be the one that was looked at first."""
    file = _Open(path)
    if _identity(os.fstat(file.descriptor)) != identity:
        raise JetmillError(f"{path}: was written again meanwhile; make the stream again")
    return file


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _chunks(dataset: "h5py.h5d.DatasetID") -> _Chunks:
    length, dtype = dataset.shape[0], dataset.dtype
    if not length:
        return _Chunks(dtype, 0, 1, np.empty(0, np.int64), np.empty(0, bool))
    rows = dataset.get_create_plist().get_chunk()[0]
    places = np.zeros(-(-length // rows), dtype=np.int64)

    def note(chunk: Any) -> None:
        places[chunk.chunk_offset[0] // rows] = chunk.byte_offset

    dataset.chunk_iter(note)
    return _Chunks(dtype, length, rows, places, np.zeros(len(places), dtype=bool))


def fletcher32(data: bytes) -> int:
    """Return the checksum that HDF5 keeps of a chunk: sums modulo 65535 of its 16-bit words, and of these sums."""
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype(np.int64)
    sums = int(words.sum()), int(words @ np.arange(len(words), 0, -1))
    # A sum that is no zero is not reduced to one.
    first, second = ((total - 1) % 65535 + 1 if total else 0 for total in sums)
    return second << 16 | first
