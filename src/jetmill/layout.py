"""The layout of the final files: groups of plain arrays, whole rows in chunks of about 1 MiB.

Writing, indexing and reading share what stands here.
"""

from collections.abc import Iterator, Mapping, Sequence
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
            for rows in _blocks(values.shape, dtype):
                # NumPy turns float32 into float16 several times faster than HDF5 would.
                dataset[rows] = values.take(order[rows], axis=0).astype(dtype, copy=False)
            dataset.attrs.update(attributes.get(name, {}))


def write_index(parts: Sequence[str | Path], output: str | Path, *, merge: bool) -> int:
    """Join parts into one file that only points to them (a virtual dataset), or that holds copies.

    The pointers are relative, so the directory can be moved as a whole.

    Returns
    -------
    int
        Number of jets.
    """
    output = Path(output)
    shapes = [_shapes(path) for path in parts]
    with complete(output) as partial, h5py.File(partial, "w") as file, h5py.File(parts[0], "r") as first:
        for name, (_, dtype) in shapes[0].items():
            lengths = [shape[name][0][0] for shape in shapes]
            tail = shapes[0][name][0][1:]
            whole = (sum(lengths), *tail)
            starts = np.cumsum([0, *lengths])
            if merge:
                dataset = create(file, name, whole, dtype)
                for path, start in zip(parts, starts, strict=False):
                    with h5py.File(path, "r") as part:
                        for rows in _blocks(part[name].shape, dtype):
                            dataset[start + rows.start : start + rows.stop] = part[name][rows]
            else:
                layout = h5py.VirtualLayout(whole, dtype)
                # As h5py does for every other dataset: the file must not depend on the time.
                layout.dcpl.set_obj_track_times(False)
                for path, start, n in zip(parts, starts, lengths, strict=False):
                    relative = str(Path(path).relative_to(output.parent))
                    layout[start : start + n] = h5py.VirtualSource(relative, name, (n, *tail), dtype)
                file.create_virtual_dataset(name, layout)
            file[name].attrs.update(first[name].attrs)
    return sum(shape[LABELS][0][0] for shape in shapes)


def create(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype) -> h5py.Dataset:
    """Create a dataset whose chunks hold whole rows, about `CHUNK_BYTES` of them."""
    chunks = (min(_chunk_rows(shape, dtype), shape[0]), *shape[1:]) if shape[0] else None
    return file.create_dataset(name, shape, dtype, chunks=chunks)


def _chunk_rows(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return max(1, CHUNK_BYTES // max(1, dtype.itemsize * int(np.prod(shape[1:], dtype=int))))


def _blocks(shape: tuple[int, ...], dtype: np.dtype) -> Iterator[slice]:
    """Yield slices of rows of several whole chunks each."""
    step = 8 * _chunk_rows(shape, dtype)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def _shapes(path: str | Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    found: dict[str, tuple[tuple[int, ...], np.dtype]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape, item.dtype

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found
