"""Which values of a variable are missing. A missing value is NaN from here on."""

from collections.abc import Mapping, Sequence

import numpy as np


def mark_missing(
    columns: Mapping[str, np.ndarray],
    *,
    values: Sequence[float] = (),
    values_of: Mapping[str, Sequence[float]] | None = None,
    slots: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, np.ndarray]:
    """Return the columns with NaN for every missing value, and as they came where nothing is missing.

    Integers and booleans that become floats for that are returned a second time, unchanged, as `as_it_came`:
    expressions calculate with them.

    Parameters
    ----------
    columns
        Variable name to values, (n_jets,); integers become floats only if a value is missing.
    values
        Numbers that mean "missing" in any variable. Infinities and what single precision does not hold always do.
    values_of
        Variable name to further such numbers for it alone.
    slots
        Name of a count to prefixes: the variable ``<prefix>_<k>`` belongs to the k-th (from 0)
        track of the jet and is missing from ``k >= count`` on, whatever stands there.
    """
    values_of, slots = values_of or {}, slots or {}
    marked = {name: _without(x, [*values, *values_of.get(name, ())]) for name, x in columns.items()}
    for count, prefixes in slots.items():
        for prefix in prefixes:
            for name in columns:
                if (k := slot(name, prefix)) is not None:
                    # Written so that a slot is unused too where the count itself is missing.
                    used = marked[count] > k
                    if not used.all():
                        marked[name] = np.where(used, marked[name], _nan_of(marked[name]))
    changed = {as_it_came(name): x for name, x in columns.items() if x.dtype.kind != "f" and marked[name] is not x}
    return marked | changed


def as_it_came(name: str) -> str:
    """Return the name, which no variable can have, of a column before `mark_missing` made floats of it."""
    return f"{name} as it came"


def replace(columns: dict[str, np.ndarray], new: Mapping[str, np.ndarray]) -> None:
    """Put other columns in the place of some that `mark_missing` returned."""
    for name, values in new.items():
        columns[name] = values
        columns.pop(as_it_came(name), None)


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


def is_beyond(column: np.ndarray) -> np.ndarray:
    """Return where a column is infinite, or would be in single precision: bool (n,)."""
    if column.dtype.kind != "f":
        return np.zeros(len(column), dtype=bool)
    return np.abs(column) > np.finfo(np.float32).max


def pass_through(column: np.ndarray, *, keep_infinite: bool) -> tuple[np.ndarray, int]:
    """Return a column that is no input with NaN where it holds no number, and in how many places that is new.

    Parameters
    ----------
    keep_infinite
        Whether infinities are numbers. The column is then stored in single precision, and what that does not hold is
        missing; otherwise it is stored in its own type, and infinities are missing.
    """
    if column.dtype.kind != "f":
        return column, 0
    hit = is_beyond(column) & np.isfinite(column) if keep_infinite else np.isinf(column)
    n = int(hit.sum())
    return (np.where(hit, _nan_of(column), column) if n else column), n


def count_beyond(columns: Mapping[str, np.ndarray], marked: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Return how many values of each column are missing in what `mark_missing` returned as they are `is_beyond`."""
    return {name: n for name, x in columns.items() if marked[name] is not x and (n := int(is_beyond(x).sum()))}


def _without(column: np.ndarray, sentinels: list[float]) -> np.ndarray:
    hit = is_beyond(column)
    for value in sentinels:
        hit |= column == value
    return np.where(hit, _nan_of(column), column) if hit.any() else column


def _nan_of(column: np.ndarray) -> np.floating:
    return stored_type(column.dtype).type(np.nan)
