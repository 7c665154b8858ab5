"""Numbers of entries of a tree, alone, in lists, or in lists of lists, as plain arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import uproot
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype


@dataclass(frozen=True)
class Lists:
    """Numbers of some entries.

    Attributes
    ----------
    values : ndarray, shape (n,)
        All numbers, in the order of the entries.
    counts : tuple of ndarray of int64
        Lengths of the lists, level by level, the outermost first: () for one number per entry.
    """

    values: np.ndarray
    counts: tuple[np.ndarray, ...] = ()

    @classmethod
    def of(cls, entries: ak.Array) -> "Lists":
        """Return the numbers of an array of Awkward Array."""
        counts = []
        while entries.ndim > 1:
            counts.append(ak.to_numpy(ak.num(entries, axis=1)).astype(np.int64))
            entries = ak.flatten(entries, axis=1)
        return cls(ak.to_numpy(entries), tuple(counts))


@dataclass(frozen=True)
class _Basket:
    """Numbers of one basket, as they are in the file, and the lengths of its lists, if it has lists."""

    values: np.ndarray
    counts: np.ndarray | None

    def __len__(self) -> int:
        return len(self.values if self.counts is None else self.counts)

    def entries(self, start: int, stop: int) -> "_Basket":
        """Return consecutive entries."""
        if self.counts is None:
            return _Basket(self.values[start:stop], None)
        first = int(self.counts[:start].sum())
        counts = self.counts[start:stop]
        return _Basket(self.values[first : first + int(counts.sum())], counts)


class AsLists(uproot.interpretation.Interpretation):
    """How uproot reads a branch with one number, or one list of numbers, per entry: into `Lists`.

    In arrays of Awkward Array, which can hold anything, uproot spends more time than on the numbers.
    """

    def __init__(self, numbers: AsDtype, header_bytes: int | None):
        self._numbers, self._header_bytes = numbers, header_bytes

    @classmethod
    def like(cls, interpretation: uproot.interpretation.Interpretation) -> "AsLists | None":
        """Return how to read a branch that uproot reads so, None if it holds anything else."""
        lists = isinstance(interpretation, AsJagged)
        numbers = interpretation.content if lists else interpretation
        # Not the classes below it, such as that of bits.
        if type(numbers) is not AsDtype or numbers.from_dtype.names or numbers.from_dtype.shape:
            return None
        return cls(numbers, interpretation.header_bytes if lists else None)

    @property
    def cache_key(self) -> str:
        """Name of the interpretation, for uproot."""
        return f"AsLists({self._numbers.cache_key},{self._header_bytes})"

    def basket_array(
        self, data: np.ndarray, byte_offsets: np.ndarray | None, basket: Any, branch: Any, *_: Any
    ) -> _Basket:
        """Return the numbers of a basket."""
        dtype = self._numbers.from_dtype
        if self._header_bytes is None:
            return _Basket(data.view(dtype), None)
        if byte_offsets is None:
            counts = basket.counts
            if counts is None:
                raise ValueError("neither offsets nor a branch with the lengths of the lists")
            byte_offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]) * dtype.itemsize
        if self._header_bytes:
            used = np.ones(len(data), dtype=bool)
            used[byte_offsets[:-1, None] + np.arange(self._header_bytes)] = False
            data, byte_offsets = data[used], byte_offsets - self._header_bytes * np.arange(len(byte_offsets))
        # Rounded down as uproot does: entries of TObject.fBits may have a fraction of a number.
        counts = np.diff(byte_offsets // dtype.itemsize).astype(np.int64)
        if (counts < 0).any() or counts.sum() * dtype.itemsize != len(data):
            raise ValueError(f"a basket of '{branch.object_path}' has the wrong number of bytes ({len(data)})")
        return _Basket(data.view(dtype), counts)

    def final_array(
        self,
        basket_arrays: Mapping[int, _Basket],
        entry_start: int,
        entry_stop: int,
        entry_offsets: list[int],
        *_: Any,
    ) -> Lists:
        """Return the numbers of some entries of several baskets."""
        parts, n_entries = [], 0
        for number in sorted(basket_arrays):
            first, last = entry_offsets[number], entry_offsets[number + 1]
            start, stop = max(entry_start, first), min(entry_stop, last)
            if start < stop:
                parts.append(basket_arrays[number].entries(start - first, stop - first))
                n_entries += len(parts[-1])
        if n_entries != entry_stop - entry_start:
            raise ValueError(f"{n_entries} of {entry_stop - entry_start} entries are there")
        if not parts:
            return Lists(np.empty(0, self._numbers.to_dtype), () if self._header_bytes is None else (np.empty(0, int),))
        values = np.concatenate([part.values for part in parts], dtype=self._numbers.to_dtype)
        counts = [part.counts for part in parts if part.counts is not None]
        return Lists(values, (np.concatenate(counts),) if counts else ())
