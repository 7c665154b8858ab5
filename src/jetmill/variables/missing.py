"""Which values are missing; they are NaN from here on."""

from collections.abc import Mapping, Sequence

import numpy as np


def mark_missing(
    columns: Mapping[str, np.ndarray],
    *,
    values: Sequence[float] = (),
    values_of: Mapping[str, Sequence[float]] | None = None,
    slots: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, np.ndarray]:
    """Return the columns with NaN for every missing value; a column without any is returned as it is.

    Integers and booleans that become floats for that are also returned unchanged, under the name `as_in_file`, since
    expressions calculate with them.

    Parameters
    ----------
    columns
        Variable name to values, (n_jets,); integers become floats only if a value is missing.
    values
        Numbers that mean "missing" in every variable. Infinities and numbers beyond single precision always do.
    values_of
        Further such numbers of single variables.
    slots
        Name of a count to prefixes: the variable ``<prefix>_<k>`` belongs to the k-th (from 0) track of the jet and is
        missing where ``k >= count``, whatever its value.
    """
    values_of, slots = values_of or {}, slots or {}
    marked = {name: _without(x, [*values, *values_of.get(name, ())]) for name, x in columns.items()}
    for count, prefixes in slots.items():
        for prefix in prefixes:
            for name in columns:
                if (k := slot(name, prefix)) is not None:
                    # A slot is also unused where the count itself is missing.
                    used = marked[count] > k
                    if not used.all():
                        marked[name] = np.where(used, marked[name], _nan_of(marked[name]))
    changed = {as_in_file(name): x for name, x in columns.items() if x.dtype.kind != "f" and marked[name] is not x}
    return marked | changed


def as_in_file(name: str) -> str:
    """Return the name of the integers of a column that became floats; no variable can have that name."""
    return f"{name} as in file"


def slot(name: str, prefix: str) -> int | None:
    """Return k if `name` is ``<prefix>_<k>``, else None."""
    head, _, k = name.rpartition("_")
    return int(k) if head == prefix and k.isdecimal() else None


def is_missing(column: np.ndarray) -> np.ndarray:
    """Return where a column, after `mark_missing`, holds no value: bool (n_jets,)."""
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def stored_type(dtype: np.dtype) -> np.dtype:
    """Return the float type that holds every number of `dtype` and NaN (int32 needs a float64)."""
    return np.result_type(dtype, np.float32)


def is_too_large(column: np.ndarray) -> np.ndarray:
    """Return where a column is infinite, or would be in single precision: bool (n,)."""
    if column.dtype.kind != "f":
        return np.zeros(len(column), dtype=bool)
    too_large: np.ndarray = np.abs(column) > np.finfo(np.float32).max
    return too_large


def _within_single_precision(column: np.ndarray) -> bool:
    """Return whether all values are numbers that are not `is_too_large`."""
    # Extremes, which are NaN if a value is, need no other array.
    limit = np.finfo(np.float32).max
    return column.dtype.kind != "f" or bool(column.max(initial=0) <= limit and column.min(initial=0) >= -limit)


def pass_through(column: np.ndarray, *, keep_infinite: bool) -> tuple[np.ndarray, int]:
    """Return a column that is not scaled, with NaN where it has no value, and the number of new NaN.

    With `keep_infinite`, infinities are numbers; the column is stored in single precision, and what that does not hold
    is missing. Otherwise it is stored in its own type, and infinities are missing.
    """
    if column.dtype.kind != "f":
        return column, 0
    hit = is_too_large(column) & np.isfinite(column) if keep_infinite else np.isinf(column)
    n = int(hit.sum())
    return (np.where(hit, _nan_of(column), column) if n else column), n


def count_too_large(columns: Mapping[str, np.ndarray], marked: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Return how many values of each column are missing because they are `is_too_large`."""
    return {name: n for name, x in columns.items() if marked[name] is not x and (n := int(is_too_large(x).sum()))}


def _without(column: np.ndarray, sentinels: list[float]) -> np.ndarray:
    if not sentinels and _within_single_precision(column):
        return column
    hit = is_too_large(column)
    for value in sentinels:
        hit |= column == value
    return np.where(hit, _nan_of(column), column) if hit.any() else column


def _nan_of(column: np.ndarray) -> np.floating:
    nan: np.floating = stored_type(column.dtype).type(np.nan)
    return nan
