"""Weights of events, and exact sums of them."""

from collections.abc import Mapping

import numpy as np

from jetmill.errors import JetmillError


def product(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the event weight of each jet, float32 (n_jets,): the product of at least one column, float32 (n_jets,).

    Raises
    ------
    JetmillError
        If a factor is missing for a jet, or the product is beyond single precision.
    """
    weight: np.ndarray = np.ones(1, dtype=np.float32)
    for name, values in columns.items():
        if not (finite := np.isfinite(values)).all():
            raise JetmillError(f"balance.event_weights: '{name}' is missing for {(~finite).sum()} jets")
        with np.errstate(over="ignore"):
            weight = weight * values
    if not (finite := np.isfinite(weight)).all():
        names = ", ".join(f"'{name}'" for name in columns)
        raise JetmillError(
            f"balance.event_weights: the product of {names} is too large for single precision for"
            f" {(~finite).sum()} jets"
        )
    return weight


class ExactSums:
    """Sums of float32 numbers by group, exact, so that neither their order nor their grouping into batches matters.

    A float32 is a 24-bit integer times a power of two. Numbers of similar size are added as integers,
    ``levels[k]`` in units of 2**(8 * k - 24): exact for 2**32 numbers in a group.

    Attributes
    ----------
    n_groups
        Groups are numbered from 0.
    bits
        Each number is rounded to so many: 24 of a float32.
    width
        Numbers whose exponents are within this range are added in one table of 64-bit integers.
    levels
        Level to sums, int64 (n_groups,), for the levels that occur.
    """

    def __init__(self, n_groups: int, bits: int = 24, width: int = 8):
        self.n_groups, self.bits, self.width = n_groups, bits, width
        self.levels: dict[int, np.ndarray] = {}

    @classmethod
    def of_squares(cls, n_groups: int) -> "ExactSums":
        """Return those of squares, for errors: 8 bits do, and few levels; exact for 2**39 numbers in a group."""
        return cls(n_groups, bits=8, width=16)

    def add(self, group: np.ndarray, values: np.ndarray, times: np.ndarray | None = None) -> None:
        """Add numbers, float32 or float64 (n,), to their groups, each once or `times` (n,) integers."""
        fraction, exponent = np.frexp(values)
        whole = np.rint(np.ldexp(fraction, self.bits)).astype(np.int64)
        if times is not None:
            whole *= times
        level, shift = np.divmod(exponent, self.width)
        for k in np.unique(level[whole != 0]).tolist():
            here = level == k
            np.add.at(self._level(k), group[here], whole[here] << shift[here])

    def add_sums(self, level: int, sums: np.ndarray) -> None:
        """Add sums of other numbers at one level, int64 (n_groups,)."""
        self._level(level)[...] += sums

    def result(self) -> np.ndarray:
        """Return the sums, float64 (n_groups,)."""
        # Smallest first, always in the same order.
        unit = {k: 2.0 ** (self.width * k - self.bits) for k in sorted(self.levels)}
        return sum((self.levels[k] * unit[k] for k in unit), start=np.zeros(self.n_groups))

    def _level(self, k: int) -> np.ndarray:
        return self.levels.setdefault(k, np.zeros(self.n_groups, dtype=np.int64))
