"""A buffer for the columns of a batch that returns its jets in ranges of their keys, in bounded memory.

Up to `Limits.run_bytes` stay in memory. Beyond that, the jets in memory are sorted by key, and their columns are
appended to an unnamed file: a run. Since keys are uniform, a range of keys has a predictable number of jets and is
contiguous in each column of each run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from jetmill.columns.promotion import Types, merge
from jetmill.columns.schema import KEY, ROW, Column, Kind
from jetmill.ragged import values_of

Columns = Mapping[Column, np.ndarray]


@dataclass(frozen=True)
class Limits:
    """How much is in memory at once.

    Attributes
    ----------
    run_bytes, run_values
        Of the columns in memory: bytes of all, and values of the longest one.
    block_jets, block_values
        Of a block, which is sorted in memory.
    """

    run_bytes: int = 64_000_000
    run_values: int = 2**22
    block_jets: int = 2**22
    block_values: int = 2**24


LIMITS = Limits()


class _Scratch:
    """Large arrays that are reused, as the kernel has to clear each new one."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}

    def array(self, purpose: str, dtype: np.dtype, length: int) -> np.ndarray:
        """Return an array (length,), valid until the next call for the same purpose."""
        n_bytes = length * dtype.itemsize
        if purpose not in self._arrays or len(self._arrays[purpose]) < n_bytes:
            self._arrays[purpose] = np.empty(n_bytes, dtype=np.uint8)
        return self._arrays[purpose][:n_bytes].view(dtype)


class _InMemory:
    """Columns in the pieces in which they were appended."""

    def __init__(self, types: Mapping[Column, np.dtype], pieces: Sequence[Columns] = ()):
        self.types, self.pieces = types, list[Columns]()
        self.n_bytes, self.lengths = 0, dict.fromkeys(types, 0)
        for columns in pieces:
            self.append(columns)

    def append(self, columns: Columns) -> None:
        self.pieces.append(columns)
        for name, values in columns.items():
            self.n_bytes += values.nbytes
            self.lengths[name] += len(values)

    def read_into(self, name: Column, rows: slice, column: np.ndarray) -> None:  # noqa: ARG002
        """Read a column, always all of it."""
        np.concatenate([columns[name] for columns in self.pieces], out=column)


@dataclass(frozen=True)
class _OnDisk:
    """A run: columns in a file, with jets sorted by key.

    `starts` are the first byte of each column; `end` is the byte after the last one of the run.
    """

    file: Any
    types: Mapping[Column, np.dtype]
    starts: Mapping[Column, int]
    lengths: Mapping[Column, int]
    end: int

    def read_into(self, name: Column, rows: slice, column: np.ndarray) -> None:
        """Read consecutive rows of a column."""
        dtype = self.types[name]
        stored = column if dtype == column.dtype else np.empty(len(column), dtype)
        self.file.seek(self.starts[name] + rows.start * dtype.itemsize)
        self.file.readinto(stored.data.cast("B"))
        if stored is not column:
            column[...] = stored


_Run = _InMemory | _OnDisk


@dataclass(frozen=True)
class Block:
    """Jets of a range of keys.

    Attributes
    ----------
    types
        Type of each column.
    """

    types: Mapping[Column, np.dtype]
    _runs: Sequence[_Run]
    # For each run: rows of the jets (under None), and of the constituents of each collection.
    _rows: Sequence[Mapping[str | None, slice]]
    _scratch: _Scratch

    def __len__(self) -> int:
        """Return the number of jets."""
        return self._length(KEY)

    def read(self, name: Column) -> np.ndarray:
        """Return a column."""
        return self._read_into(np.empty(self._length(name), self.types[name]), name)

    def take(self, name: Column, places: np.ndarray) -> np.ndarray:
        """Return the values at some places of a column, valid until the next call."""
        dtype = self.types[name]
        column = self._read_into(self._scratch.array("column", dtype, self._length(name)), name)
        # All places are in range, and "wrap" is the fastest mode without checks.
        return column.take(places, out=self._scratch.array("taken", dtype, len(places)), mode="wrap")

    def places(self, order: np.ndarray) -> Iterator[tuple[str | None, np.ndarray]]:
        """Yield the places of reordered jets, under None, and of the constituents of each collection."""
        yield None, order
        for name in self.types:
            if name.kind is Kind.COUNTS:
                yield name.collection, values_of(order, self.read(name).astype(np.int64))

    def _read_into(self, column: np.ndarray, name: Column) -> np.ndarray:
        stop, of = 0, name.constituents
        for run, rows in zip(self._runs, self._rows, strict=True):
            start, stop = stop, stop + _n(rows[of])
            if stop > start:
                run.read_into(name, rows[of], column[start:stop])
        return column

    def _length(self, name: Column) -> int:
        return sum(_n(rows[name.constituents]) for rows in self._rows)


