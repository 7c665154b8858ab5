"""Variables of jets or constituents while they are cleaned."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from jetmill.errors import JetmillError
from jetmill.settings.steps import MissingValues
from jetmill.variables.expressions import Expression
from jetmill.variables.missing import as_in_file, count_too_large, is_missing, mark_missing, stored_type

Columns = Mapping[str, np.ndarray]


class Table:
    """Variables of the same jets or constituents, NaN where missing.

    Attributes
    ----------
    variables
        Name to values, (n_rows,); before a value was missing also, under `as_in_file`, integers as they were.
    lost
        Variable to the number of values that are missing because they are infinite, undefined, or too large for
        their type.
    """

    def __init__(self, rules: MissingValues, slots: Mapping[str, tuple[str, ...]] | None = None):
        self._rules, self._slots = rules, slots or {}
        self.variables: dict[str, np.ndarray] = {}
        self.lost: Counter[str] = Counter()

    def add(self, new: Columns) -> None:
        """Add new variables, with the rules for missing values."""
        new = {**new, **{count: self.variables[count] for count in self._slots if count in self.variables}}
        rules = self._rules
        marked = mark_missing(new, values=rules.values, values_of=rules.values_of, slots=self._slots)
        self.lost.update(count_too_large(new, marked))
        self.variables |= marked

    def replace(self, new: Columns) -> None:
        """Replace variables by other values of theirs."""
        for name, values in new.items():
            self.variables[name] = values
            self.variables.pop(as_in_file(name), None)

    def convert(self, name: str, dtype: np.dtype, factor: float) -> np.ndarray:
        """Convert a variable that has `dtype` in the file to another unit, and return it."""
        # The type is the same whether values are missing or not.
        converted = {name: self.variables[name].astype(stored_type(dtype), copy=False) * factor}
        self.change(converted)
        return converted[name]

    def change(self, new: Columns) -> None:
        """Replace variables by values computed from them, NaN where these are infinite or too large."""
        marked = mark_missing(new)
        self.lost.update(count_too_large(new, marked))
        self.replace(marked)

    def define(self, name: str, text: str, length: int, more: Columns | None = None) -> None:
        """Add the variable that an expression of variables, and of some `more`, defines; float32."""
        expression, known = Expression(text), {**self.variables, **(more or {})}
        # Via float64, the type of integers with missing values.
        value = np.broadcast_to(expression(known), length).astype(np.float64, copy=False)
        with np.errstate(over="ignore"):
            made = value.astype(np.float32)
        if (undefined := ~np.isfinite(made)).any():
            made[undefined] = np.nan
            for variable in expression.names:
                undefined &= ~is_missing(known[variable])
            self.lost[name] += int(undefined.sum())
        self.add({name: made})

    def integers(self, key: str, text: str, length: int) -> np.ndarray:
        """Return what an expression of variables is, int64 (length,).

        Raises
        ------
        JetmillError
            If it is no integer, or missing for some.
        """
        values = np.broadcast_to(Expression(text)(self.variables), length)
        if values.dtype.kind == "f" and length:
            n = int(np.isnan(values).sum())
            raise JetmillError(
                f"{key}: {text} is {f'missing for {n} jets' if n else 'no integer'}; take integers alone"
            )
        return values.astype(np.int64)

    def keep(self, rows: np.ndarray) -> None:
        """Keep the rows where a mask is true."""
        if not rows.all():
            places = np.flatnonzero(rows)
            self.variables = {name: values.take(places) for name, values in self.variables.items()}


def new_values(values: np.ndarray, table: Mapping[int, int]) -> np.ndarray:
    """Return the new values of a label, int32, -1 where the table has none."""
    old = np.array(sorted(table))
    place = np.searchsorted(old, values).clip(max=len(old) - 1)
    return np.where(old[place] == values, np.array([table[x] for x in old.tolist()])[place], -1).astype(np.int32)


def as_integers(key: str, name: str, values: np.ndarray) -> np.ndarray:
    """Return a label as int32, -1 where missing; raises JetmillError for a value that is not an integer of 32 bits."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), -1, values)
        if (values != np.floor(values)).any():
            raise JetmillError(f"{key}: '{name}' is not an integer everywhere")
    limits = np.iinfo(np.int32)
    if values.size and not limits.min <= int(values.min()) <= int(values.max()) <= limits.max:
        raise JetmillError(
            f"{key}: '{name}' has values from {values.min()} to {values.max()}, which do not fit into 32 bits"
        )
    return values.astype(np.int32)
