"""Ragged arrays: values of all constituents of all jets in one line, and how many each jet has.

``counts`` is int (n_jets,), ``values`` is (counts.sum(),): first those of jet 0, then those of jet 1.
"""

import numpy as np


def starts_of(counts: np.ndarray) -> np.ndarray:
    """Return where the values of each jet start, int64 (n_jets,)."""
    return np.cumsum(counts, dtype=np.int64) - counts


def jet_of(counts: np.ndarray) -> np.ndarray:
    """Return the jet that each value belongs to, int64 (n_values,)."""
    return np.repeat(np.arange(len(counts)), counts)


def position_in_jet(counts: np.ndarray) -> np.ndarray:
    """Return the place of each value among those of its jet, from 0, int64 (n_values,)."""
    return np.arange(counts.sum()) - np.repeat(starts_of(counts), counts)


def values_of(jets: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the places of the values of some jets, jet after jet.

    Parameters
    ----------
    jets : ndarray of int, shape (n,)
        Jets to take, in any order, also more than once.
    counts : ndarray of int, shape (n_jets,)
        Values of each jet there is.

    Returns
    -------
    ndarray of int64, shape (counts[jets].sum(),)
    """
    taken = counts[jets]
    shift = starts_of(counts)[jets] - starts_of(taken)
    return np.arange(taken.sum()) + np.repeat(shift, taken)


def count_true(mask: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return how many values of each jet are true in `mask` (n_values,), int64 (n_jets,)."""
    total = np.concatenate([[0], np.cumsum(mask)])
    starts = starts_of(counts)
    return total[starts + counts] - total[starts]


def sort_in_jet(key: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the order that puts the values of each jet in falling order of `key` (n_values,), NaN last.

    Values of equal key keep their order.
    """
    # The complement turns the order of integers and booleans around, whether they have a sign or not.
    return np.lexsort((-key if key.dtype.kind == "f" else ~key, jet_of(counts)))


def valid_slots(counts: np.ndarray, length: int) -> np.ndarray:
    """Return which slots of padded rows hold a value, bool (n_jets, length)."""
    return np.arange(length) < counts[:, None]