class ColumnBuffer(AbstractContextManager["ColumnBuffer"]):
    """A buffer for the columns of a batch.

    `directory` is that of the unnamed file for what does not fit into memory; `own` are the types of columns that no
    input file has, of which `ROW` is filled here.
    """

    def __init__(self, directory: Path, own: dict[Column, np.dtype], limits: Limits = LIMITS):
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._stack, self._scratch = directory, ExitStack(), _Scratch()
        self._own, self._limits = own, limits
        self._file: Any = None
        self._seen, self._seen_of_file = Types(), Types()
        self._runs: list[_OnDisk] = []
        self._rest = _InMemory({})
        self.mark()

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def n_jets(self) -> int:
        """Number of jets in the buffer."""
        return sum(run.lengths[KEY] for run in self._runs) + self._rest.lengths.get(KEY, 0)

    @property
    def seen(self) -> Types:
        """Types of the columns in the files, and ranges of their integers."""
        return merge([self._seen, self._seen_of_file])

    def mark(self) -> None:
        """Set a mark that `roll_back` returns to."""
        self._seen, self._seen_of_file = self.seen, Types()
        self._marked = len(self._runs), len(self._rest.pieces)

    def roll_back(self) -> None:
        """Forget everything since the last `mark`."""
        n_runs, n_pieces = self._marked
        self._seen_of_file = Types()
        self._runs = self._runs[:n_runs]
        self._rest = _InMemory(self._rest.types, self._rest.pieces[:n_pieces])

    def expect(self, types: Mapping[Column, np.dtype], path: str | None = None) -> None:
        """Set the types of the columns of the next file; those without a file (`path`) do not count as seen."""
        types = {name: dtype.newbyteorder("=") for name, dtype in types.items()}
        if path is not None:
            self._seen_of_file.add(Types.of_file(path, types))
        if types | self._own != self._rest.types:
            self._flush()
            self._rest = _InMemory(types | self._own)

    def append(self, columns: Columns) -> None:
        """Add rows to every column; raises TypeError where a column has another type than was expected."""
        types = self._rest.types
        if ROW in types:
            columns = {**columns, ROW: self.n_jets + np.arange(len(columns[KEY]))}
        for column, values in columns.items():
            if values.dtype != types[column]:
                raise TypeError(f"{column}: {values.dtype} for a column of {types[column]}")
        self._seen_of_file.count(columns)
        self._rest.append(columns)
        limits = self._limits
        if self._rest.n_bytes >= limits.run_bytes or max(self._rest.lengths.values()) >= limits.run_values:
            self._flush()

    def blocks(self) -> list[Block]:
        """Return all jets as consecutive ranges of keys.

        Raises
        ------
        JetmillError
            If no type holds all values of a column.
        """
        types = {**self._rest.types, **self.seen.stored()}
        lengths = [*(run.lengths for run in self._runs), self._rest.lengths]
        n_values = max(sum(of_run.get(name, 0) for of_run in lengths) for name in types)
        n_jets = self.n_jets
        n_blocks = max(1, -(-n_values // self._limits.block_values), -(-n_jets // self._limits.block_jets))
        if self._runs or n_blocks > 1:
            self._flush()
        # Jets in memory are not sorted, and form a single block.
        runs: list[_Run] = [*self._runs] or [self._rest]
        rows = [self._ranges(run, n_blocks) for run in runs]
        return [Block(types, runs, [of_run[n] for of_run in rows], self._scratch) for n in range(n_blocks)]

    def _ranges(self, run: _Run, n: int) -> list[dict[str | None, slice]]:
        """Return the rows of the jets and constituents of a run in each of `n` equal ranges of keys."""

        def column(name: Column) -> np.ndarray:
            values = np.empty(run.lengths[name], run.types[name])
            if len(values):
                run.read_into(name, slice(0, len(values)), values)
            return values

        keys = column(KEY)
        ends = np.array([-(-part * 2**64 // n) for part in range(1, n)], dtype=np.uint64)
        cuts: dict[str | None, np.ndarray] = {None: np.array([0, *np.searchsorted(keys, ends), len(keys)])}
        for name in run.types:
            if name.kind is Kind.COUNTS:
                cuts[name.collection] = np.concatenate([[0], np.cumsum(column(name), dtype=np.int64)])[cuts[None]]
        return [{of: slice(int(cut[k]), int(cut[k + 1])) for of, cut in cuts.items()} for k in range(n)]

    def _flush(self) -> None:
        """Write the columns in memory to the file; what was there at the last `mark` becomes a run of its own."""
        n_runs, n_pieces = self._marked
        types, kept, new = self._rest.types, self._rest.pieces[:n_pieces], self._rest.pieces[n_pieces:]
        if kept:
            self._write(_InMemory(types, kept))
            n_runs = len(self._runs)
        if new:
            self._write(_InMemory(types, new))
        self._marked, self._rest = (n_runs, 0), _InMemory(types)

    def _write(self, run: _InMemory) -> None:
        """Sort jets in memory by key and write them to the end of the file."""
        if self._file is None:
            self._file = self._stack.enter_context(TemporaryFile(dir=self._directory))  # noqa: SIM115
        end = self._runs[-1].end if self._runs else 0
        self._file.seek(end)
        block, starts = Block(run.types, [run], self._ranges(run, 1), self._scratch), {}
        for of, places in block.places(np.argsort(block.read(KEY), kind="stable")):
            for name in run.types:
                if name.constituents == of:
                    starts[name] = end
                    end += self._file.write(block.take(name, places).data.cast("B"))
        self._runs.append(_OnDisk(self._file, run.types, starts, run.lengths, end))


def _n(rows: "slice[int, int]") -> int:
    return rows.stop - rows.start
