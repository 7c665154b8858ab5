"""The layout of the final files: names of datasets, whole rows in chunks of about 1 MiB.

Writing, joining and reading share it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jetmill.compression import filters, know_all_filters
from jetmill.errors import JetmillError
from jetmill.files import atomic_write, missing_sources, open_intermediate_file
from jetmill.formats.content.rows import Rows, take
from jetmill.formats.files.names import names_of

if TYPE_CHECKING:
    import h5py  # takes a tenth of a second, which the main process need not spend

# Attribute of the inputs of a collection that is truth, no input.
OBJECTS = "objects"

CHUNK_BYTES = 2**20


def constituent_inputs(collection: str) -> str:
    """Return the dataset of the inputs of constituents."""
    return f"{collection}/inputs"


def valid(collection: str) -> str:
    """Return the dataset of the slots in use."""
    return f"{collection}/valid"


def constituent_label(collection: str, label: str) -> str:
    """Return the dataset of a label of constituents."""
    return f"{collection}/labels/{label}"


def constituent_field(collection: str, name: str) -> str:
    """Return the dataset of a field of constituents that is kept as in the input."""
    return f"{collection}/fields/{name}"


def open_finished(path: str | Path) -> "h5py.File":
    """Open a finished file for reading, whatever its compression."""
    import h5py

    know_all_filters()
    return h5py.File(path, "r")


def reopen_finished(path: str | Path) -> "h5py.File":
    """Open a finished file in a later job; an error says how to rebuild it."""
    know_all_filters()
    return open_intermediate_file(path)


def check_parts(path: str | Path, dataset: "h5py.Dataset") -> None:
    """Raise JetmillError if a dataset of a file points to missing parts, whose values HDF5 would make up."""
    if gone := missing_sources(path, dataset):
        raise JetmillError(
            f"{path}: points to '{gone[0]}', which is not there; copy its parts too, or write one file with"
            " write.merge: true"
        )


def collections(file: "h5py.File") -> list[str]:
    """Return the collections of constituents in a file."""
    jets_name = names_of(file).jets
    return [name for name in file if name != jets_name]


def constituent_labels(file: "h5py.File", collection: str) -> list[str]:
    """Return the labels of a collection in a file."""
    return list(file.get(f"{collection}/labels", ()))


def constituent_fields(file: "h5py.File", collection: str) -> list[str]:
    """Return the fields of a collection that a file keeps."""
    return list(file.get(f"{collection}/fields", ()))


def datasets(file: "h5py.File") -> "dict[str, h5py.Dataset]":
    """Return all datasets of a file by name."""
    import h5py

    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.update({name: item} if isinstance(item, h5py.Dataset) else {}))
    return found


def write_rows(
    path: str | Path,
    rows: Mapping[str, Rows],
    order: np.ndarray,
    attributes: Mapping[str, Mapping[str, Any]],
    types: Mapping[str, str],
    compression: str,
) -> None:
    """Write rows in another order, in blocks, under the final name only when complete.

    Parameters
    ----------
    rows
        Dataset to rows, of the same jets each.
    order : ndarray of int, shape (n_jets,)
        Row to put at each place.
    attributes, types
        Dataset (or group) to its attributes, and to the type it is written as, where that is not its own.
    compression
        See `jetmill.compression`.
    """
    import h5py

    with atomic_write(path) as partial, h5py.File(partial, "w") as file:
        for name, values in rows.items():
            dtype = np.dtype(types.get(name, values.dtype))
            dataset = create(file, name, values.shape, dtype, compression)
            for block in blocks(values.shape, dtype):
                # NumPy converts float32 to float16 several times faster than HDF5.
                dataset[block] = take(values, order[block]).astype(dtype, copy=False)
            dataset.flush()
        for name, values_of_name in attributes.items():
            file[name].attrs.update(values_of_name)


def create(
    file: "h5py.File", name: str, shape: tuple[int, ...], dtype: np.dtype, compression: str = "none"
) -> "h5py.Dataset":
    """Create a dataset whose chunks hold whole rows, about `CHUNK_BYTES` of them."""
    if not shape[0]:
        return file.create_dataset(name, shape, dtype)
    chunks = (min(_chunk_rows(shape, dtype), shape[0]), *shape[1:])
    return file.create_dataset(name, shape, dtype, chunks=chunks, **filters(compression))


def _chunk_rows(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return max(1, CHUNK_BYTES // max(1, dtype.itemsize * int(np.prod(shape[1:], dtype=int))))


def blocks(shape: tuple[int, ...], dtype: np.dtype) -> Iterator[slice]:
    """Yield slices of rows of several whole chunks each."""
    step = 8 * _chunk_rows(shape, dtype)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))
