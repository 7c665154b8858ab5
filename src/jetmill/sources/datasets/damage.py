"""HDF5 files that lack a part of what they announce: HDF5 itself silently returns zeros for it."""

from collections.abc import Callable
from math import prod

import h5py
import numpy as np

# Smallest number of rows that are searched for zeros at a time.
ROWS = 100


def check_stored(dataset: h5py.Dataset, file_bytes: int) -> None:
    """Raise ValueError if not all of a dataset is in a file of so many bytes."""
    if dataset.is_virtual or dataset.external or not dataset.size:
        return
    expected = dataset.nbytes
    if dataset.chunks is not None:
        n_chunks = prod(-(-n // chunk) for n, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        if (found := _whole_chunks(dataset, file_bytes)) != n_chunks:
            raise ValueError(f"{found} of {n_chunks} chunks are there")
        if (bytes_of_one := prod(dataset.chunks) * dataset.dtype.itemsize) >= 2**32:
            raise ValueError(f"a chunk of {bytes_of_one} bytes is declared, more than HDF5 allows")
        expected = n_chunks * bytes_of_one
    if not dataset.id.get_create_plist().get_nfilters() and (stored := dataset.id.get_storage_size()) != expected:
        raise ValueError(f"{stored} of {expected} bytes are there")
    if dataset.chunks is None and (start := dataset.id.get_offset()) is not None and start + expected > file_bytes:
        raise ValueError(f"{max(0, file_bytes - start)} of {expected} bytes are there")


def _whole_chunks(dataset: h5py.Dataset, file_bytes: int) -> int:
    """Count the chunks that are at valid positions and lie inside the file."""
    if not hasattr(dataset.id, "chunk_iter"):  # HDF5 before 1.12.3
        return int(dataset.id.get_num_chunks())
    steps, places = dataset.chunks, set()

    def look_at(chunk: h5py.h5d.StoreInfo) -> None:
        on_grid = all(
            o % step == 0 and o < n for o, step, n in zip(chunk.chunk_offset, steps, dataset.shape, strict=True)
        )
        if on_grid and chunk.byte_offset + chunk.size <= file_bytes:
            places.add(chunk.chunk_offset)

    dataset.id.chunk_iter(look_at)
    return len(places)


def zeros_at_end(read: Callable[[slice], np.ndarray], n_rows: int, most: int) -> int:
    """Return how many rows at the end of a dataset are all zeros, if they stand apart from those before.

    A jet without constituents may be all zeros too. So the last rows count only if no other row of those read with them
    is all zeros, at least `ROWS` in all.

    Parameters
    ----------
    read
        Returns some rows as records, (n,) or (n, slots).
    most
        Largest number of rows to read at a time.
    """
    n_zeros = 0
    while n_zeros < n_rows:
        stop = n_rows - n_zeros
        start = max(0, stop - min(most, max(ROWS, n_zeros)))
        records = read(slice(start, stop))
        used = np.flatnonzero(np.any(records.view(np.uint8).reshape(len(records), -1), axis=1))
        if len(used):
            n_before = int(used[-1]) + 1
            return n_zeros + len(records) - n_before if len(used) == n_before else 0
        n_zeros += len(records)
    return n_rows
