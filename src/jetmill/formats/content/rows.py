"""Rows of a part before they are written: whole or padded, taken in any order block by block."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jetmill.ragged import starts_of, valid_slots, values_of


@dataclass(frozen=True)
class Ragged:
    """Constituents of all jets as one array, to be padded to rows of equal length.

    Attributes
    ----------
    values : ndarray, shape (n_constituents + 1,) or (n_constituents + 1, n_variables)
        Those of all jets, jet after jet, then the value of empty slots.
    counts : ndarray of int64, shape (n_jets,)
        Constituents of each jet, at most `length`.
    length
        Slots of a row.
    of_jets : ndarray, shape (n_jets, n), optional
        Variables of the jets to put before those of each constituent.
    """

    values: np.ndarray
    counts: np.ndarray
    length: int
    of_jets: np.ndarray | None = None

    @classmethod
    def of(cls, values: np.ndarray, counts: np.ndarray, length: int, padding: object = 0) -> "Ragged":
        """Return values (n_constituents, ...) with `padding` for empty slots."""
        last = np.full((1, *values.shape[1:]), padding, dtype=values.dtype)
        return cls(np.concatenate([values, last]), counts, length)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape after padding: (n_jets, length) or (n_jets, length, n_variables)."""
        ahead = 0 if self.of_jets is None else self.of_jets.shape[1]
        return (len(self.counts), self.length, *(n + ahead for n in self.values.shape[1:]))

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.values.dtype

    @cached_property
    def starts(self) -> np.ndarray:
        """Where the constituents of each jet start, int64 (n_jets,)."""
        return starts_of(self.counts)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Return padded rows of some jets."""
        used = valid_slots(self.counts[indices], self.length)
        places = np.where(used, self.starts[indices, None] + np.arange(self.length), len(self.values) - 1)
        rows = self.values.take(places, axis=0)
        if self.of_jets is None:
            return rows
        return np.concatenate([np.where(used[..., None], self.of_jets[indices, None], 0), rows], axis=2)

    def take_ragged(self, indices: np.ndarray) -> np.ndarray:
        """Return the values of some jets without padding."""
        return self.values.take(values_of(indices, self.counts), axis=0)


@dataclass(frozen=True)
class Valid:
    """Which slots hold a constituent: the first `counts` (n_jets,) of `length` slots."""

    counts: np.ndarray
    length: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_jets, length)."""
        return (len(self.counts), self.length)

    @property
    def dtype(self) -> np.dtype:
        """Bool."""
        return np.dtype(bool)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Return the slots of some jets."""
        return valid_slots(self.counts[indices], self.length)


def records(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return columns (n,) as one array (n,) of records."""
    length = len(next(iter(columns.values())))
    packed = np.empty(length, dtype=[(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        packed[name] = values
    return packed


Rows = np.ndarray | Ragged | Valid


def take(rows: Rows, indices: np.ndarray) -> np.ndarray:
    """Return some rows in the order of `indices`."""
    return rows.take(indices, axis=0) if isinstance(rows, np.ndarray) else rows.take(indices)
