"""Cuts and classes of jets."""

from collections.abc import Mapping, Sequence

import numpy as np

from jetmill.settings.jets import Cut
from jetmill.settings.types import REST
from jetmill.variables.expressions import Expression
from jetmill.variables.missing import is_missing
from jetmill.variables.operations import true


def apply_cuts(columns: Mapping[str, np.ndarray], cuts: Sequence[Cut]) -> tuple[np.ndarray, list[int]]:
    """Apply cuts one after the other to columns (n_jets,) after `mark_missing`.

    Return which jets pass, bool (n_jets,), and the number of jets left after each cut. A jet that misses a variable of
    a cut is dropped, or kept if the cut says so, whatever the expression yields for NaN.
    """
    passed = np.ones(len(next(iter(columns.values()))), dtype=bool)
    left = []
    for cut in cuts:
        passed &= where(Expression(cut.cut), columns, missing=cut.missing == "keep")
        left.append(int(passed.sum()))
    return passed, left


def find_classes(
    columns: Mapping[str, np.ndarray], classes: Sequence[str | None], n_jets: int
) -> tuple[np.ndarray, int]:
    """Find the first class of each jet whose expression is true (None for no jet), int16 (n_jets,); -1 for none.

    Also return the number of jets for which more than one expression is true (``rest`` aside).
    """
    labels, matches = np.full(n_jets, -1, dtype=np.int16), np.zeros(n_jets, dtype=np.int16)
    for number, text in enumerate(classes):
        fits = np.full(n_jets, text is not None)
        if text is not None and text != REST:
            fits = where(Expression(text), columns, missing=False)
            matches += fits
        labels[fits & (labels < 0)] = number
    return labels, int((matches > 1).sum())


def where(expression: Expression, columns: Mapping[str, np.ndarray], *, missing: bool) -> np.ndarray:
    """Return where an expression is true, and `missing` where one of its variables is missing: bool (n,)."""
    n_jets = len(next(iter(columns.values())))
    found = np.broadcast_to(true(expression(columns)), n_jets).copy()
    for name in expression.names:
        found[is_missing(columns[name])] = missing
    return found
