"""Files of columns: one per batch of cleaned jets."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jetmill.columns.schema import KEY, Column, Kind, as_read, offsets
from jetmill.errors import JetmillError, first_line
from jetmill.files import (
    MADE_FROM,
    check_attributes,
    create_dataset,
    create_hdf5,
    hdf5_damage_named,
    origin_checks,
)
from jetmill.splitting import EACH_ITS_OWN, SPLITS, Groups

ADVICE = "Remove it and every batches.json that lists it, and start again: Snakemake then rebuilds them"

# A search for a key ends with reading so many.
KEYS_AT_ONCE = 4096
# Of a column that is converted to another type.
VALUES_AT_ONCE = 2**20


class BatchWriter:
    """A batch file while it is written, piece by piece of each column."""

    def __init__(self, file: h5py.File):
        self._file = file

    def write(self, column: Column, start: int, values: np.ndarray) -> None:
        """Write values (n,) of a column from a row on; the column gets their type."""
        if not len(values):
            return
        stop = start + len(values)
        if column.path in self._file:
            dataset = self._in_type(column, values.dtype)
            dataset.resize((max(stop, len(dataset)),))
        else:
            dataset = create_dataset(self._file, column.path, (stop,), values.dtype, maxshape=(None,))
        dataset[start:stop] = values
        dataset.flush()

    def read(self, column: Column, rows: slice) -> np.ndarray:
        """Read consecutive rows of a column."""
        values: np.ndarray = self._file[column.path][rows]
        return values

    def finish(self, columns: Mapping[Column, tuple[int, np.dtype]], attributes: Mapping[str, Any]) -> None:
        """Give the columns of the file their lengths and types, and the file its attributes.

        Arrays are stored as they are, everything else as JSON.
        """
        for column, (length, dtype) in columns.items():
            if length and column.path in self._file:
                self._in_type(column, dtype).resize((length,))
            else:
                self._remove(column.path)
                create_dataset(self._file, column.path, (0,), dtype)
        self._remove(Kind.SPLIT_EXPRESSION.value)
        for name, value in attributes.items():
            self._file.attrs[name] = value if isinstance(value, np.ndarray) else json.dumps(value)

    def _in_type(self, column: Column, dtype: np.dtype) -> h5py.Dataset:
        """Return a column, which is written again if it has another type."""
        dataset = self._file[column.path]
        if dataset.dtype == dtype:
            return dataset
        self._file.move(column.path, "before")
        converted = create_dataset(self._file, column.path, dataset.shape, dtype, maxshape=(None,))
        for rows in in_blocks([slice(0, len(dataset))], VALUES_AT_ONCE):
            converted[rows] = dataset[rows].astype(dtype)
        del self._file["before"]
        return converted

    def _remove(self, path: str) -> None:
        if path in self._file:
            del self._file[path]


@contextmanager
def create_batch(path: str | Path) -> Iterator[BatchWriter]:
    """Give a batch file to write; it appears under its name when it is complete."""
    with create_hdf5(path) as file:
        yield BatchWriter(file)


class Batch(AbstractContextManager["Batch"]):
    """A batch of cleaned jets, open for reading.

    Columns are read in `types`, those of all batches together, and each split is made of some `groups` of rows
    (`jetmill.columns.batch_list.CleanedBatch`).

    Raises
    ------
    JetmillError
        If the file is gone or damaged; so do all methods, since checksums are checked on reading.
    """

    def __init__(self, path: str | Path, types: Mapping[Column, str] | None = None, groups: Groups = EACH_ITS_OWN):
        self.path, self._types, self._groups = path, types or {}, groups
        try:
            self._file = h5py.File(path, "r")
        except FileNotFoundError:
            raise JetmillError(
                f"{path}: is gone; remove every batches.json that lists it, and start again: Snakemake then rebuilds it"
            ) from None
        except OSError as error:
            raise JetmillError(f"{path}: damaged ({first_line(error)}). {ADVICE}") from None
        with self._damage_named():
            check_attributes(self._file)
            attributes = self._file.attrs
            # Rows of each group in each run.
            self._sizes = np.atleast_2d(attributes["runs" if "runs" in attributes else "splits"])
            self._starts = np.concatenate([[0], np.cumsum(self._sizes)])
        for check in origin_checks:
            check(path, self._file.attrs.get(MADE_FROM))

    def _damage_named(self) -> AbstractContextManager[None]:
        return hdf5_damage_named(self.path, ADVICE)

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def attribute(self, name: str) -> Any:
        """Return an attribute, parsed if it is JSON."""
        with self._damage_named():
            value = self._file.attrs[name]
        return json.loads(value) if isinstance(value, str) else value

    def columns(self, kind: Kind) -> list[Column]:
        """Return the columns of jets of a kind."""
        with self._damage_named():
            return [Column(kind, name) for name in self._file.get(kind.value, ())]

    def rows(self, split: int) -> "list[slice[int, int]]":
        """Return the rows of a split, of each run and of each group that it is made of."""
        n_runs, n_groups = self._sizes.shape
        pieces = [run * n_groups + group for run in range(n_runs) for group in self._groups[split]]
        return [slice(int(self._starts[k]), int(self._starts[k + 1])) for k in pieces]

    def rows_with_keys(self, split: int, part: int, n_parts: int) -> "list[slice[int, int]]":
        """Return the rows of a split whose key is in the `part`-th of `n_parts` equal ranges."""
        ends = [-(-part * 2**64 // n_parts), -(-(part + 1) * 2**64 // n_parts)]
        return [slice(*(self._first_row(rows, end) for end in ends)) for rows in self.rows(split)]

    def read(self, column: Column, rows: slice = slice(None)) -> np.ndarray:
        """Read consecutive rows of a column, as `as_read` returns them."""
        return as_read(column, self.values(column, rows), self._types)

    def values(self, column: Column, rows: slice) -> np.ndarray:
        """Read consecutive rows of a column as they are stored."""
        with self._damage_named():
            values: np.ndarray = self._file[column.path][rows]
        return values

    def constituents(self, collection: str, rows: slice) -> tuple[np.ndarray, slice]:
        """Return how many constituents each of consecutive jets has, int64 (n,), and the rows that hold them."""
        ends = self.read(offsets(collection), slice(rows.start, rows.stop + 1))
        return np.diff(ends), slice(int(ends[0]), int(ends[-1]))

    def split_codes(self) -> np.ndarray:
        """Return the split of every row, uint8 (n_jets,)."""
        codes = np.empty(int(self._starts[-1]), dtype=np.uint8)
        for split in range(len(SPLITS)):
            for rows in self.rows(split):
                codes[rows] = split
        return codes

    def _first_row(self, rows: "slice[int, int]", key: int) -> int:
        """Return the first row whose key is at least `key`, reading O(log n) keys of the file."""
        low, high = rows.start, rows.stop
        while high - low > KEYS_AT_ONCE:
            middle = (low + high) // 2
            if int(self.values(KEY, slice(middle, middle + 1))[0]) < key:
                low = middle + 1
            else:
                high = middle
        if key > np.iinfo(np.uint64).max:
            return high
        return low + int(np.searchsorted(self.values(KEY, slice(low, high)), np.uint64(key)))


def in_blocks(groups: "Iterable[slice[int, int]]", n: int) -> "Iterator[slice[int, int]]":
    """Yield the rows of groups, at most `n` consecutive ones at a time."""
    for rows in groups:
        for start in range(rows.start, rows.stop, n):
            yield slice(start, min(start + n, rows.stop))
