"""The values that expressions calculate with, and the operations.

A value is a condition (bool), `Integers` or doubles, of shape (n,), or () for a constant. In arithmetic and comparisons
a condition is the integer 0 or 1; with a double, integers become the nearest doubles. Comparisons are exact whatever
the types.
"""

import ast
from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any

import numpy as np

from jetmill.variables.integers import Integers, calculate, choose, compare, power
from jetmill.variables.missing import as_in_file, is_missing

# np.ndarray or np.generic of bool or float64, or Integers.
Value = Any


def of_column(columns: Mapping[str, np.ndarray], name: str) -> Value:
    """Return a column in 64 bits: 0.3 stays 0.3 beside a float32, and a uint8 does not wrap around.

    Integers and booleans that `mark_missing` turned into floats are what they were.
    """
    column, original = columns[name], columns.get(as_in_file(name))
    if original is not None:
        missing = is_missing(column)
        original = np.where(missing, np.zeros_like(original), original)
        return original if original.dtype == bool else Integers.of(original, missing)
    if column.dtype.kind == "f":
        return column.astype(np.float64, copy=False)
    return column if column.dtype == bool else Integers.of(column)


def of_number(number: bool | int | float) -> Value:
    """Return a constant."""
    if isinstance(number, bool):
        return np.bool_(number)
    return np.float64(number) if isinstance(number, float) else Integers.of_number(number)


def to_column(value: Value) -> np.ndarray:
    """Return a value as bool, int64 or float64: integers beyond 64 bits and those of which some are missing as float64.

    Shape (n,) or ().
    """
    if not isinstance(value, Integers):
        return np.asarray(value)
    beyond = value.values.dtype == object
    return np.asarray(value.floats() if beyond or value.missing.any() else value.values)


def is_float(value: Value) -> bool:
    """Say whether a value is doubles."""
    return not isinstance(value, Integers) and value.dtype.kind == "f"


def is_condition(value: Value) -> bool:
    """Say whether a value is a condition."""
    return not isinstance(value, Integers) and value.dtype.kind == "b"


def true(value: Value) -> np.ndarray:
    """Return where a value is known and not 0, bool."""
    if isinstance(value, Integers):
        return value.true()
    is_true: np.ndarray = (value != 0) & ~np.isnan(value) if is_float(value) else value.astype(bool, copy=False)
    return is_true


def arithmetic(name: str, of_floats: np.ufunc, *values: Value) -> Value:
    """Calculate with integers (`jetmill.variables.integers.OPERATIONS`) or, if one is a double, with doubles."""
    if any(map(is_float, values)):
        return of_floats(*map(_floats, values))
    return calculate(name, *map(_integers, values))


def of_doubles(function: np.ufunc, *values: Value) -> Value:
    """Calculate with doubles."""
    return function(*map(_floats, values))


def raised(base: Value, exponent: Value) -> Value:
    """Return integers for integers with an integer constant that is not negative as exponent, else doubles."""
    if isinstance(exponent, Integers) and not is_float(base):
        constant = exponent.number()
        if constant is not None and constant >= 0:
            return power(_integers(base), constant)
    return np.power(_floats(base), _floats(exponent))


def floored(value: Value) -> Value:
    """Round down; integers stay what they are."""
    return np.floor(value) if is_float(value) else _integers(value)


def chosen(condition: Value, one: Value, other: Value) -> Value:
    """Return `one` where the condition is true, else `other`."""
    is_true = true(condition)
    if is_condition(one) and is_condition(other):
        return np.where(is_true, one, other)
    if is_float(one) or is_float(other):
        return np.where(is_true, _floats(one), _floats(other))
    return choose(is_true, _integers(one), _integers(other))


def compared(operators: list[type[ast.cmpop]], *values: Value) -> np.ndarray:
    """Compare each value with the next, which is a list for ``in``; true where all comparisons are."""
    pairs = zip(operators, values[:-1], values[1:], strict=True)
    return reduce(np.logical_and, (_compared(operator, left, right) for operator, left, right in pairs))


def _compared(operator: type[ast.cmpop], left: Value, right: Value) -> np.ndarray:
    if operator in (ast.In, ast.NotIn):
        found = [_compared(ast.Eq, left, value) for value in right]
        is_among = reduce(np.logical_or, found) if found else np.zeros((), dtype=bool)
        return is_among if operator is ast.In else ~is_among
    if is_float(left) and is_float(right):
        is_true: np.ndarray = COMPARISONS[operator](left, right)
        return is_true
    return compare(COMPARISONS[operator], *(x if is_float(x) else _integers(x) for x in (left, right)))


def _floats(value: Value) -> np.ndarray:
    return value.floats() if isinstance(value, Integers) else value.astype(np.float64, copy=False)


def _integers(value: Value) -> Integers:
    return value if isinstance(value, Integers) else Integers.of(value)


COMPARISONS: dict[type[ast.cmpop], np.ufunc] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
LISTED = (ast.In, ast.NotIn)
BINARY: dict[type[ast.operator], Callable[..., Value]] = {
    ast.Add: partial(arithmetic, "+", np.add),
    ast.Sub: partial(arithmetic, "-", np.subtract),
    ast.Mult: partial(arithmetic, "*", np.multiply),
    ast.Div: partial(of_doubles, np.true_divide),
    ast.FloorDiv: partial(arithmetic, "//", np.floor_divide),
    ast.Mod: partial(arithmetic, "%", np.remainder),
    ast.Pow: raised,
}
UNARY: dict[type[ast.unaryop], Callable[..., Value]] = {
    ast.USub: partial(arithmetic, "negative", np.negative),
    ast.UAdd: partial(arithmetic, "positive", np.positive),
}
# How many arguments each takes.
FUNCTIONS: dict[str, tuple[int, Callable[..., Value]]] = {
    "abs": (1, partial(arithmetic, "abs", np.absolute)),
    "min": (2, partial(arithmetic, "min", np.minimum)),
    "max": (2, partial(arithmetic, "max", np.maximum)),
    "floor": (1, floored),
    "where": (3, chosen),
    **{
        name: (getattr(np, name).nin, partial(of_doubles, getattr(np, name)))
        for name in (
            *("sqrt", "exp", "log", "log10", "log1p", "hypot"),
            *("sin", "cos", "tan", "arctan2", "sinh", "cosh", "tanh", "arcsinh"),
        )
    },
}
CONSTANTS = {"pi": np.pi}
