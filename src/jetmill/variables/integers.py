"""Integers that are exact whatever their size, and that know where they are missing.

numpy's integers wrap around beyond 64 bits, become rounded doubles where int64 meets uint64, and have no NaN. Here
results are int64 where they are sure to fit, and Python's integers (arrays of objects) elsewhere: slower, but exact.
Values never depend on which of the two holds them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from jetmill.errors import JetmillError

# Beyond this, doubles are infinite, and 9**9**9 would exhaust the memory.
MAX_BITS = 1023
# Up to here every integer is a double.
_EXACT_DOUBLES = 2**53
_INT64 = 2**63


@dataclass(frozen=True, eq=False)
class Integers:
    """Integers (int64, or objects that are Python integers), and where they are missing; shape (n,) or ()."""

    values: np.ndarray
    missing: np.ndarray | np.bool_ = np.False_

    @classmethod
    def of(cls, column: np.ndarray, missing: np.ndarray | np.bool_ = np.False_) -> "Integers":
        """Take integers or booleans of any type, (n,) or ()."""
        if column.dtype == np.uint64 and int(column.max(initial=0)) >= _INT64:
            return cls(column.astype(object), missing)
        return cls(column.astype(np.int64, copy=False), missing)

    @classmethod
    def of_number(cls, number: int) -> "Integers":
        """Take a constant; raises JetmillError if it has more than `MAX_BITS` bits."""
        if number.bit_length() > MAX_BITS:
            raise _too_large()
        return cls(_narrow(np.array(number, dtype=object)))

    def number(self) -> int | None:
        """Return the number of a constant, None for anything else."""
        return int(self.values) if self.values.ndim == 0 and not self.missing else None

    def floats(self) -> np.ndarray:
        """Return the nearest doubles, NaN where missing."""
        values = self.values.astype(np.float64)
        return np.where(self.missing, np.nan, values) if self.missing.any() else values

    def true(self) -> np.ndarray:
        """Return which are known and not 0."""
        is_true: np.ndarray = (self.values != 0) & ~self.missing
        return is_true


def calculate(name: str, *operands: Integers) -> Integers:
    """Return what a function of `OPERATIONS` makes of integers; division by 0 is missing.

    Raises
    ------
    JetmillError
        If a result has more than `MAX_BITS` bits.
    """
    function, bound = OPERATIONS[name]
    missing = reduce(np.logical_or, [x.missing for x in operands])
    values = [x.values for x in operands]
    if name in DIVISIONS:
        by_zero = values[1] == 0
        missing, values[1] = missing | by_zero, np.where(by_zero, 1, values[1])
    return Integers(_exactly(function, bound(*map(_largest, values)), values), missing)


def power(base: Integers, exponent: int) -> Integers:
    """Return base**exponent for an exponent that is not negative."""
    largest = _largest(base.values)
    if largest <= 1:
        exponent = min(exponent, 2 - exponent % 2)
    if (largest.bit_length() - 1) * exponent > MAX_BITS:
        raise _too_large()
    return Integers(_exactly(lambda x: x**exponent, largest**exponent, [base.values]), base.missing)


def choose(condition: np.ndarray, one: Integers, other: Integers) -> Integers:
    """Return `one` where the condition is true, else `other`."""
    values = _narrow(np.where(condition, one.values, other.values))
    return Integers(values, np.where(condition, one.missing, other.missing))


def compare(function: np.ufunc, left: "Integers | np.ndarray", right: "Integers | np.ndarray") -> np.ndarray:
    """Compare integers with integers or doubles, exactly; with what is missing, only ``!=`` is true."""
    operands = left, right
    missing = [np.asarray(x.missing) for x in operands if isinstance(x, Integers)]
    values = [x.values if isinstance(x, Integers) else np.asarray(x) for x in operands]
    doubles = any(x.dtype.kind == "f" for x in values)
    if any(x.dtype == object or (doubles and x.dtype.kind == "i" and _largest(x) > _EXACT_DOUBLES) for x in values):
        # Python compares integers with doubles exactly.
        values = [x.astype(object) for x in values]
    true = function(*values)
    hit = missing[0] | missing[-1]
    return np.where(hit, function is np.not_equal, true).astype(bool) if hit.any() else np.asarray(true, dtype=bool)


def _exactly(function: Callable[..., np.ndarray], bound: int, values: list[np.ndarray]) -> np.ndarray:
    if bound < _INT64 and all(x.dtype != object for x in values):
        return function(*values)
    found = _narrow(np.asarray(function(*[x.astype(object) for x in values]), dtype=object))
    if _largest(found).bit_length() > MAX_BITS:
        raise _too_large()
    return found


def _narrow(values: np.ndarray) -> np.ndarray:
    """Return int64 if that holds all values."""
    return values.astype(np.int64) if _largest(values) < _INT64 else values


def _largest(values: np.ndarray) -> int:
    """Return the largest absolute value, 0 of none."""
    return max(-int(values.min()), int(values.max())) if values.size else 0


def _too_large() -> JetmillError:
    return JetmillError(
        f"a result is an integer beyond 2**{MAX_BITS}; multiply an operand by 1.0 to calculate with floats"
    )


# The function, and a bound on its result from the largest absolute values of its operands.
OPERATIONS: dict[str, tuple[np.ufunc, Callable[..., int]]] = {
    "+": (np.add, lambda a, b: a + b),
    "-": (np.subtract, lambda a, b: a + b),
    "*": (np.multiply, lambda a, b: a * b),
    "//": (np.floor_divide, max),
    "%": (np.remainder, max),
    "positive": (np.positive, lambda a: a),
    "negative": (np.negative, lambda a: a),
    "abs": (np.absolute, lambda a: a),
    # These never leave 64 bits.
    "&": (np.bitwise_and, lambda *_: 0),
    "|": (np.bitwise_or, lambda *_: 0),
    "~": (np.invert, lambda _: 0),
    "min": (np.minimum, lambda *_: 0),
    "max": (np.maximum, lambda *_: 0),
}
DIVISIONS = ("//", "%")
