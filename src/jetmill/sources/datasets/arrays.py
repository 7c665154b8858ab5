"""HDF5 files with an array per variable: jets (n,) and constituents (n, slots), as in public top-tagging samples."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce

import h5py
import numpy as np

from jetmill.errors import JetmillError, nearest_quantity
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.settings.types import NAME
from jetmill.sources.chunk import ConstituentColumns, MissingVariableError
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


class ArrayChunk:
    """Some rows of all arrays of a file."""

    def __init__(self, file: "ArrayFile", rows: slice, names: Sequence[str]):
        self.columns = {name: file.read(file.jets, name, rows) for name in names}
        self.entry = np.arange(rows.start, rows.stop)
        self.position = np.zeros_like(self.entry)
        self._file, self._rows = file, rows

    def constituents(self, collection: str, names: Sequence[str], jets: np.ndarray) -> ConstituentColumns:
        """Read the constituents of some jets: the slots where not all of the variables are 0 or NaN."""
        slots = {name: self._file.read(collection, name, self._rows)[jets] for name in names}
        used = reduce(np.logical_or, ((values != 0) & (values == values) for values in slots.values()))
        return ConstituentColumns(used.sum(axis=1), {name: values[used] for name, values in slots.items()})


class ArrayFile(OpenFile):
    """An open file.

    Names of arrays of jets begin with `jets`: with ``fjet`` the variable ``pt`` is the array ``fjet_pt``, or ``pt`` if
    there is none. Constituents have the name of their collection as prefix.
    """

    def __init__(self, path: str, file: h5py.File, settings: Input, constituents: Mapping[str, Constituents]):
        super().__init__(path, file, settings, constituents)
        self._arrays: dict[tuple[str, str], h5py.Dataset] = {}

    def variables(self) -> list[str]:
        """Return the names of all arrays of one number per jet with the prefix of jets, sorted."""
        start, items = f"{self.jets}_" if self.jets else "", datasets_of(self._path, self._file)
        numbers = {
            k for k, x in items.items() if isinstance(x, h5py.Dataset) and x.ndim == 1 and x.dtype.kind in "fiub"
        }
        found = {key.removeprefix(start) for key in numbers if key.startswith(start)}
        return sorted(name for name in found if NAME.fullmatch(name))

    def constituent_variables(self, collection: str) -> list[str]:  # noqa: ARG002
        """Return none: which slots are in use depends on the variables that are read."""
        return []

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of jets."""
        return self._dtypes(self.jets, names, ("jets",))

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of constituents."""
        return self._dtypes(collection, names, ("jets", "slots"))

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[ArrayChunk]:
        """Yield all jets in file order, a bounded number at a time."""
        wanted = [(self.jets, names), *constituents.items()]
        arrays = {self.key(prefix, name): self.array(prefix, name) for prefix, names in wanted for name in names}
        (first, n_jets), *others = ((key, array.shape) for key, array in arrays.items())
        for key, shape in others:
            if shape[0] != n_jets[0]:
                raise JetmillError(f"{self._path}: '{key}' has {shape[0]} rows and '{first}' {n_jets[0]}")
        for prefix, of in constituents.items():
            slots = {self.key(prefix, name): self.array(prefix, name).shape[1] for name in of}
            if len(set(slots.values())) > 1:
                found = ", ".join(f"'{key}' {n}" for key, n in slots.items())
                raise JetmillError(f"{self._path}: arrays of '{prefix}' differ in their slots: {found}")
        for rows in row_slices(list(arrays.values()), self._chunk_bytes):
            yield ArrayChunk(self, rows, names)
        for key, array in arrays.items():
            # Other variables are 0 in many of the last jets, or constant.
            if array.ndim == 2 or key == first:
                warn_of_zeros(self._path, key, array, self._chunk_bytes)

    def key(self, prefix: str, name: str) -> str:
        """Return the name of the array of a variable."""
        if (alias := self._aliases.get(prefix, {}).get(name)) is not None:
            return alias
        with_prefix = f"{prefix}_{name}" if prefix else name
        return with_prefix if with_prefix in self._file else name

    def array(self, prefix: str, name: str) -> h5py.Dataset:
        """Return the array of a variable, or raise."""
        if (prefix, name) not in self._arrays:
            self._arrays[prefix, name] = self._find(prefix, name)
        return self._arrays[prefix, name]

    def read(self, prefix: str, name: str, rows: slice) -> np.ndarray:
        """Read consecutive rows of a variable."""
        return native(read_rows(self._path, self.key(prefix, name), self.array(prefix, name), rows))

    def _find(self, prefix: str, name: str) -> h5py.Dataset:
        key, array = self.key(prefix, name), None
        if key in self._file:
            array = self._file[key]
        if not isinstance(array, h5py.Dataset) or not array.shape:
            known = [k for k, item in datasets_of(self._path, self._file).items() if isinstance(item, h5py.Dataset)]
            full = f"{prefix}_{name}" if prefix and key == name else key
            what = f"'{key}'" if full == key else f"'{full}' or '{key}'"
            raise MissingVariableError(f"{self._path}: no array {what}.{nearest_quantity(full, known)}")
        if array.dtype.kind not in "fiub":
            what = "a structured dataset (format hdf5)" if array.dtype.names else f"of {array.dtype}, not numbers"
            raise JetmillError(f"{self._path}: '{key}' is {what}")
        check_dataset(self._path, key, array, int(self.identity["size"]))
        return array

    def _dtypes(self, prefix: str, names: Sequence[str], axes: tuple[str, ...]) -> dict[str, np.dtype]:
        for name in names:
            if (array := self.array(prefix, name)).ndim != len(axes):
                expected = f"({', '.join(axes)}{',' * (len(axes) == 1)})"
                raise JetmillError(
                    f"{self._path}: array '{self.key(prefix, name)}' has shape {array.shape}, not {expected}"
                )
        return {name: self.array(prefix, name).dtype.newbyteorder("=") for name in names}


@contextmanager
def open_arrays(path: str, settings: Input, constituents: Mapping[str, Constituents]) -> Iterator[ArrayFile]:
    """Open a file of arrays; errors as `open_file`."""
    with open_file(path) as file:
        yield ArrayFile(path, file, settings, constituents)
