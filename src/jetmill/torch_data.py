"""Jets for PyTorch: streams as iterable datasets, finished files as map-style datasets."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, Sampler, get_worker_info

from jetmill.errors import JetmillError
from jetmill.loading import _readable as readable
from jetmill.streaming import Stream
from jetmill.writing.layout import LABELS, check_parts, open_finished

Tensors = dict[str, torch.Tensor]


class StreamDataset(IterableDataset):
    """A `jetmill.Stream` for ``DataLoader(dataset, batch_size=None, num_workers=4)``.

    Each worker yields batches of its own jets; together they yield every jet once. Each iteration is
    another epoch, in another order, which with workers depends on ``torch.manual_seed``.

    Parameters
    ----------
    stream
        The stream, with the size of a batch.
    """

    def __init__(self, stream: Stream):
        self._stream = stream
        self._n_iterations = 0

    def __iter__(self) -> Iterator[Tensors]:
        epoch, self._n_iterations = self._n_iterations, self._n_iterations + 1
        info = get_worker_info()
        if info is None:
            return map(_tensors, self._stream.epoch(epoch))
        # New workers get a copy that has not counted, but another seed, which but for their number they share.
        return map(_tensors, self._stream.epoch(info.seed - info.id + epoch, info.id, info.num_workers))


class FileDataset(Dataset):
    """The rows of a finished file, by number, slice or list of numbers.

    Reading a slice is fast, reading scattered rows is not: use it with a `BlockSampler` as
    ``DataLoader(dataset, batch_size=None, sampler=BlockSampler(len(dataset), 1000))``.

    Parameters
    ----------
    path
        The file.
    datasets
        Names of the datasets to read; all if not given.

    Raises
    ------
    JetmillError
        If the file has no such dataset.
    """

    def __init__(self, path: str | Path, datasets: Sequence[str] | None = None):
        self._path = path
        with readable(path) as file:
            if LABELS not in file:
                raise JetmillError(f"{path}: holds no '{LABELS}'; it is not a file of finished jets")
            check_parts(path, file[LABELS])
            known: list[str] = []
            file.visititems(lambda name, item: known.append(name) if isinstance(item, h5py.Dataset) else None)
            self._n_jets = file[LABELS].shape[0]
        self._names = list(datasets or known)
        if unknown := [name for name in self._names if name not in known]:
            raise JetmillError(f"{path}: has no dataset '{unknown[0]}'; it has {', '.join(known)}")
        self._file: h5py.File | None = None

    def __len__(self) -> int:
        return self._n_jets

    def __getitem__(self, rows: int | slice | Sequence[int]) -> Tensors:
        file = self._open()
        if isinstance(rows, int | np.integer | slice):
            return _tensors({name: np.asarray(file[name][rows]) for name in self._names})
        # HDF5 wants rising numbers, each once.
        rising, back = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        return _tensors({name: file[name][rising][back] for name in self._names})

    def __getitems__(self, rows: Sequence[int]) -> list[Tensors]:
        """Read the rows that a DataLoader wants for a batch, at once if they are close together."""
        first, last = min(rows), max(rows)
        if last - first > 4 * len(rows):
            return [self[row] for row in rows]
        found = self[first : last + 1]
        return [{name: values[row - first] for name, values in found.items()} for row in rows]

    def __getstate__(self) -> dict[str, Any]:
        # An open file cannot go to a worker; each opens its own.
        return self.__dict__ | {"_file": None}

    def _open(self) -> h5py.File:
        if self._file is None:
            self._file = open_finished(self._path)
        return self._file


class BlockSampler(Sampler):
    """Blocks of consecutive rows, in random order: the file is mixed already.

    Parameters
    ----------
    n_rows, batch_size
        Rows of the file, and of a block; the last one may be smaller.
    seed
        Of the order; each iteration has another one.
    """

    def __init__(self, n_rows: int, batch_size: int, *, seed: int = 0):
        self._starts, self._n_rows, self._size = np.arange(0, n_rows, batch_size), n_rows, batch_size
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[slice]:
        return (slice(int(s), int(min(s + self._size, self._n_rows))) for s in self._rng.permutation(self._starts))


def _tensors(arrays: dict[str, np.ndarray]) -> Tensors:
    return {name: torch.from_numpy(_known(values)) for name, values in arrays.items()}


def _known(values: np.ndarray) -> np.ndarray:
    """Return labels as int64, which losses want, and unsigned integers in a type that PyTorch computes with."""
    if values.dtype.kind == "u":
        # Event numbers keep their bits; PyTorch can do little with uint64.
        return values.view(np.int64) if values.dtype == np.uint64 else values.astype(np.int64)
    return values.astype(np.int64) if values.dtype.kind == "i" else values
