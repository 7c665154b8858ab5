"""Weights and quotas: how classes of unlike spectra are made comparable.

Counts are arrays of shape (n_classes, *bins): jets of a class in a cell of the histogram. Every
decision here is taken from counts alone, once, and is therefore exact.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from jetmill.errors import JetmillError


def class_totals(table: np.ndarray) -> np.ndarray:
    """Return the sum over all cells of each class, (n_classes,), of a table (n_classes, *bins)."""
    return table.sum(axis=tuple(range(1, table.ndim)))


def weight_table(counts: np.ndarray, method: str, reference: int | None = None) -> np.ndarray:
    """Return the weight of a jet of each class in each cell.

    With p the spectrum of a class (its counts over their sum) and k = N / N_class, the weight is
    target / p * k, where the target spectrum is

    - ``average``: the mean of the spectra of all classes; divided by the sum of k over classes,
      as the tables ``absweights`` of the CMS study (thesis section 2.3);
    - ``flat``: equal in every cell, as its tables ``weights_flat``;
    - ``reference``: the spectrum of the class `reference`, divided as ``average``.

    The weighted spectra of all classes then have the shape of the target and equal totals. A cell
    without jets of a class gets weight 0 for it (the plain formula divides by zero), and what the
    class cannot reach there is spread over its other cells, so that the totals stay equal.

    Parameters
    ----------
    counts : ndarray of integers, shape (n_classes, *bins)
        A class without any jet gets weight 0 everywhere and is left out of the mean spectrum.

    Returns
    -------
    ndarray of float64, shape (n_classes, *bins)
    """
    flat = np.asarray(counts, dtype=np.float64).reshape(len(counts), -1)
    total = flat.sum(axis=1, keepdims=True)
    present = total[:, 0] > 0
    spectrum = np.divide(flat, total, out=np.zeros_like(flat), where=total > 0)
    k = np.divide(flat.sum(), total, out=np.zeros_like(total), where=total > 0)
    if method == "average":
        target = spectrum[present].mean(axis=0)
    elif method == "flat":
        target = np.full(flat.shape[1], 1 / flat.shape[1])
    elif method == "reference" and reference is not None:
        target = spectrum[reference]
    else:
        raise ValueError(f"no weight table '{method}'")
    table = k * np.divide(target, spectrum, out=np.zeros_like(flat), where=spectrum > 0)
    # What the cells of a class hold of the target; 1 unless some of its cells are empty.
    reached = np.where(spectrum > 0, target, 0).sum(axis=1, keepdims=True)
    table = np.divide(table, reached, out=np.zeros_like(table), where=reached > 0)
    if method != "flat":
        table /= k.sum()
    return table.reshape(np.shape(counts))


def mean_one(table: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Scale a weight table so that the mean weight of all jets in `counts` is 1."""
    return table * (counts.sum() / (table * counts).sum())


def quota_none(counts: np.ndarray) -> np.ndarray:
    """Keep every jet once."""
    return counts.copy()


def quota_count(counts: np.ndarray) -> np.ndarray:
    """Keep of each class, in each cell, as many jets as the rarest class has there.

    The ``count`` method of umami (undersampling). Classes without any jet have no say.

    Parameters
    ----------
    counts : ndarray of integers, shape (n_classes, *bins)
    """
    quota = np.zeros_like(counts)
    present = counts.reshape(len(counts), -1).any(axis=1)
    if present.any():
        quota[present] = counts[present].min(axis=0)
    return quota


# Every resampling method is a function from counts to quotas, both (n_classes, *bins).
QUOTAS = {"none": quota_none, "count": quota_count}


def share_quota(
    quota: np.ndarray, batches: Iterable[np.ndarray], total: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Share a quota among batches at random, as if the jets were drawn from one bag.

    Whole copies of every jet (quota // total) go to all; the remainder is drawn without
    replacement, which for the batches is a multivariate hypergeometric draw. It is made batch by
    batch, so memory does not grow with their number.

    Parameters
    ----------
    quota, total : ndarray of int64, shape (n_classes, *bins)
        Jets wanted; jets there are, summed over the batches.
    batches
        Counts of each batch, int64 (n_classes, *bins), in a fixed order.

    Yields
    ------
    ndarray of int64, shape (n_classes, *bins)
        The quota of each batch; over all batches they sum to `quota` exactly.

    Raises
    ------
    JetmillError
        If jets are wanted where there are none.
    """
    if (impossible := (quota > 0) & (total == 0)).any():
        raise JetmillError(f"jets are wanted in {impossible.sum()} cells that hold none")
    copies, wanted = np.divmod(quota, np.maximum(total, 1))
    left = total.copy()
    for counts in batches:
        left -= counts
        drawn = rng.hypergeometric(counts, left, wanted)
        wanted = wanted - drawn
        yield copies * counts + drawn


def kept_copies(quota: np.ndarray, count: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return how often each jet is kept, given its rank among the `count` jets of its class and cell.

    Parameters
    ----------
    quota, count, rank : ndarray of integers, shape (n_jets,)
        Quota and count of the jet's class and cell in its batch; rank from 0 to count - 1.
    """
    copies, remainder = np.divmod(quota, np.maximum(count, 1))
    return copies + (rank < remainder)
