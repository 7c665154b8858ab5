"""Columns that grow by chunks: in memory while small, in unnamed files beyond."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np

from jetmill.columns import KEY, LABEL, is_constituent_variable
from jetmill.errors import JetmillError

# All columns together stay in memory up to this many bytes.
SPOOL_BYTES = 128_000_000


class Spool(AbstractContextManager):
    """The columns of a batch while it is read.

    Parameters
    ----------
    directory
        Where the unnamed files go that hold what does not fit into memory.
    """

    def __init__(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._start()

    def _start(self) -> None:
        self._stack = ExitStack()
        self._types: dict[str, np.dtype] = {KEY: np.dtype(np.uint64), LABEL: np.dtype(np.uint8)}
        self._files: dict[str, Any] = {}

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def expect(self, types: Mapping[str, np.dtype], path: str | Path) -> None:
        """Take the types of the columns from the first file; a later one may not need wider ones.

        Small integers of constituents are free to change: their column becomes float32, if that holds both types.

        Raises
        ------
        JetmillError
            If it does.
        """
        if not self._files:
            self._types |= types
            size = SPOOL_BYTES // len(self._types)
            for name in self._types:
                file = SpooledTemporaryFile(mode="w+b", max_size=size, dir=str(self._directory))  # noqa: SIM115
                self._files[name] = self._stack.enter_context(file)
        for name, dtype in types.items():
            known = self._types[name]
            if np.can_cast(dtype, known, casting="safe"):
                continue
            if not (is_constituent_variable(name) and np.result_type(known, dtype, np.float32) == np.float32):
                raise JetmillError(
                    f"{path}: '{name.rpartition('/')[2]}' is stored as {dtype} here and as {known}"
                    " in the first file of the batch; put files of different versions into different samples"
                )
            self._make_float(name)

    def _make_float(self, name: str) -> None:
        column, file = self.column(name).astype(np.float32), self._files[name]
        file.seek(0)
        file.write(column.data)
        self._types[name] = column.dtype

    def mark(self) -> dict[str, int]:
        """Return how many rows the columns have, for `roll_back`."""
        return {name: file.tell() // self._types[name].itemsize for name, file in self._files.items()}

    def roll_back(self, mark: Mapping[str, int]) -> None:
        """Forget all rows since `mark` was taken, and the types of the columns if there were none yet."""
        if not mark:
            self._stack.close()
            self._start()
        for name, n_rows in mark.items():
            self._files[name].seek(n_rows * self._types[name].itemsize)
            self._files[name].truncate()

    def append(self, columns: Mapping[str, np.ndarray]) -> None:
        """Add some rows to every column; raises TypeError for floats where integers are expected."""
        for name, values in columns.items():
            if values.dtype.kind == "f" and self._types[name].kind != "f":
                raise TypeError(f"{name}: {values.dtype} for a column of {self._types[name]}")
            self._files[name].write(np.ascontiguousarray(values, dtype=self._types[name]).data)

    def column(self, name: str) -> np.ndarray:
        """Return a whole column, (n_jets,)."""
        dtype = self._types[name]
        column = np.empty(self._files[name].seek(0, os.SEEK_END) // dtype.itemsize, dtype=dtype)
        self.read_into(name, column)
        return column

    def read_into(self, name: str, column: np.ndarray) -> None:
        """Read a whole column into an array of its type and length."""
        file = self._files[name]
        file.seek(0)
        file.readinto(column.data)

    def dtype(self, name: str) -> np.dtype:
        """Return the type of a column."""
        return self._types[name]

    def names(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._files)
