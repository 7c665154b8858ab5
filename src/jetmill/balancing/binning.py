"""The N-dimensional histogram that jets are balanced in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

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

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return which values are within the outer edges, compared in their own type: bool (n_jets,)."""
        low, high = self.edges[[0, -1]].astype(values.dtype)
        return (values >= low) & (values <= high)

    def index(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value, int64 (n_jets,); the last bin includes its upper edge.

        As ``numpy.histogram``, but the outer edges are compared in the type of `values`, so that a
        float32 jet that passed ``abs(eta) <= 2.4`` is not outside a histogram that ends at 2.4.

        Raises
        ------
        JetmillError
            If a value is NaN or outside the edges.
        """
        outside = ~self.holds(values)
        if outside.any():
            low, high = self.edges[[0, -1]]
            lost = values[outside]
            span = f"{np.nanmin(lost):g} to {np.nanmax(lost):g}" if not np.isnan(lost).all() else "missing"
            raise JetmillError(
                f"{outside.sum()} of {len(values)} jets are outside the bins of '{self.variable}'"
                f" ({low:g} to {high:g}): their values are {span}."
                f" Cut them away under jets.select, or widen balance.bins.{self.variable}"
            )
        return np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, len(self) - 1)


def axes_of(bins: Mapping[str, Sequence[tuple[float, float, int]]]) -> list[Axis]:
    """Return the axes of the histogram from ``balance.bins``."""
    return [Axis.from_segments(variable, segments) for variable, segments in bins.items()]


def cell_index(columns: Sequence[np.ndarray], axes: Sequence[Axis]) -> np.ndarray:
    """Return the flat index (C order, first axis slowest) of each jet's cell, uint32 (n_jets,).

    Parameters
    ----------
    columns
        Values of the variable of each axis, each (n_jets,).
    """
    bins = tuple(axis.index(values) for axis, values in zip(axes, columns, strict=True))
    return np.ravel_multi_index(bins, shape(axes)).astype(np.uint32)


def cell_or_none(columns: Sequence[np.ndarray], axes: Sequence[Axis]) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of each jet as `cell_index` does, and whether it is inside; that of others is 0."""
    inside = np.logical_and.reduce([axis.holds(values) for axis, values in zip(axes, columns, strict=True)])
    cell = np.zeros(len(inside), dtype=np.uint32)
    cell[inside] = cell_index([values[inside] for values in columns], axes)
    return cell, inside


def shape(axes: Sequence[Axis]) -> tuple[int, ...]:
    """Return the number of bins along each axis."""
    return tuple(len(axis) for axis in axes)


def cells_between(axes: Sequence[Axis], ranges: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Return which cells lie in ranges of some variables, whose ends are bin edges: bool (*bins)."""
    inside = []
    for axis in axes:
        low, high = ranges.get(axis.variable, (-np.inf, np.inf))
        centres = (axis.edges[:-1] + axis.edges[1:]) / 2
        inside.append((centres > low) & (centres < high))
    return reduce(np.logical_and.outer, inside)
