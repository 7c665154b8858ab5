"""The columns of a batch on their way into its file.

They are in memory until they are too many. Then the jets in memory are sorted and appended to the file: a run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from jetmill.cleaning.sorting import Scratch, group_codes, in_order
from jetmill.columns.batch_file import BatchWriter
from jetmill.columns.promotion import Types, merge
from jetmill.columns.schema import KEY, LABEL, NOT_STORED, Column, Kind, offsets
from jetmill.settings.clean import CleanSettings

Columns = Mapping[Column, np.ndarray]
# Numbers of rows: of the jets, under None, and of the constituents of each collection.
Rows = Mapping[str | None, int]


@dataclass(frozen=True)
class Limits:
    """How much is in memory at once: bytes of all columns, and values of the longest one."""

    run_bytes: int = 128_000_000
    run_values: int = 2**23


LIMITS = Limits()


class ColumnBuffer:
    """A buffer for the columns of a batch.

    `own` are the types of columns that no input file has.
    """

    def __init__(
        self, writer: BatchWriter, settings: CleanSettings, own: Mapping[Column, np.dtype], limits: Limits = LIMITS
    ):
        self._writer, self._settings, self._own, self._limits = writer, settings, own, limits
        self._seen, self._seen_of_file, self._types = Types(), Types(), dict[Column, np.dtype]()
        # Longer than what they hold, and used again by each run, as the kernel has to clear new memory.
        self._arrays, self._scratch = dict[Column, np.ndarray](), Scratch()
        self._in_memory, self._runs = self._none, list[Rows]()
        self._class_counts = list[np.ndarray]()
        self.mark()

    @property
    def _none(self) -> Rows:
        return dict.fromkeys((None, *self._settings.constituents), 0)

    def _in_file(self, n_runs: int | None = None) -> Rows:
        """Return the rows of the first runs in the file, or of all."""
        return {of: sum(run[of] for run in self._runs[:n_runs]) for of in self._none}

    @property
    def _n_jets(self) -> int:
        return self._in_file()[None] + self._in_memory[None]

    @property
    def seen(self) -> Types:
        """Types of the columns in the files, and ranges of their integers."""
        return merge([self._seen, self._seen_of_file])

    @property
    def _common_types(self) -> dict[Column, np.dtype]:
        return {**self._types, **self.seen.stored()}

    def mark(self) -> None:
        """Set a mark that `roll_back` returns to."""
        self._seen, self._seen_of_file = self.seen, Types()
        self._marked = len(self._runs), self._in_memory

    def roll_back(self) -> None:
        """Forget everything since the last `mark`."""
        n_runs, self._in_memory = self._marked
        self._seen_of_file = Types()
        del self._runs[n_runs:], self._class_counts[n_runs:]

    def expect(self, types: Mapping[Column, np.dtype], path: str | None = None) -> None:
        """Set the types of the columns of the next file; those without a file (`path`) do not count as seen.

        Raises
        ------
        JetmillError
            If no type holds all values of a column so far.
        """
        types = {name: dtype.newbyteorder("=") for name, dtype in types.items()}
        if path is not None:
            self._seen_of_file.add(Types.of_file(path, types))
        self._types = {**types, **self._own}
        for name, dtype in self._common_types.items():
            array = self._arrays.get(name, np.empty(0, dtype))
            if name not in self._arrays or array.dtype != dtype:
                self._arrays[name] = array[: self._in_memory[name.constituents]].astype(dtype)

    def append(self, columns: Columns) -> None:
        """Add rows to every column; raises TypeError where a column has another type than was expected."""
        for name, values in columns.items():
            if values.dtype != self._types[name]:
                raise TypeError(f"{name}: {values.dtype} for a column of {self._types[name]}")
        self._seen_of_file.count(columns)
        before, rows = self._in_memory, {**self._in_memory}
        for name, values in columns.items():
            start, array = before[name.constituents], self._arrays[name]
            stop = rows[name.constituents] = start + len(values)
            if len(array) < stop:
                self._arrays[name] = np.empty(max(stop, 2 * len(array)), array.dtype)
                self._arrays[name][:start] = array[:start]
            self._arrays[name][start:stop] = values
        self._in_memory = rows
        n_bytes = sum(rows[name.constituents] * array.itemsize for name, array in self._arrays.items())
        if n_bytes >= self._limits.run_bytes or max(rows.values()) >= self._limits.run_values:
            self._flush()

    def finish(self) -> tuple[dict[Column, tuple[int, np.dtype]], np.ndarray]:
        """Write the rest; return length and type of each stored column, and jets of each class.

        Those of each run and group, a split or fold: int64 (n_runs, n_groups, n_classes).

        Raises
        ------
        JetmillError
            If no type holds all values of a column.
        """
        self.mark()  # Nothing is rolled back any more, so the last file needs no run of its own.
        self._flush()
        if self._settings.split.rule.row:
            for number in range(len(self._runs)):
                self._sort_in_file(number)
        lengths, types = self._in_file(), self._common_types
        stored = {
            name: (lengths[name.constituents], dtype) for name, dtype in types.items() if name.kind not in NOT_STORED
        }
        for collection in self._settings.constituents:
            stored[offsets(collection)] = lengths[None] + 1, np.dtype(np.int64)
            if not lengths[None]:
                self._writer.write(offsets(collection), 0, np.zeros(1, dtype=np.int64))
        shape = len(self._settings.split.group_names), len(self._settings.class_names)
        return stored, np.array(self._class_counts or [np.zeros(shape)], dtype=np.int64)

    def _flush(self) -> None:
        """Write the columns in memory to the file; what was there at the last `mark` becomes a run of its own."""
        (n_runs, marked), in_memory = self._marked, self._in_memory
        if marked[None]:
            self._write(self._none, marked)
            n_runs = len(self._runs)
        if in_memory[None] > marked[None]:
            self._write(marked, in_memory)
        self._in_memory = self._none
        self._marked = n_runs, self._none

    def _write(self, start: Rows, stop: Rows) -> None:
        """Write some rows of the columns in memory as a run."""
        types = self._common_types

        def read(name: Column) -> np.ndarray:
            rows = slice(start[name.constituents], stop[name.constituents])
            return self._arrays[name][rows].astype(types[name], copy=False)

        of_run = {of: stop[of] - start[of] for of in start}
        # The rows of a batch are known at its end.
        later = self._settings.split.rule.row
        order = np.arange(of_run[None]) if later else self._order(read, np.empty(0, dtype=np.int64))
        self._put(len(self._runs), read, order)
        self._runs.append(of_run)

    def _sort_in_file(self, number: int) -> None:
        """Sort a run that was written as it was read."""
        first, last = self._in_file(number), self._in_file(number + 1)

        def read(name: Column) -> np.ndarray:
            if name.kind is Kind.COUNTS:
                ends = self._writer.read(offsets(str(name.collection)), slice(first[None], last[None] + 1))
                return np.diff(ends)
            return self._writer.read(name, slice(first[name.constituents], last[name.constituents]))

        self._put(number, read, self._order(read, np.arange(first[None], last[None])))

    def _order(self, read: Callable[[Column], np.ndarray], row: np.ndarray) -> np.ndarray:
        """Return the order of the jets of a run: grouped by split or fold, sorted by key. Count their classes."""
        settings, group = self._settings, group_codes(read, self._settings, row, self._n_jets)
        n_groups, n_classes = len(settings.split.group_names), len(settings.class_names)
        # Without truth all jets are of one class.
        of_class = group * np.int64(n_classes) + np.minimum(read(LABEL), n_classes - 1)
        self._class_counts.append(np.bincount(of_class, minlength=n_groups * n_classes).reshape(n_groups, n_classes))
        return np.lexsort((read(KEY), group))

    def _put(self, number: int, read: Callable[[Column], np.ndarray], order: np.ndarray) -> None:
        """Write the columns of a run in an order of the jets."""
        start = self._in_file(number)
        # Rules that look at whole batches need the values of their expressions later.
        forgotten = None if self._settings.split.rule.row else Kind.SPLIT_EXPRESSION
        columns = [name for name in self._common_types if name.kind is not forgotten]
        for name, values in in_order(read, columns, order, self._scratch):
            if name.kind is Kind.COUNTS:
                ends = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
                self._writer.write(offsets(str(name.collection)), start[None], start[name.collection] + ends)
            else:
                self._writer.write(name, start[name.constituents], values)
