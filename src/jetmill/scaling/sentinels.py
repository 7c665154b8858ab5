"""Values that look like a sentinel: one number, shared exactly by many jets, at an end of a spectrum.

A sentinel that the configuration does not name (-999) enters mean and deviation unnoticed.
"""

from dataclasses import dataclass

import numpy as np

# A value is suspicious if at least this share of all values, and this many jets, have it.
SHARE, JETS = 0.01, 10
# It is isolated if the next value is this many standard deviations of the others away.
DEVIATIONS = 5.0
# Numbers that usually mean "none"; these need not be isolated.
USUAL = frozenset(sign * (10.0**digits - 1) for sign in (-1, 1) for digits in range(2, 7))


@dataclass(frozen=True)
class Ends:
    """How often the smallest and the largest value occur, and their nearest neighbours.

    Attributes
    ----------
    low, high
        Smallest and largest value.
    n_low, n_high
        How many values are exactly that.
    above_low, below_high
        The nearest other value; infinite if there is none, or it was not looked for (see `of`).
    """

    low: float = np.inf
    n_low: int = 0
    above_low: float = np.inf
    high: float = -np.inf
    n_high: int = 0
    below_high: float = -np.inf

    @classmethod
    def of(cls, values: np.ndarray, times: np.ndarray | None = None) -> "Ends":
        """Return the ends of values (n,) without NaN, each once or `times` (n,) integers.

        The neighbour of a value that occurs once is not looked for: that costs as much as the moments do.
        """
        if not len(values):
            return cls()
        low, n_low, above = _end(values, times, values.min(), np.minimum, np.inf)
        high, n_high, below = _end(values, times, values.max(), np.maximum, -np.inf)
        return cls(low, n_low, above, high, n_high, below)

    def __add__(self, other: "Ends") -> "Ends":
        """Return the ends of both sets of values together."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        n_low = sum(x.n_low for x in (self, other) if x.low == low)
        n_high = sum(x.n_high for x in (self, other) if x.high == high)
        above = min(x.above_low if x.low == low else x.low for x in (self, other))
        below = max(x.below_high if x.high == high else x.high for x in (self, other))
        return Ends(low, n_low, above, high, n_high, below)


def sentinels(ends: Ends, count: int, mean: float, squares: float) -> list[tuple[float, int]]:
    """Return the values at the ends of a spectrum that look like sentinels, and how often each occurs.

    A value does if many jets share it and it stands apart from all others (0 is a value like any other), or is
    the only negative one beside measured positive ones, or is one of `USUAL`.

    Parameters
    ----------
    ends
        Of the spectrum.
    count, mean, squares
        Number of its values, their mean, and the sum of squared deviations.
    """
    found = []
    for value, n, following in (
        (ends.low, ends.n_low, ends.above_low),
        (ends.high, ends.n_high, ends.below_high),
    ):
        if n < JETS or not np.isfinite(following):
            continue
        gap, spread = abs(following - value), _spread_of_others(count, mean, squares, value, n)
        counted = float(value).is_integer() and float(following).is_integer() and gap <= 1
        apart = value != 0 and gap > DEVIATIONS * spread > 0 and not counted
        only_negative = value < 0 < following and not float(following).is_integer()
        if value in USUAL or (n >= SHARE * count and (apart or only_negative)):
            found.append((value, n))
    return found


def _end(
    values: np.ndarray, times: np.ndarray | None, end: np.generic, ufunc: np.ufunc, none: float
) -> tuple[float, int, float]:
    there = values == end
    n_there = int(np.count_nonzero(there))
    # Twice as fast as a masked reduction.
    following = none if n_there == 1 else float(ufunc.reduce(np.where(there, values.dtype.type(none), values)))
    return float(end), n_there if times is None else int(times[there].sum()), following


def _spread_of_others(count: int, mean: float, squares: float, value: float, n: int) -> float:
    """Return the standard deviation of all values but `n` that are `value`: two sums of moments, subtracted."""
    others = count - n
    if others <= 0:
        return 0.0
    mean_of_others = mean + (mean - value) * n / others
    remaining = squares - (mean_of_others - value) ** 2 * n * others / count
    # Below the rounding error of the subtraction there is no spread.
    return float(np.sqrt(remaining / others)) if remaining > 1e-12 * squares else 0.0
