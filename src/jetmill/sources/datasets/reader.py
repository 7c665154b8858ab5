"""HDF5 files of the ATLAS training-dataset-dumper: structured arrays, jets (n,) and constituents (n, m)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path

import h5py
import numpy as np

from jetmill.compression import know_all_filters
from jetmill.errors import JetmillError, first_line, nearest, nearest_quantity
from jetmill.files import missing_sources
from jetmill.sources.chunk import ConstituentColumns, MissingVariableError
from jetmill.sources.damage import UnreadableError, damage_named
from jetmill.sources.datasets.damage import check_stored, zeros_at_end
from jetmill.sources.remote import is_remote, not_remote

logger = logging.getLogger(__name__)

VALID = "valid"


class Hdf5Chunk:
    """Some rows of all datasets of a file."""

    def __init__(self, file: "Hdf5Dump", rows: slice, names: Sequence[str]):
        jets = file.read(file.jets, rows)
        self.columns = {name: _native(jets[file.field(file.jets, name)]) for name in names}
        self.entry = np.arange(rows.start, rows.stop)
        self.position = np.zeros_like(self.entry)
        self._file, self._rows = file, rows

    def constituents(self, collection: str, names: Sequence[str], jets: np.ndarray) -> ConstituentColumns:
        """Read the valid constituents of some jets, all records of the chunk at once."""
        dataset = self._file.dataset(collection)
        if not jets.any():
            types = self._file.constituent_dtypes(collection, names)
            return ConstituentColumns(np.empty(0, dtype=np.int64), {n: np.empty(0, types[n]) for n in names})
        slots = self._file.read(collection, self._rows)
        used = slots[VALID].astype(bool) if VALID in dataset.dtype.names else _not_nan(slots)
        used &= jets[:, None]
        # Selecting whole records first, then their fields, is faster than a mask per field.
        records = slots.reshape(-1).take(np.flatnonzero(used))
        fields = {name: self._file.field(collection, name) for name in names}
        return ConstituentColumns(used.sum(axis=1)[jets], {name: _native(records[f]) for name, f in fields.items()})


class Hdf5Dump:
    """An open HDF5 file with one structured dataset of jets and one of each kind of constituents."""

    def __init__(
        self, path: str, file: h5py.File, jets: str, chunk_bytes: int, aliases: Mapping[str, Mapping[str, str]]
    ):
        self.jets = jets
        self._aliases, self._chunk_bytes = aliases, chunk_bytes
        self.identity: dict[str, int | str] = {"size": Path(path).stat().st_size}
        self._path, self._file = path, file
        self._datasets: dict[str, h5py.Dataset] = {}

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of jets; raises JetmillError for one that is not there."""
        return self._dtypes(self.jets, names, ndim=1)

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of constituents; raises JetmillError for one that is not there."""
        types = self._dtypes(collection, names, ndim=2)
        known = self.dataset(collection).dtype
        if VALID not in known.names and not any(known[name].kind == "f" for name in known.names):
            raise JetmillError(
                f"{self._path}: dataset '{collection}' has neither a field '{VALID}' nor a float whose NaN"
                " would say which slots are in use"
            )
        n_jets, n_rows = len(self.dataset(self.jets)), len(self.dataset(collection))
        if n_jets != n_rows:
            raise JetmillError(f"{self._path}: '{collection}' has {n_rows} rows and '{self.jets}' {n_jets}")
        return types

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[Hdf5Chunk]:
        """Yield all jets in file order, about `input.chunk_bytes` at a time."""
        datasets = [self.dataset(name) for name in (self.jets, *constituents)]
        n_jets = len(datasets[0])
        row_bytes = sum(map(_row_bytes, datasets))
        # Whole chunks of the file, so that none is decompressed twice.
        unit = max((d.chunks[0] for d in datasets if d.chunks), default=1)
        step = unit * max(1, self._chunk_bytes // (row_bytes * unit))
        for start in range(0, n_jets, step):
            yield Hdf5Chunk(self, slice(start, min(start + step, n_jets)), names)
        for name in (self.jets, *constituents):
            self._warn_of_zeros(name)

    def field(self, dataset: str, name: str) -> str:
        """Return the field of a dataset that holds a variable."""
        return self._aliases.get(dataset, {}).get(name, name)

    def dataset(self, name: str) -> h5py.Dataset:
        """Return a structured dataset, or raise."""
        if name not in self._datasets:
            self._datasets[name] = self._find(name)
        return self._datasets[name]

    def read(self, name: str, rows: slice) -> np.ndarray:
        """Read whole records of consecutive rows; reading single fields takes HDF5 ten times longer."""
        dataset = self.dataset(name)
        records = np.empty((rows.stop - rows.start, *dataset.shape[1:]), dtype=dataset.dtype)
        with damage_named(self._path, f"'{name}' cannot be read"):
            try:
                dataset.read_direct(records, rows)
            except OSError as error:
                if _filters_are_known(dataset):
                    raise
                advice = "it is compressed with a filter of hdf5plugin: `pip install hdf5plugin`"
                raise JetmillError(f"{self._path}: '{name}' cannot be read; {advice} ({first_line(error)})") from None
        return records

    def _warn_of_zeros(self, name: str) -> None:
        """Warn of records that are all zeros at the end, as where the copy of a file stopped."""
        dataset = self.dataset(name)
        most = max(1, self._chunk_bytes // _row_bytes(dataset))
        if n := zeros_at_end(partial(self.read, name), len(dataset), most):
            what = f"the last {n} of {len(dataset)} rows of '{name}' are all zeros"
            logger.warning("%s: %s, as in an incomplete copy", self._path, what)

    def _find(self, name: str) -> h5py.Dataset:
        with damage_named(self._path, "its datasets cannot be read"):
            # A name that is not text is bytes, and an item that cannot be opened is None.
            items = {str(key): item for key, item in self._file.items()}
            if name in items and items[name] is None:
                self._file[name]  # says why
            known = [key for key, item in items.items() if isinstance(item, h5py.Dataset) and item.dtype.names]
        if name not in known:
            held = ", ".join(known) or "none at all"
            raise JetmillError(f"{self._path}: no structured dataset '{name}'; it holds {held}.{nearest(name, known)}")
        if gone := missing_sources(self._path, self._file[name]):
            raise UnreadableError(f"{self._path}: '{name}' points to '{gone[0]}', which is not there")
        with damage_named(self._path, f"'{name}' cannot be read"):
            check_stored(self._file[name], int(self.identity["size"]))
        return self._file[name]

    def _dtypes(self, dataset: str, names: Sequence[str], ndim: int) -> dict[str, np.dtype]:
        found = self.dataset(dataset)
        if found.ndim != ndim:
            expected = "(jets,)" if ndim == 1 else "(jets, slots)"
            raise JetmillError(f"{self._path}: dataset '{dataset}' has shape {found.shape}, not {expected}")
        fields, types = found.dtype.names or (), {}
        for name in names:
            field = self.field(dataset, name)
            if field not in fields:
                given = "" if field == name else f", as the alias {name} says"
                hint = nearest_quantity(field, fields)
                raise MissingVariableError(f"{self._path}: dataset '{dataset}' has no field '{field}'{given}.{hint}")
            if (dtype := found.dtype[field]).kind not in "fiub" or dtype.shape:
                raise JetmillError(f"{self._path}: field '{field}' of '{dataset}' ({dtype}) is not one number")
            types[name] = dtype.newbyteorder("=")
        return types


def _native(field: np.ndarray) -> np.ndarray:
    """Return a field as a contiguous array in the byte order of this machine."""
    return np.ascontiguousarray(field, dtype=field.dtype.newbyteorder("="))


def _row_bytes(dataset: h5py.Dataset) -> int:
    return int(dataset.dtype.itemsize * max(1, prod(dataset.shape[1:])))


def _not_nan(slots: np.ndarray) -> np.ndarray:
    """Return which slots are in use where no field says so: those whose first float is not NaN."""
    first = next(name for name in slots.dtype.names or () if slots.dtype[name].kind == "f")
    in_use: np.ndarray = ~np.isnan(slots[first])
    return in_use


def _filters_are_known(dataset: h5py.Dataset) -> bool:
    stored = dataset.id.get_create_plist()
    return all(h5py.h5z.filter_avail(stored.get_filter(i)[0]) for i in range(stored.get_nfilters()))


@contextmanager
def open_datasets(
    path: str, *, jets: str, chunk_bytes: int, aliases: Mapping[str, Mapping[str, str]]
) -> Iterator[Hdf5Dump]:
    """Open a file of structured datasets.

    Parameters
    ----------
    path
        The file.
    jets
        Name of the dataset of jets.
    chunk_bytes
        Bytes of whole records to read at a time.
    aliases
        Dataset to variable to the field that holds it, where that has another name.

    Raises
    ------
    UnreadableError
        If the file is missing, not HDF5 or truncated.
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
        yield Hdf5Dump(path, file, jets, chunk_bytes, aliases)
