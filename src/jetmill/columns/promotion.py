"""One type for a column whose files store it in different ones: the smallest that holds all of its values."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jetmill.columns import schema as store
from jetmill.errors import JetmillError

# Smallest and largest integer of a column.
Span = tuple[int, int]


class Types:
    """In which types files store the columns.

    It does not matter in which order files and batches are added.

    Attributes
    ----------
    found
        Column to each of its types, and the first file that stores it so.
    spans
        Column to the smallest and largest of its integers, for what keeps the type of the files.
    """

    def __init__(self, found: Mapping[str, Mapping[str, str]] | None = None, spans: Mapping[str, Span] | None = None):
        self.found: dict[str, dict[str, str]] = {name: {**types} for name, types in (found or {}).items()}
        self.spans: dict[str, Span] = {name: (low, high) for name, (low, high) in (spans or {}).items()}

    def add(self, other: "Types") -> None:
        """Add what other files have."""
        for name, types in other.found.items():
            self.found[name] = types | self.found.get(name, {})
        for name, span in other.spans.items():
            low, high = self.spans.get(name, span)
            self.spans[name] = min(low, span[0]), max(high, span[1])

    @classmethod
    def of_file(cls, path: str, types: Mapping[str, np.dtype]) -> "Types":
        """Return the types of a file."""
        return cls({name: {str(dtype.newbyteorder("=")): path} for name, dtype in types.items()})

    def count(self, columns: Mapping[str, np.ndarray]) -> None:
        """Take notice of the values of some jets."""
        for name, values in columns.items():
            if name.startswith((store.EVENT, store.ADDITIONAL_LABELS)) and values.dtype.kind in "iu" and values.size:
                self.add(Types(spans={name: (int(values.min()), int(values.max()))}))

    def stored(self) -> dict[str, np.dtype]:
        """Return the type that holds the values of each column.

        Raises
        ------
        JetmillError
            If there is none.
        """
        return {name: _common(name, types, self.spans.get(name)) for name, types in self.found.items()}

    def read(self) -> dict[str, np.dtype]:
        """Return the type that each column is read in: variables are floats, however they are stored.

        Raises
        ------
        JetmillError
            If no type holds the values of a column.
        """
        return {
            name: np.result_type(np.float32, *types)
            if name.startswith(store.VARIABLES) or store.is_constituent_variable(name)
            else _common(name, types, self.spans.get(name))
            for name, types in self.found.items()
        }

    def as_json(self) -> dict[str, Any]:
        """Return the arguments of `Types`."""
        return {"found": self.found, "spans": self.spans}


def merge(parts: Iterable[Types]) -> Types:
    """Return the types of several batches together."""
    merged = Types()
    for part in parts:
        merged.add(part)
    return merged


def _common(name: str, found: Mapping[str, str], span: Span | None) -> np.dtype:
    """Return the type that holds the values of a column, of which integers are within `span`."""
    low, high = span or (0, 0)
    # In an order of their own: result_type is not associative.
    types = sorted(map(np.dtype, found), key=str)
    common = np.result_type(*types)
    integers = [dtype for dtype in types if dtype.kind in "iub"]
    if len(integers) == len(types) and common.kind == "f":  # uint64 and a signed type
        common = np.dtype(np.uint64) if low >= 0 else np.dtype(np.int64)
    if not _holds(common, low, high) if integers and len(types) > 1 else False:
        there = ", ".join(f"{dtype} in {path}" for dtype, path in sorted(found.items()))
        raise JetmillError(
            f"'{name.partition('/')[2]}' is {there}, with integers from {low} to {high}: no type holds all values"
            " exactly. Leave out the files of one type, or store the column in one type"
        )
    return common


def _holds(dtype: np.dtype, low: int, high: int) -> bool:
    """Say whether a type holds all integers of a range exactly."""
    if dtype.kind == "f":
        return max(-low, high) <= 2 ** (np.finfo(dtype).nmant + 1)
    if dtype.kind == "b":
        return True
    limits = np.iinfo(dtype)
    return limits.min <= low and high <= limits.max
