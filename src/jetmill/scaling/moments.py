"""What is known of the values of a variable: moments that can be added up, and exact quartiles."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from jetmill.files import made_earlier
from jetmill.scaling.sentinels import Ends


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations, minimum and maximum of values that are not missing."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = np.inf
    maximum: float = -np.inf

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        """Return the moments of values (n,), NaN left out, computed in float64."""
        if (missing := np.isnan(values)).any():
            values = values[~missing]
        if not len(values):
            return cls()
        low, high = values.min(), values.max()
        values = values.astype(np.float64)
        mean = values.mean()
        values -= mean
        # The second term corrects the rounding of the mean (Chan, Golub, LeVeque 1983, eq. 1.7).
        squares = np.dot(values, values) - values.sum() ** 2 / len(values)
        return cls(len(values), float(mean), float(squares), float(low), float(high))

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of values together (Chan, Golub, LeVeque 1983, eq. 2.1)."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        step = other.mean - self.mean
        return Moments(
            count,
            self.mean + step * other.count / count,
            self.squares + other.squares + step**2 * self.count * other.count / count,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )

    @property
    def variance(self) -> float:
        """Population variance, as scikit-learn's ``StandardScaler``."""
        return self.squares / self.count if self.count else 0.0


@dataclass(frozen=True)
class Statistics:
    """What scaling needs to know of a variable.

    Attributes
    ----------
    moments
        Of the values.
    log_moments
        Of their logarithms, if these are scaled.
    quartiles
        First, second and third, of the logarithms if these are scaled; None if nobody asks for them.
    missing
        How many values are missing besides.
    ends
        How often the smallest and the largest value occur.
    """

    moments: Moments
    log_moments: Moments | None = None
    quartiles: tuple[float, float, float] | None = None
    missing: int = 0
    ends: Ends = field(default_factory=Ends)

    @classmethod
    def of(cls, blocks: Callable[[], Iterable[np.ndarray]], *, log: bool, quartiles: bool) -> "Statistics":
        """Return the statistics of values that come in blocks (n,), read as often as it takes."""
        moments, log_moments, missing, ends = Moments(), Moments(), 0, Ends()
        for block in blocks():
            gone = np.isnan(block)
            values = block[~gone] if gone.any() else block
            moments, missing, ends = moments + Moments.of(values), missing + int(gone.sum()), ends + Ends.of(values)
            if log:
                log_moments += Moments.of(logarithm(values))
        scaled = (lambda: map(logarithm, blocks())) if log else blocks
        of_scaled = exact_quartiles(scaled) if quartiles else None
        return cls(moments, log_moments if log else None, of_scaled, missing, ends)

    @property
    def scaled(self) -> Moments:
        """Moments of what is scaled: the values or their logarithms."""
        return self.moments if self.log_moments is None else self.log_moments


def logarithm(values: np.ndarray) -> np.ndarray:
    """Return the natural logarithm, NaN where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(values > 0, np.log(values), np.nan).astype(values.dtype, copy=False)


def exact_quartiles(blocks: Callable[[], Iterable[np.ndarray]]) -> tuple[float, float, float]:
    """Return the quartiles, as ``numpy.percentile(x, [25, 50, 75])``, of values in single precision.

    Memory does not grow with the values and their order does not matter: the bits of a float32,
    read as an integer, are in the order of the numbers, so two passes that count the upper and
    the lower 16 bits find any place in the sorted values.

    Parameters
    ----------
    blocks
        Returns the values, (n,) each, NaN left out; called twice.
    """
    upper = np.zeros(2**16, dtype=np.int64)
    for key in map(_ordered, blocks()):
        upper += np.bincount(key >> 16, minlength=2**16)
    ends = np.cumsum(upper)
    count = int(ends[-1])
    if not count:
        return (np.nan, np.nan, np.nan)
    places = [q * (count - 1) for q in (0.25, 0.5, 0.75)]
    ranks = sorted({int(end) for place in places for end in (np.floor(place), np.ceil(place))})
    bins = {rank: int(np.searchsorted(ends, rank, side="right")) for rank in ranks}
    lower = {b: np.zeros(2**16, dtype=np.int64) for b in bins.values()}
    for key in map(_ordered, blocks()):
        for b, counts in lower.items():
            counts += np.bincount(key[key >> 16 == b] & 0xFFFF, minlength=2**16)
    value = {}
    for rank, b in bins.items():
        before = ends[b] - upper[b]
        low = int(np.searchsorted(np.cumsum(lower[b]), rank - before, side="right"))
        value[rank] = _number((b << 16) + low)
    first, second, third = (float(np.interp(place, ranks, [value[r] for r in ranks])) for place in places)
    return first, second, third


def write_statistics(statistics: Mapping[str, Mapping[str, Statistics]], path: str | Path) -> None:
    """Write the statistics of a range of variables, by object, as JSON, every float exact."""
    table = {of: {name: asdict(s) for name, s in rows.items()} for of, rows in statistics.items()}
    Path(path).write_text(json.dumps(table, indent=1))


def read_statistics(paths: Iterable[str | Path]) -> dict[str, dict[str, Statistics]]:
    """Join the statistics of several ranges of variables."""
    joined: dict[str, dict[str, Statistics]] = {}
    for path in paths:
        with made_earlier(path):
            for of, rows in json.loads(Path(path).read_text()).items():
                joined.setdefault(of, {}).update({name: _statistics(row) for name, row in rows.items()})
    return joined


def _statistics(row: Mapping) -> Statistics:
    log, quartiles = row["log_moments"], row["quartiles"]
    return Statistics(
        Moments(**row["moments"]),
        Moments(**log) if log else None,
        tuple(quartiles) if quartiles else None,
        row["missing"],
        Ends(**row["ends"]),
    )


def _ordered(values: np.ndarray) -> np.ndarray:
    """Return integers (int64) in the order of the numbers, NaN left out."""
    bits = values[~np.isnan(values)].astype(np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(2**31)).astype(np.int64)


def _number(key: int) -> float:
    """Return the number that `_ordered` made an integer of."""
    bits = np.uint32(key ^ 2**31 if key >> 31 else key ^ 0xFFFFFFFF)
    return float(bits.view(np.float32))
