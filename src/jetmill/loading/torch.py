"""Jets for PyTorch: streams as iterable datasets, finished files as map-style datasets.

In a distributed training each rank gets jets of its own, and as many batches as the others. Rank and number of ranks
are those of ``torch.distributed`` where it is initialised, unless they are given.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import torch.distributed as dist
from torch.utils.data import Dataset, DistributedSampler, IterableDataset, get_worker_info

from jetmill.errors import JetmillError
from jetmill.formats.files.layout import check_parts, open_finished
from jetmill.formats.files.names import names_of
from jetmill.loading.jets import _readable as readable
from jetmill.loading.sharing import batch_edges, share
from jetmill.loading.streams import Stream

Tensors = dict[str, torch.Tensor]


class StreamDataset(IterableDataset[Tensors]):
    """A `jetmill.Stream` for ``DataLoader(dataset, batch_size=None, num_workers=4)``.

    Each worker of each rank yields batches of its own jets; together they yield every jet once. Each iteration is
    another epoch, in another order, which with workers depends on ``torch.manual_seed``. Ranks have to agree on the
    order: with workers in a distributed training call `set_epoch` before each epoch, or all have the same order.

    Parameters
    ----------
    stream
        The stream, with the size of a batch.
    rank, world_size
        Number of this process, of how many.
    shuffle
        Whether each iteration is another epoch; otherwise all have the order of epoch 0.
    drop_last
        Whether to leave out batches that are smaller.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        rank: int | None = None,
        world_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
    ):
        self._stream, self._given = stream, _given(rank, world_size)
        self._shuffle, self._drop_last = shuffle, drop_last
        self._n_iterations = 0
        # Shared with workers, which live through several epochs if they are persistent.
        self._epoch = torch.tensor(-1).share_memory_()
        # Here rather than in each worker.
        stream.jets_of_keys  # noqa: B018

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is next; without it each iteration is another one."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        """Return the number of batches of this rank in an epoch."""
        world_size = _place(self._given)[1]
        n_jets, size = self._stream.n_jets, self._stream.batch_size
        return (len(batch_edges(n_jets, size, world_size, drop_last=self._drop_last)) - 1) // world_size

    def __iter__(self) -> Iterator[Tensors]:
        (rank, world_size), info = _place(self._given), get_worker_info()
        epoch, self._n_iterations = self._n_iterations, self._n_iterations + 1
        if not self._shuffle:
            epoch = 0
        elif self._epoch >= 0:
            epoch = int(self._epoch)
        elif info is not None and world_size > 1:
            warnings.warn("call set_epoch(epoch) before each epoch; without it they have the same order", stacklevel=2)
        elif info is not None:
            # New workers get a copy that has not counted, but a new seed, the same for all but for their number.
            epoch += info.seed - info.id
        worker, n_workers = (0, 1) if info is None else (info.id, info.num_workers)
        place = {"rank": rank, "world_size": world_size}
        return map(_tensors, self._stream.epoch(epoch, worker, n_workers, **place, drop_last=self._drop_last))

    def __getstate__(self) -> dict[str, Any]:
        # Workers that are not forked do not know of torch.distributed.
        return self.__dict__ | {"_given": self._given or _of_torch()}


class FileDataset(Dataset[Tensors]):
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
            labels = names_of(file).labels
            if labels not in file:
                raise JetmillError(f"{path}: holds no '{labels}'; it is not a file of finished jets")
            check_parts(path, file[labels])
            known: list[str] = []
            file.visititems(lambda name, item: known.append(name) if isinstance(item, h5py.Dataset) else None)
            self._n_jets: int = file[labels].shape[0]
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
        # HDF5 requires increasing numbers, each once.
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


class BlockSampler(DistributedSampler[slice]):
    """Blocks of consecutive rows, in random order: the file is already shuffled.

    Parameters
    ----------
    n_rows, batch_size
        Rows of the file, and of a block; the last one may be smaller, and with several ranks others too.
    seed
        Seed of the order; each iteration has another one.
    rank, world_size
        Number of this process, of how many.
    shuffle
        Whether the order is random; otherwise it is that of the file.
    drop_last
        Whether to leave out blocks that are smaller.
    """

    # A DistributedSampler in name only: Lightning replaces all others where there are several ranks.

    def __init__(
        self,
        n_rows: int,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
    ):
        self._shuffle, self._drop_last = shuffle, drop_last
        self._n_rows, self._size, self._seed, self._given = n_rows, batch_size, seed, _given(rank, world_size)
        self._n_iterations, self._epoch = 0, -1

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is next; without it each iteration is another one."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of blocks of this rank."""
        world_size = _place(self._given)[1]
        return (len(self._edges(world_size)) - 1) // world_size

    def __iter__(self) -> Iterator[slice]:
        rank, world_size = _place(self._given)
        epoch, self._n_iterations = self._n_iterations, self._n_iterations + 1
        edges = self._edges(world_size).tolist()
        rng = np.random.default_rng([self._seed, epoch if self._epoch < 0 else self._epoch])
        mine = share(len(edges) - 1, rank, world_size)
        order = rng.permutation(len(edges) - 1) if self._shuffle else np.arange(len(edges) - 1)
        return (slice(edges[k], edges[k + 1]) for k in order[mine].tolist())

    def _edges(self, world_size: int) -> np.ndarray:
        return batch_edges(self._n_rows, self._size, world_size, drop_last=self._drop_last)


_Place = tuple[int, int]


def _given(rank: int | None, world_size: int | None) -> _Place | None:
    """Return rank and number of ranks if they are given, else None."""
    if rank is None and world_size is None:
        return None
    if rank is None or world_size is None:
        raise JetmillError("rank and world_size belong together; give both or none")
    share(0, rank, world_size)
    return rank, world_size


def _of_torch() -> _Place | None:
    """Return rank and number of ranks of torch.distributed, None where it is not initialised."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else None


def _place(given: _Place | None) -> _Place:
    return given or _of_torch() or (0, 1)


def _tensors(arrays: dict[str, np.ndarray]) -> Tensors:
    return {name: torch.from_numpy(_known(values)) for name, values in arrays.items()}


def _known(values: np.ndarray) -> np.ndarray:
    """Return labels as int64, which losses want, and unsigned integers in a type that PyTorch computes with."""
    if values.dtype.kind == "u":
        # Event numbers keep their bits; PyTorch can do little with uint64.
        return values.view(np.int64) if values.dtype == np.uint64 else values.astype(np.int64)
    return values.astype(np.int64) if values.dtype.kind == "i" else values
