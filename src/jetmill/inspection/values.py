"""The values of a variable at a glance."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# A value that this share of all have, and that stands apart, may mean that there is none.
SHARE = 0.01
# What is used for that; some of them are hardly ever anything else.
NEVER = (-9999.0, -999.0, 9999.0)
USUAL = (*NEVER, -99.0, -10.0, -9.0, -2.0, -1.0, 999.0)
BARS = " ▁▂▃▄▅▆▇█"
WIDTH = 20


@dataclass(frozen=True)
class Summary:
    """Values of a variable in the first entries of a file.

    Attributes
    ----------
    n
        Number of values.
    missing
        How many are NaN or infinite.
    low, high, median
        Of the others, None if there are none.
    sentinels
        Value to how often it occurs, of those that seem to mean that there is no value.
    distinct
        Number of different values, at most 20 of which are counted.
    counts
        Value to how often it occurs, for integers of at most 12 values.
    histogram
        Values in `WIDTH` bins from the first to the last percent, without sentinels.
    """

    n: int
    missing: int
    low: float | None
    high: float | None
    median: float | None
    sentinels: dict[float, int]
    distinct: int
    counts: dict[int, int]
    histogram: list[int]

    @classmethod
    def of(cls, values: np.ndarray) -> "Summary":
        """Return the summary of values (n,)."""
        values = values.astype(np.float64)
        there = values[np.isfinite(values)]
        if not len(there):
            return cls(len(values), len(values), None, None, None, {}, 0, {}, [])
        unique, counts = np.unique(there, return_counts=True)
        sentinels = _sentinels(unique, counts)
        real = there[~np.isin(there, list(sentinels))] if sentinels else there
        low, high = np.quantile(real, [0.005, 0.995]) if len(real) else (0.0, 0.0)
        with np.errstate(over="ignore"):
            span = high - low
        place = ((real - low) / span).clip(0, 1) * WIDTH if 0 < span < np.inf else np.zeros(len(real))
        histogram = np.bincount(place.astype(np.int64).clip(max=WIDTH - 1), minlength=WIDTH)
        whole = len(unique) <= 12 and bool((unique == np.floor(unique)).all())
        return cls(
            n=len(values),
            missing=len(values) - len(there),
            low=float(there.min()),
            high=float(there.max()),
            median=float(np.median(real)) if len(real) else None,
            sentinels=sentinels,
            distinct=min(len(unique), 20),
            counts={int(x): int(n) for x, n in zip(unique, counts, strict=True)} if whole else {},
            histogram=histogram.tolist(),
        )

    @property
    def bars(self) -> str:
        """The histogram in one line."""
        if not any(self.histogram):
            return ""
        top = max(self.histogram)
        # What is there is seen.
        return "".join(BARS[0 if not n else max(1, round(8 * n / top))] for n in self.histogram)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        found = asdict(self)
        found["sentinels"] = [{"value": value, "count": n} for value, n in self.sentinels.items()]
        found["counts"] = [{"value": value, "count": n} for value, n in self.counts.items()]
        return found


def _sentinels(unique: np.ndarray, counts: np.ndarray) -> dict[float, int]:
    """Return the values that seem to mean that there is no value, given the different ones, rising.

    That is one of the usual ones at an end, beside fractions or with a gap; or an end beside fractions that many share
    and that is far from all others.
    """
    if len(unique) < 3:
        return {}
    fractions = bool((unique != np.floor(unique)).any())
    n, found = counts.sum(), {}
    for end, inner, other in ((0, 1, -1), (-1, -2, 0)):
        value, gap, spread = unique[end], abs(unique[inner] - unique[end]), abs(unique[inner] - unique[other])
        apart = fractions and value != 0 and gap > spread > 0
        usual = value in USUAL and (fractions or gap > 1)
        if (counts[end] >= max(5, SHARE * n) and (apart or usual)) or (counts[end] > 1 and value in NEVER and usual):
            found[float(value)] = int(counts[end])
    return found
