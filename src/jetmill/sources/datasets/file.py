"""Opening an HDF5 file and reading rows of its datasets, with what is wrong with them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from logging import getLogger
from math import prod
from pathlib import Path

import h5py
import numpy as np

from jetmill.compression import know_all_filters
from jetmill.errors import JetmillError, first_line
from jetmill.files import missing_sources
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources.damage import UnreadableError, damage_named
from jetmill.sources.datasets.damage import check_stored, zeros_at_end
from jetmill.sources.remote import is_remote, not_remote

logger = getLogger(__name__)


class OpenFile:
    """An open file of jets and constituents.

    Parameters
    ----------
    settings
        Section ``input``; ``input.jets`` names the jets.
    constituents
        Collections by name.
    """

    def __init__(self, path: str, file: h5py.File, settings: Input, constituents: Mapping[str, Constituents]):
        self.jets, self._chunk_bytes = settings.jets, settings.chunk_bytes
        self.identity: dict[str, int | str] = {"size": Path(path).stat().st_size}
        self._path, self._file = path, file
        # Of jets and of each collection: variable to what holds it, where that has another name.
        self._aliases = {name: of.aliases for name, of in constituents.items()} | {settings.jets: settings.aliases}


@contextmanager
def open_file(path: str) -> Iterator[h5py.File]:
    """Open a file.

    Raises
    ------
    UnreadableError
        If it is missing, not HDF5 or truncated.
    JetmillError
        If it is a URL.
    """
    if is_remote(path):
        raise JetmillError(f"{path}: {not_remote('hdf5')}")
    know_all_filters()
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise UnreadableError(f"{path}: no such file") from None
    except OSError as error:
        raise UnreadableError(f"{path}: cut short or not a readable HDF5 file ({first_line(error)})") from None
    with file:
        yield file


def datasets_of(path: str, file: h5py.File) -> dict[str, h5py.Dataset | None]:
    """Return the items of a file by name: datasets, groups, and None for what cannot be opened."""
    with damage_named(path, "its datasets cannot be read"):
        # A name that is not text is bytes.
        return {str(key): item for key, item in file.items()}


def check_dataset(path: str, name: str, dataset: h5py.Dataset, file_bytes: int) -> None:
    """Raise UnreadableError if a part of a dataset is missing."""
    if gone := missing_sources(path, dataset):
        raise UnreadableError(f"{path}: '{name}' points to '{gone[0]}', which is not there")
    with damage_named(path, f"'{name}' cannot be read"):
        check_stored(dataset, file_bytes)


def read_rows(path: str, name: str, dataset: h5py.Dataset, rows: slice) -> np.ndarray:
    """Read consecutive rows whole; reading single fields takes HDF5 ten times longer."""
    found = np.empty((rows.stop - rows.start, *dataset.shape[1:]), dtype=dataset.dtype)
    with damage_named(path, f"'{name}' cannot be read"):
        try:
            dataset.read_direct(found, rows)
        except OSError as error:
            if _filters_are_known(dataset):
                raise
            advice = "it is compressed with a filter of hdf5plugin: `pip install hdf5plugin`"
            raise JetmillError(f"{path}: '{name}' cannot be read; {advice} ({first_line(error)})") from None
    return found


def row_slices(datasets: Sequence[h5py.Dataset], chunk_bytes: int) -> Iterator[slice]:
    """Yield slices of the rows of datasets of one length, about so many bytes at a time."""
    n_rows = len(datasets[0])
    # Whole chunks of the file, so that none is decompressed twice.
    unit = max((d.chunks[0] for d in datasets if d.chunks), default=1)
    step = unit * max(1, chunk_bytes // (sum(map(row_bytes, datasets)) * unit))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def warn_of_zeros(path: str, name: str, dataset: h5py.Dataset, chunk_bytes: int) -> None:
    """Warn of rows that are all zeros at the end, as where the copy of a file stopped."""
    read: Callable[[slice], np.ndarray] = partial(read_rows, path, name, dataset)
    if n := zeros_at_end(read, len(dataset), max(1, chunk_bytes // row_bytes(dataset))):
        what = f"the last {n} of {len(dataset)} rows of '{name}' are all zeros"
        logger.warning("%s: %s, as in an incomplete copy", path, what)


def row_bytes(dataset: h5py.Dataset) -> int:
    """Return the size of a row."""
    return int(dataset.dtype.itemsize * max(1, prod(dataset.shape[1:])))


def native(field: np.ndarray) -> np.ndarray:
    """Return a field as a contiguous array in the byte order of this machine."""
    return np.ascontiguousarray(field, dtype=field.dtype.newbyteorder("="))


def _filters_are_known(dataset: h5py.Dataset) -> bool:
    stored = dataset.id.get_create_plist()
    return all(h5py.h5z.filter_avail(stored.get_filter(i)[0]) for i in range(stored.get_nfilters()))
