"""Statistics of the values of a variable: moments that can be added, and what else scaling needs."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jetmill.files import read_json, write_json
from jetmill.scaling.quartiles import Quartiles
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
    def of(cls, values: np.ndarray, times: np.ndarray | None = None) -> "Moments":
        """Return the moments of values (n,), each once or `times` (n,) integers, NaN left out, computed in float64."""
        values, times = counted(values, times)
        if not len(values):
            return cls()
        low, high = values.min(), values.max()

        def total(terms: np.ndarray) -> np.float64:
            found: np.float64 = terms.sum() if times is None else np.dot(times, terms)
            return found

        values = values.astype(np.float64)
        count = len(values) if times is None else int(times.sum())
        mean = total(values) / count
        values -= mean
        # The second term corrects the rounding of the mean (Chan, Golub, LeVeque 1983, eq. 1.7).
        weighted = values if times is None else times * values
        squares = np.dot(weighted, values) - total(values) ** 2 / count
        return cls(count, float(mean), float(squares), float(low), float(high))

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
    moments, log_moments
        Of the values, and of their logarithms, if these are scaled.
    quartiles
        First, second and third, of the logarithms if these are scaled; None if no method needs them.
    missing
        Number of missing values.
    ends
        How often the smallest and the largest value occur.
    whole
        Whether all values are whole numbers.
    """

    moments: Moments
    log_moments: Moments | None = None
    quartiles: tuple[float, float, float] | None = None
    missing: int = 0
    ends: Ends = field(default_factory=Ends)
    whole: bool = False

    @property
    def scaled(self) -> Moments:
        """Moments of what is scaled: the values or their logarithms."""
        return self.moments if self.log_moments is None else self.log_moments


class Accumulator:
    """Collects the statistics of a variable from blocks of values: in one pass, or in two with quartiles.

    With `log`, logarithms are scaled. With `quartiles`, every block must come again after `look_closer`.
    """

    def __init__(self, *, log: bool, quartiles: bool):
        self._moments, self._log_moments = Moments(), Moments() if log else None
        self._missing, self._ends, self._whole = 0, Ends(), True
        self._quartiles = Quartiles() if quartiles else None

    def add(self, values: np.ndarray, times: np.ndarray | None = None) -> None:
        """Take values (n,) into account, NaN where missing, each once or `times` (n,) integers."""
        known, of_known = counted(values, times)
        self._moments += Moments.of(known, of_known)
        self._ends += Ends.of(known, of_known)
        self._whole = self._whole and bool((known == np.rint(known)).all())
        self._missing += int(np.isnan(values).sum() if times is None else times[np.isnan(values)].sum())
        if self._log_moments is not None:
            known = logarithm(known)
            self._log_moments += Moments.of(known, of_known)
        if self._quartiles is not None:
            self._quartiles.add(known, of_known)

    def look_closer(self) -> bool:
        """End the first pass; return whether there must be a second one, of `add_again`."""
        if self._quartiles is not None:
            self._quartiles.look_closer()
        return self._quartiles is not None

    def add_again(self, values: np.ndarray, times: np.ndarray | None = None) -> None:
        """Take a block into account in the second pass."""
        if self._quartiles is not None:
            known, of_known = counted(values, times)
            self._quartiles.add_again(known if self._log_moments is None else logarithm(known), of_known)

    def result(self) -> Statistics:
        """Return the statistics of all values."""
        quartiles = None if self._quartiles is None else self._quartiles.result()
        whole = self._whole and self._moments.count > 0
        return Statistics(self._moments, self._log_moments, quartiles, self._missing, self._ends, whole)


def counted(values: np.ndarray, times: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the values that are not missing and count at least once, and how often each does (None: once)."""
    counts = ~np.isnan(values)
    if times is not None:
        counts &= times > 0
    if counts.all():
        return values, times
    return values[counts], None if times is None else times[counts]


def logarithm(values: np.ndarray) -> np.ndarray:
    """Return the natural logarithm, NaN where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(values > 0, np.log(values), np.nan).astype(values.dtype, copy=False)


def write_statistics(statistics: Mapping[str, Mapping[str, Statistics]], path: str | Path) -> None:
    """Write the statistics of a range of variables, by object, as JSON, every float exact."""
    write_json(path, {of: {name: asdict(s) for name, s in rows.items()} for of, rows in statistics.items()})


def read_statistics(paths: Iterable[str | Path]) -> dict[str, dict[str, Statistics]]:
    """Join the statistics of several ranges of variables."""
    joined: dict[str, dict[str, Statistics]] = {}
    for path in paths:
        for of, rows in read_json(path).items():
            joined.setdefault(of, {}).update({name: _statistics(row) for name, row in rows.items()})
    return joined


def _statistics(row: Mapping[str, Any]) -> Statistics:
    log, quartiles = row["log_moments"], row["quartiles"]
    return Statistics(
        Moments(**row["moments"]),
        Moments(**log) if log else None,
        tuple(quartiles) if quartiles else None,
        row["missing"],
        Ends(**row["ends"]),
        # Results of earlier versions do not say it.
        row.get("whole", False),
    )
