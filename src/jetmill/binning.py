"""The N-dimensional histogram that jets are balanced in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jetmill.errors import JetmillError


@dataclass(frozen=True)
class Axis:
    """One variable of the histogram: its name and float64 bin edges (n_bins + 1,), rising."""

    variable: str
    edges: np.ndarray

    @classmethod
    def from_segments(cls, variable: str, segments: Sequence[tuple[float, float, int]]) -> "Axis":
        """Join segments ``(low, high, number of bins)`` of equal bins, each starting where the last ended."""
        parts = [np.linspace(low, high, n + 1)[1:] for low, high, n in segments]
        return cls(variable, np.concatenate([[float(segments[0][0])], *parts]))

    def __len__(self) -> int:
        return len(self.edges) - 1

    def index(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value, int64 (n_jets,); the last bin includes its upper edge.

        As ``numpy.histogram``, but the outer edges are compared in the type of `values`, so that a
        float32 jet that passed ``abs(eta) <= 2.4`` is not outside a histogram that ends at 2.4.

        Raises
        ------
        JetmillError
            If a value is NaN or outside the edges.
        """
        low, high = self.edges[[0, -1]].astype(values.dtype)
        outside = ~((values >= low) & (values <= high))
        if outside.any():
            lost = values[outside]
            span = f"{np.nanmin(lost):g} to {np.nanmax(lost):g}" if not np.isnan(lost).all() else "missing"
            raise JetmillError(
                f"{outside.sum()} of {len(values)} jets are outside the bins of '{self.variable}'"
                f" ({low:g} to {high:g}): their values are {span}."
                f" Cut them away under jets.select, or widen balance.bins.{self.variable}"
            )
        return np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, len(self) - 1)


def cell_index(columns: Sequence[np.ndarray], axes: Sequence[Axis]) -> np.ndarray:
    """Return the flat index (C order, first axis slowest) of each jet's cell, uint32 (n_jets,).

    Parameters
    ----------
    columns
        Values of the variable of each axis, each (n_jets,).
    """
    bins = tuple(axis.index(values) for axis, values in zip(axes, columns, strict=True))
    return np.ravel_multi_index(bins, shape(axes)).astype(np.uint32)


def shape(axes: Sequence[Axis]) -> tuple[int, ...]:
    """Return the number of bins along each axis."""
    return tuple(len(axis) for axis in axes)


def rank_in_group(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return each row's place in a random order of the rows of its group, uint32 (n_jets,).

    Parameters
    ----------
    group : ndarray of non-negative integers, shape (n_jets,)
    """
    shuffled = rng.permutation(len(group))
    # A stable sort of 16-bit integers is a radix sort, several times faster than any other.
    small = np.min_scalar_type(int(group.max(initial=0)))
    order = shuffled[np.argsort(group[shuffled].astype(small), kind="stable")]
    counts = np.bincount(group)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(group), dtype=np.uint32)
    rank[order] = np.arange(len(group)) - starts[group[order]]
    return rank
