"""HDF5 files of the ATLAS training-dataset-dumper: structured arrays, jets (n,) and constituents (n, m)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import h5py
import numpy as np

from jetmill.errors import JetmillError, nearest, nearest_quantity
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.settings.types import NAME
from jetmill.sources.chunk import ConstituentColumns, MissingVariableError
from jetmill.sources.damage import damage_named
from jetmill.sources.datasets.file import (
    OpenFile,
    check_dataset,
    datasets_of,
    native,
    open_file,
    read_rows,
    row_slices,
    warn_of_zeros,
)

VALID = "valid"


class Hdf5Chunk:
    """Some rows of all datasets of a file."""

    def __init__(self, file: "Hdf5Dump", rows: slice, names: Sequence[str]):
        jets = file.read(file.jets, rows)
        self.columns = {name: native(jets[file.field(file.jets, name)]) for name in names}
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
        return ConstituentColumns(used.sum(axis=1)[jets], {name: native(records[f]) for name, f in fields.items()})


class Hdf5Dump(OpenFile):
    """An open HDF5 file with one structured dataset of jets and one of each kind of constituents."""

    def __init__(self, path: str, file: h5py.File, settings: Input, constituents: Mapping[str, Constituents]):
        super().__init__(path, file, settings, constituents)
        self._datasets: dict[str, h5py.Dataset] = {}

    def variables(self) -> list[str]:
        """Return the names of all fields of jets that are numbers, sorted."""
        return self._numbers(self.jets)

    def constituent_variables(self, collection: str) -> list[str]:
        """Return the names of all fields of constituents that are numbers, sorted."""
        return [name for name in self._numbers(collection) if name != VALID]

    def _numbers(self, dataset: str) -> list[str]:
        fields = (self.dataset(dataset).dtype.fields or {}).items()
        return sorted(name for name, (t, *_) in fields if NAME.fullmatch(name) and t.kind in "fiub" and not t.shape)

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
        datasets = {name: self.dataset(name) for name in (self.jets, *constituents)}
        for rows in row_slices(list(datasets.values()), self._chunk_bytes):
            yield Hdf5Chunk(self, rows, names)
        for name, dataset in datasets.items():
            warn_of_zeros(self._path, name, dataset, self._chunk_bytes)

    def field(self, dataset: str, name: str) -> str:
        """Return the field of a dataset that holds a variable."""
        return self._aliases.get(dataset, {}).get(name, name)

    def dataset(self, name: str) -> h5py.Dataset:
        """Return a structured dataset, or raise."""
        if name not in self._datasets:
            self._datasets[name] = self._find(name)
        return self._datasets[name]

    def read(self, name: str, rows: slice) -> np.ndarray:
        """Read whole records of consecutive rows."""
        return read_rows(self._path, name, self.dataset(name), rows)

    def _find(self, name: str) -> h5py.Dataset:
        items = datasets_of(self._path, self._file)
        if name in items and items[name] is None:
            with damage_named(self._path, "its datasets cannot be read"):
                self._file[name]  # says why
        known = [key for key, item in items.items() if isinstance(item, h5py.Dataset) and item.dtype.names]
        if name not in known:
            held = ", ".join(known) or "none at all"
            raise JetmillError(f"{self._path}: no structured dataset '{name}'; it holds {held}.{nearest(name, known)}")
        check_dataset(self._path, name, self._file[name], int(self.identity["size"]))
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


def _not_nan(slots: np.ndarray) -> np.ndarray:
    """Return which slots are in use where no field says so: those whose first float is not NaN."""
    first = next(name for name in slots.dtype.names or () if slots.dtype[name].kind == "f")
    in_use: np.ndarray = ~np.isnan(slots[first])
    return in_use


@contextmanager
def open_datasets(path: str, settings: Input, constituents: Mapping[str, Constituents]) -> Iterator[Hdf5Dump]:
    """Open a file of structured datasets; errors as `open_file`."""
    with open_file(path) as file:
        yield Hdf5Dump(path, file, settings, constituents)
