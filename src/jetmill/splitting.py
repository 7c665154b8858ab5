"""Training, validation and test: three ways to say which jet goes where.

A split is coded by its position in `SPLITS`.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np

from jetmill.randomness import uniform

SPLITS = ("train", "val", "test")
TRAIN, VAL, TEST = range(3)
# Validation jets that are resampled as the training jets are.
VAL_RESAMPLED = "val_resampled"


def split_of(output: str) -> str:
    """Return the split that an output (a split, or `VAL_RESAMPLED`) takes its jets from."""
    return "val" if output == VAL_RESAMPLED else output


def split_by_event(event_keys: np.ndarray, *, test: float, val: float) -> np.ndarray:
    """Split by a hash of the event, so that jets of one event stay together.

    Parameters
    ----------
    event_keys : ndarray of uint64, shape (n_jets,)
        Uniform keys, equal for jets of the same event.
    test, val
        Share of all events for testing; share of the rest for validation.

    Returns
    -------
    ndarray of uint8, shape (n_jets,)
    """
    u = uniform(event_keys)
    split = np.full(len(u), TRAIN, dtype=np.uint8)
    split[u < test + (1 - test) * val] = VAL
    split[u < test] = TEST
    return split


def split_by_jet(n_jets: int, *, test: float, val: float, random_state: int) -> np.ndarray:
    """Split jet by jet, exactly as scikit-learn's ``train_test_split`` called twice.

    First with ``test_size=test``, then on the rest with ``test_size=val``, both with the same
    `random_state` (the CMS study: 0.2, 0.1, 1). Shares are rounded up to whole jets.

    Returns
    -------
    ndarray of uint8, shape (n_jets,)
    """
    n_test = ceil(test * n_jets)
    rest = np.random.RandomState(random_state).permutation(n_jets)[n_test:]
    n_val = ceil(val * len(rest))
    shuffled = np.random.RandomState(random_state).permutation(len(rest))
    split = np.full(n_jets, TEST, dtype=np.uint8)
    split[rest[shuffled[:n_val]]] = VAL
    split[rest[shuffled[n_val:]]] = TRAIN
    return split


def split_by_modulo(event: np.ndarray, *, modulo: int, test: Sequence[int], val: Sequence[int]) -> np.ndarray:
    """Split by the remainder of the event number: those in `test`, in `val`, and the others.

    Parameters
    ----------
    event : ndarray of integers, shape (n_jets,)
    modulo
        The divisor; remainders are from 0 to modulo - 1, of negative numbers too.

    Returns
    -------
    ndarray of uint8, shape (n_jets,)
    """
    split_of_remainder = np.full(modulo, TRAIN, dtype=np.uint8)
    split_of_remainder[list(val)] = VAL
    split_of_remainder[list(test)] = TEST
    # Small types may not hold the divisor.
    widest = np.uint64 if event.dtype.kind == "u" else np.int64
    split: np.ndarray = split_of_remainder[event.astype(widest, copy=False) % widest(modulo)]
    return split
