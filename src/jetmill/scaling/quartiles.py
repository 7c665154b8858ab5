"""Exact quartiles of any number of values in constant memory."""

import numpy as np

# Bits of each half of a number.
HALF = 16


class Quartiles:
    """Quartiles, as ``numpy.percentile(x, [25, 50, 75])``, of values in single precision, in two passes.

    The bits of a float32, read as an integer, have the order of the numbers. The first pass counts their upper half,
    which tells where the quartiles are; the second counts the lower half of the values there. Memory does not grow with
    the number of values, and their order does not matter.
    """

    def __init__(self) -> None:
        self._upper = np.zeros(2**HALF, dtype=np.int64)
        self._lower: dict[int, np.ndarray] = {}
        self._bins: dict[int, int] = {}
        self._places: list[float] = []

    def add(self, values: np.ndarray, times: np.ndarray | None = None) -> None:
        """Count values (n,) in the first pass, each once or `times` (n,) integers; NaN is left out."""
        keys, times = _ordered(values, times)
        self._upper += _histogram(keys >> HALF, times)

    def look_closer(self) -> None:
        """End the first pass."""
        ends = np.cumsum(self._upper)
        if not (count := int(ends[-1])):
            return
        self._places = [q * (count - 1) for q in (0.25, 0.5, 0.75)]
        ranks = sorted({int(end) for place in self._places for end in (np.floor(place), np.ceil(place))})
        self._bins = {rank: int(np.searchsorted(ends, rank, side="right")) for rank in ranks}
        self._lower = {b: np.zeros(2**HALF, dtype=np.int64) for b in self._bins.values()}

    def add_again(self, values: np.ndarray, times: np.ndarray | None = None) -> None:
        """Count the same values in the second pass."""
        keys, times = _ordered(values, times)
        upper = keys >> HALF
        for b, counts in self._lower.items():
            there = upper == b
            counts += _histogram(keys[there] & (2**HALF - 1), None if times is None else times[there])

    def result(self) -> tuple[float, float, float]:
        """Return the first, second and third quartile; NaN without any value."""
        if not self._places:
            return (np.nan, np.nan, np.nan)
        ends, value = np.cumsum(self._upper), {}
        for rank, b in self._bins.items():
            before = ends[b] - self._upper[b]
            low = int(np.searchsorted(np.cumsum(self._lower[b]), rank - before, side="right"))
            value[rank] = _number((b << HALF) + low)
        ranks = list(value)
        first, second, third = (float(np.interp(place, ranks, list(value.values()))) for place in self._places)
        return first, second, third


def _histogram(bins: np.ndarray, times: np.ndarray | None) -> np.ndarray:
    """Return how often each bin occurs, int64 (2**HALF,). Sums of `times` are exact below 2**53."""
    return np.bincount(bins, times, minlength=2**HALF).astype(np.int64, copy=False)


def _ordered(values: np.ndarray, times: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return integers (int64) in the order of the numbers, and `times`, without those of NaN."""
    known = ~np.isnan(values)
    bits = values[known].astype(np.float32).view(np.uint32)
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(2**31)).astype(np.int64)
    return keys, None if times is None else times[known]


def _number(key: int) -> float:
    """Return the number that `_ordered` made an integer of."""
    bits = np.uint32(key ^ 2**31 if key >> 31 else key ^ 0xFFFFFFFF)
    return float(bits.view(np.float32))
