"""Weights that make classes with different spectra comparable.

Counts are arrays of shape (n_classes, *bins): jets of a class in a bin of the histogram, or sums of their event
weights. Every decision here depends on counts alone, is made once, and is therefore exact.
"""

from collections.abc import Callable, Sequence

import numpy as np

from jetmill.balancing.resampling import FLAT_PER_UNIT, target_spectrum
from jetmill.errors import JetmillError

# From the counts of the classes in each bin to those that all of them are to have.
BY_COUNTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda counts: counts.mean(axis=0),
    "min": lambda counts: counts.min(axis=0),
    "max": lambda counts: counts.max(axis=0),
    "uniform": lambda counts: np.ones(counts.shape[1]),
}


def class_totals(table: np.ndarray) -> np.ndarray:
    """Return the sum over all bins of each class, (n_classes,), of a table (n_classes, *bins)."""
    totals: np.ndarray = table.sum(axis=tuple(range(1, table.ndim)))
    return totals


def weight_table(counts: np.ndarray, method: str, reference: int | np.ndarray | None = None) -> np.ndarray:
    """Return the weight of a jet of each class in each bin.

    With p the spectrum of a class (its counts over their sum) and k = N / N_class, the weight is
    target / p * k, where the target spectrum is

    - ``average``: the mean of the spectra of all classes; divided by the sum of k over classes,
      as the tables ``absweights`` of the CMS study (thesis section 2.3);
    - ``flat``: equal in every bin, as its tables ``weights_flat``;
    - ``flat_per_unit``: the spectrum `reference` (*bins), the volumes of the bins, undivided as ``flat``;
    - ``reference``: the spectrum of the class `reference`, divided as ``average``.

    The weighted spectra of all classes then have the shape of the target and equal totals. A bin
    without jets of a class gets weight 0 for it (the plain formula divides by zero), and what the
    class cannot reach there is spread over its other bins, so that the totals stay equal.

    ``mean``, ``min``, ``max`` and ``uniform`` are the targets of UPP (stages/reweight.py): the mean, smallest or
    largest number of jets of all classes in the bin, or the same in each, over the number of jets of the class. All
    classes get weight 0 where one of them has no jets.

    Parameters
    ----------
    counts : ndarray of integers or float64, shape (n_classes, *bins)
        Not negative. A class without any jet gets weight 0 everywhere and is left out of the mean spectrum.

    Returns
    -------
    ndarray of float64, shape (n_classes, *bins)

    Raises
    ------
    JetmillError
        If no bin has jets of all classes, for the targets of UPP.
    """
    flat = np.asarray(counts, dtype=np.float64).reshape(len(counts), -1)
    if method in BY_COUNTS:
        target = _target_by_counts(flat, method)
        if not target.any():
            raise JetmillError(f"balance.weights: {method}: no bin has jets of all classes; take wider bins")
        weights: np.ndarray = np.divide(target, flat, out=np.zeros_like(flat), where=flat > 0)
        return weights.reshape(np.shape(counts))
    total = flat.sum(axis=1, keepdims=True)
    spectrum = np.divide(flat, total, out=np.zeros_like(flat), where=total > 0)
    k = np.divide(flat.sum(), total, out=np.zeros_like(total), where=total > 0)
    target = target_spectrum(flat, method if reference is None else reference)
    table: np.ndarray = k * np.divide(target, spectrum, out=np.zeros_like(flat), where=spectrum > 0)
    # Share of the target in the bins of a class; 1 unless some of its bins are empty.
    reached = np.where(spectrum > 0, target, 0).sum(axis=1, keepdims=True)
    table = np.divide(table, reached, out=np.zeros_like(table), where=reached > 0)
    if method not in ("flat", FLAT_PER_UNIT):
        table /= k.sum()
    return table.reshape(np.shape(counts))


def target_of_table(
    counts: np.ndarray, name: str, classes: Sequence[str], volumes: np.ndarray | None
) -> np.ndarray | None:
    """Return the spectrum (*bins), not normalised, that a weight table of this name aims at; None for a given table.

    `counts` are those of `weight_table`, `volumes` those of the bins.
    """
    if name in BY_COUNTS:
        flat = np.asarray(counts, dtype=np.float64).reshape(len(counts), -1)
        target: np.ndarray = _target_by_counts(flat, name).reshape(counts.shape[1:])
        return target
    if name.startswith("reference_"):
        return target_spectrum(counts, classes.index(name.removeprefix("reference_")))
    aim = volumes if name == FLAT_PER_UNIT else name
    return None if name == "table" else target_spectrum(counts, aim)


def _target_by_counts(flat: np.ndarray, method: str) -> np.ndarray:
    present = flat[flat.any(axis=1)]
    target: np.ndarray = np.where((present > 0).all(axis=0), BY_COUNTS[method](present), 0)
    return target


def mean_one(table: np.ndarray, counts: np.ndarray, n_jets: int) -> np.ndarray:
    """Scale a weight table so that the mean weight of `n_jets` jets is 1; counts are those of `weight_table`."""
    scaled: np.ndarray = table * (n_jets / (table * counts).sum())
    return scaled


def limited(table: np.ndarray, counts: np.ndarray, largest: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Lower the weights above `largest` to it; return the table, and how many jets of each class that concerns.

    `counts` are the jets (n_classes, *bins) that have these weights.
    """
    if largest is None:
        return table, np.zeros(len(counts), dtype=np.int64)
    return np.minimum(table, largest), class_totals(np.where(table > largest, counts, 0))
