"""One type for a column that files store in different ones: the smallest that holds all of its values."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jetmill.columns.schema import Column
from jetmill.errors import JetmillError

# Smallest and largest integer of a column.
Span = tuple[int, int]


class Types:
    """The types in which files store the columns; the order in which files and batches are added does not matter.

    Attributes
    ----------
    found
        Column to its types, and the first file with each.
    spans
        Smallest and largest integer of each column that keeps the type of the files.
    """

    def __init__(
        self, found: Mapping[Column, Mapping[str, str]] | None = None, spans: Mapping[Column, Span] | None = None
    ):
        self.found: dict[Column, dict[str, str]] = {column: {**types} for column, types in (found or {}).items()}
        self.spans: dict[Column, Span] = {column: (low, high) for column, (low, high) in (spans or {}).items()}

    @classmethod
    def of_file(cls, path: str, types: Mapping[Column, np.dtype]) -> "Types":
        """Return the types of a file."""
        return cls({column: {str(dtype.newbyteorder("=")): path} for column, dtype in types.items()})

    def add(self, other: "Types") -> None:
        """Add the types of other files."""
        for column, types in other.found.items():
            self.found[column] = types | self.found.get(column, {})
        for column, span in other.spans.items():
            low, high = self.spans.get(column, span)
            self.spans[column] = min(low, span[0]), max(high, span[1])

    def count(self, columns: Mapping[Column, np.ndarray]) -> None:
        """Add the smallest and largest integers of some jets."""
        for column, values in columns.items():
            if column.keeps_type and values.dtype.kind in "iu" and values.size:
                self.add(Types(spans={column: (int(values.min()), int(values.max()))}))

    def stored(self) -> dict[Column, np.dtype]:
        """Return the type in which each column is stored; raises JetmillError if none holds all values of a column."""
        return {column: self._common(column) for column in self.found}

    def read(self) -> dict[Column, np.dtype]:
        """Return the type in which each column is read, see `stored`: variables are floats, however they are stored."""
        return {
            column: np.result_type(np.float32, *types) if column.is_variable else self._common(column)
            for column, types in self.found.items()
        }

    def native(self) -> dict[Column, np.dtype]:
        """Return the types of variables that are small integers in all files, and never missing."""
        return {column: dtype for column, dtype in self.stored().items() if column.is_variable and dtype.kind in "iub"}

    def as_json(self) -> dict[str, Any]:
        """Return a mapping that JSON can hold."""
        return {name: {c.path: value for c, value in getattr(self, name).items()} for name in ("found", "spans")}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Types":
        """Return the types from `as_json`."""
        return cls(*({Column.from_path(c): value for c, value in content[name].items()} for name in ("found", "spans")))

    def _common(self, column: Column) -> np.dtype:
        """Return the type that holds all values of a column."""
        found, (low, high) = self.found[column], self.spans.get(column, (0, 0))
        # result_type is not associative, so the types have a fixed order.
        types = sorted(map(np.dtype, found), key=str)
        common = np.result_type(*types)
        integers = [dtype for dtype in types if dtype.kind in "iub"]
        if len(integers) == len(types) and common.kind == "f":  # uint64 and a signed type
            common = np.dtype(np.uint64) if low >= 0 else np.dtype(np.int64)
        if integers and len(types) > 1 and not _holds(common, low, high):
            there = ", ".join(f"{dtype} in {path}" for dtype, path in sorted(found.items()))
            raise JetmillError(
                f"{column} is {there}, with integers from {low} to {high}: no type holds all values"
                " exactly. Leave out the files of one type, or store the column in one type"
            )
        return common


def merge(parts: Iterable[Types]) -> Types:
    """Return the types of several batches together."""
    merged = Types()
    for part in parts:
        merged.add(part)
    return merged


def _holds(dtype: np.dtype, low: int, high: int) -> bool:
    """Say whether a type holds all integers of a range exactly."""
    if dtype.kind == "f":
        return max(-low, high) <= 1 << (np.finfo(dtype).nmant + 1)
    if dtype.kind == "b":
        return True
    limits = np.iinfo(dtype)
    return limits.min <= low and high <= limits.max
