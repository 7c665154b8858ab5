"""The layout of the final files: groups of plain arrays, whole rows in chunks of about 1 MiB.

Writing, indexing and reading share what stands here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jetmill.files import complete

INPUTS, IS_DEFAULT = "jets/inputs", "jets/is_default"
LABELS, ONE_HOT = "jets/labels", "jets/labels_one_hot"
WEIGHT, BINS, SAMPLE = "jets/weight", "jets/bins", "jets/sample"
REFERENCE, EVENT = "jets/reference", "jets/event"

CHUNK_BYTES = 2**20


def write_rows(
    path: str | Path,
    arrays: Mapping[str, np.ndarray],
    order: np.ndarray,
    attributes: Mapping[str, Mapping[str, Any]],
    types: Mapping[str, str],
) -> None:
    """Write arrays with their rows in another order, in blocks, under the final name only when complete.

    Parameters
    ----------
    arrays
        Dataset name to values (n_rows, ...), all with the same rows.
    order : ndarray of int, shape (n_rows,)
        Row to put at each place.
    attributes
        Dataset name to its attributes.
    types
        Dataset name to the type it is written as, where that is not its own.
    """
    with complete(path) as partial, h5py.File(partial, "w") as file:
        for name, values in arrays.items():
            dtype = np.dtype(types.get(name, values.dtype))
            dataset = create(file, name, values.shape, dtype)
            for rows in blocks(values.shape, dtype):
                # NumPy turns float32 into float16 several times faster than HDF5 would.
                dataset[rows] = values.take(order[rows], axis=0).astype(dtype, copy=False)
            dataset.attrs.update(attributes.get(name, {}))


def create(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype) -> h5py.Dataset:
    """Create a dataset whose chunks hold whole rows, about `CHUNK_BYTES` of them."""
    chunks = (min(_chunk_rows(shape, dtype), shape[0]), *shape[1:]) if shape[0] else None
    return file.create_dataset(name, shape, dtype, chunks=chunks)


def _chunk_rows(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return max(1, CHUNK_BYTES // max(1, dtype.itemsize * int(np.prod(shape[1:], dtype=int))))


def blocks(shape: tuple[int, ...], dtype: np.dtype) -> Iterator[slice]:
    """Yield slices of rows of several whole chunks each."""
    step = 8 * _chunk_rows(shape, dtype)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))
