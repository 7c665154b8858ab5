"""Selection thresholds: which jets fill a quota, namely those with the smallest keys of their group.

A group is a class in a bin of a component. With `total` jets and a quota, every jet of the group is
taken ``quota // total`` times, and the ``quota % total`` jets with the smallest keys once more. So the
choice depends on the jets alone, not on how they are cut into batches.
"""

from collections.abc import Callable, Iterable

import numpy as np

from jetmill.errors import JetmillError

Batches = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]

LAST_KEY = np.uint64(2**64 - 1)
# Half the width of the band in which a threshold is searched, in standard deviations. It is missed
# about once in a million groups, which costs another pass.
DEVIATIONS = 5.0


def likely_band(wanted: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest key, uint64 (n_groups,), that the threshold of a group is likely to have.

    Of n uniform numbers in [0, 1), the one that w are below has the mean p = (w + 1) / (n + 1) and a
    variance of about p * (1 - p) / n. The term in 1 / n makes room for the skewness (Bernstein).
    """
    n = np.maximum(total, 1)
    p = (wanted + 1) / (n + 1)
    half = DEVIATIONS * np.sqrt(np.maximum(p * (1 - p), 0) / n) + DEVIATIONS**2 / 3 / n
    return as_key(p - half), as_key(p + half)


def selection_thresholds(
    batches: Batches,
    wanted: np.ndarray,
    total: np.ndarray,
    band: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] = likely_band,
) -> np.ndarray:
    """Return for each group the key that exactly `wanted` keys of the group are below.

    One pass over the batches counts the keys below a band around ``wanted / total`` of the range of
    keys and collects those inside it, about ``10 * sqrt(p * (1 - p) * total)`` of a group with
    p = wanted / total. Groups whose threshold is not in its band are done again in a second pass that
    collects all of their keys. Without any group that is taken in part, no batch is read.

    Parameters
    ----------
    batches
        Called for each pass; yields the group (integers, from 0) and the key (uint64) of jets, both
        of shape (n_jets,), in any order.
    wanted, total : ndarray of int64, shape (n_groups,)
        Jets to take of each group; jets it has. Keys are uniform in 64 bits (or it takes more passes).
    band
        Returns, for `wanted` and `total`, the bands of keys in which thresholds are searched first.

    Returns
    -------
    ndarray of uint64, shape (n_groups,)
        A key of the group; 0 where none is wanted, and 2**64 - 1 where all are.

    Raises
    ------
    JetmillError
        If two jets have the same key just where the threshold must be, or if the batches do not hold
        the jets that were counted.
    """
    found = np.where(wanted < total, np.uint64(0), LAST_KEY)
    found[wanted == 0] = 0
    open_ = (wanted > 0) & (wanted < total)
    for low, high in (band(wanted, total), (np.zeros_like(found), np.full_like(found, LAST_KEY))):
        if not open_.any():
            return found
        # An empty band for groups that are done.
        below, group, key = _collect(batches, np.where(open_, low, 1), np.where(open_, high, 0))
        order = np.lexsort((key, group))
        key = key[order]
        inside = np.bincount(group, minlength=len(found))
        rank = wanted - below
        hit = open_ & (rank >= 0) & (rank < inside)
        place = (np.cumsum(inside) - inside + rank)[hit]
        found[hit] = key[place]
        # With a rank of 0, the key before is below the band or of another group.
        if ((rank[hit] > 0) & (key[place - 1] == key[place])).any():
            raise JetmillError("two jets have the same random key; choose another seed")
        open_ &= ~hit
    if open_.any():
        raise JetmillError(f"{open_.sum()} groups hold fewer jets than were counted in them")
    return found


def repeats(quota_repeats: np.ndarray, threshold: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return how often each jet is taken, int64 (n_jets,).

    That is ``quota // total`` of its group, and once more if its key is below the threshold for ``quota % total``.
    """
    return quota_repeats + (key < threshold)


def repeat_histogram(quota: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return how many jets of each class are taken 0, 1, 2, ... times, int64 (n_classes, largest number of times + 1).

    `quota` and `total`, int64 (n_classes, ...), are the jets to take and the jets there are in each group.
    """
    times, more = np.divmod(quota, np.maximum(total, 1))
    width = int((times + (more > 0)).max(initial=0)) + 1
    histogram = np.zeros((len(quota), width + 1), dtype=np.int64)
    of_class = np.broadcast_to(np.arange(len(quota)).reshape(-1, *[1] * (quota.ndim - 1)), quota.shape)
    np.add.at(histogram, (of_class, times), total - more)
    np.add.at(histogram, (of_class, times + 1), more)
    return histogram[:, :width]


def as_key(x: np.ndarray) -> np.ndarray:
    """Turn fractions of the range of keys into keys, those outside into the first or last."""
    # 1 - 2**-53 is the largest float64 below 1: times 2**64 it still fits into 64 bits.
    inside = (np.clip(x, 0, 1 - 2.0**-53) * 2.0**64).astype(np.uint64)
    return np.where(x < 1, inside, LAST_KEY)


def _collect(batches: Batches, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the keys of each group below its band, int64 (n_groups,); return group and key of those inside."""
    below = np.zeros(len(low), dtype=np.int64)
    groups, keys = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.uint64)]
    for group, key in batches():
        first = low[group]
        is_below = key < first
        below += np.bincount(group[is_below], minlength=len(low))
        inside = ~is_below & (key <= high[group])
        groups.append(group[inside])
        keys.append(key[inside])
    return below, np.concatenate(groups), np.concatenate(keys)
