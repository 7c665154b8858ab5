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
        inside: np.ndarray = (values >= low) & (values <= high)
        return inside

    def index(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value, int64 (n_jets,); the last bin includes its upper edge. Outside and NaN: -1.

        Like ``numpy.histogram``, but the outer edges are compared in the type of `values`, so that a
        float32 jet that passed ``abs(eta) <= 2.4`` is not outside a histogram that ends at 2.4.
        """
        bins = np.clip(np.searchsorted(self.edges, values, side="right") - 1, 0, len(self) - 1)
        return np.where(self.holds(values), bins, -1)


def axes_of(bins: Mapping[str, Sequence[tuple[float, float, int]]]) -> list[Axis]:
    """Return the axes of the histogram from ``balance.bins``."""
    return [Axis.from_segments(variable, segments) for variable, segments in bins.items()]


def find_bins(columns: Sequence[np.ndarray], axes: Sequence[Axis], n_jets: int) -> np.ndarray:
    """Return the flat index (C order, first axis slowest) of each jet's bin, int32 (n_jets,); -1 outside the bins.

    `columns` holds the variable of each axis, (n_jets,); a jet that misses one of them is outside. Without axes all
    jets are in one bin.
    """
    if not axes:
        return np.zeros(n_jets, dtype=np.int32)
    bins = tuple(axis.index(values) for axis, values in zip(axes, columns, strict=True))
    inside = np.logical_and.reduce([of_axis >= 0 for of_axis in bins])
    return np.where(inside, np.ravel_multi_index(bins, shape(axes), mode="clip"), -1).astype(np.int32)


def refuse_outside(columns: Sequence[np.ndarray], axes: Sequence[Axis]) -> None:
    """Raise JetmillError that names the first axis by which training jets are outside the bins (or NaN)."""
    for axis, values in zip(axes, columns, strict=True):
        lost = values[~axis.holds(values)]
        if len(lost):
            low, high = axis.edges[[0, -1]]
            span = f"{np.nanmin(lost):g} to {np.nanmax(lost):g}" if not np.isnan(lost).all() else "missing"
            raise JetmillError(
                f"{len(lost)} of {len(values)} training jets are outside the bins of '{axis.variable}'"
                f" ({low:g} to {high:g}): their values are {span}. Cut them away under jets.select, widen"
                f" balance.bins.{axis.variable}, or leave them out of training with balance.outside: drop"
            )


def shape(axes: Sequence[Axis]) -> tuple[int, ...]:
    """Return the number of bins along each axis."""
    return tuple(len(axis) for axis in axes)


def bins_between(axes: Sequence[Axis], ranges: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Return which bins lie in ranges of some variables, whose ends are bin edges: bool (*bins)."""
    inside = []
    for axis in axes:
        low, high = ranges.get(axis.variable, (-np.inf, np.inf))
        centres = (axis.edges[:-1] + axis.edges[1:]) / 2
        inside.append((centres > low) & (centres < high))
    return reduce(np.logical_and.outer, inside, np.array(True))


def volumes(axes: Sequence[Axis]) -> np.ndarray:
    """Return the product of the widths of each bin, in the units of the variables: float64 (*bins)."""
    return reduce(np.multiply.outer, [np.diff(axis.edges) for axis in axes], np.array(1.0))
