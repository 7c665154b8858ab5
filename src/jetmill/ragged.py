"""Ragged arrays: the values of all jets in one array, jet after jet, and how many each jet has.

``counts`` is int (n_jets,), ``values`` is (counts.sum(),).
"""

import numpy as np

BLOCK_VALUES = 2**16


def starts_of(counts: np.ndarray) -> np.ndarray:
    """Return where the values of each jet start, int64 (n_jets,)."""
    starts: np.ndarray = np.cumsum(counts, dtype=np.int64) - counts
    return starts


def jet_of(counts: np.ndarray) -> np.ndarray:
    """Return the jet that each value belongs to, int64 (n_values,)."""
    return np.repeat(np.arange(len(counts)), counts)


def position_in_jet(counts: np.ndarray) -> np.ndarray:
    """Return the place of each value among those of its jet, from 0, int64 (n_values,)."""
    position: np.ndarray = np.arange(counts.sum()) - np.repeat(starts_of(counts), counts)
    return position


def values_of(jets: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the places of the values of some jets, jet after jet, int64 (counts[jets].sum(),).

    `jets` (n,) are in any order, and may repeat.
    """
    taken = counts[jets]
    places = np.repeat(starts_of(counts)[jets] - starts_of(taken), taken)
    # In blocks: allocating a second array of this size would take longer than the addition.
    for start in range(0, len(places), BLOCK_VALUES):
        block = places[start : start + BLOCK_VALUES]
        block += np.arange(start, start + len(block))
    return places


def count_true(mask: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return how many values of each jet are true in `mask` (n_values,), int64 (n_jets,)."""
    total = np.concatenate([[0], np.cumsum(mask)])
    starts = starts_of(counts)
    n_true: np.ndarray = total[starts + counts] - total[starts]
    return n_true


def sort_in_jet(key: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the order that puts the values of each jet in falling order of `key` (n_values,), NaN last.

    Values of equal key keep their order.
    """
    falling, length = _falling_bits(key), int(counts.max(initial=0)).bit_length()
    if falling is None or len(counts).bit_length() + 32 + length > 64:
        # The complement reverses the order of integers and booleans, signed or not.
        return np.lexsort((-key if key.dtype.kind == "f" else ~key, jet_of(counts)))
    # One number for jet, key and place: sorting numbers is ten times faster than sorting places by two keys.
    number = np.repeat(np.arange(len(counts), dtype=np.uint64) << np.uint64(32 + length), counts)
    number |= falling.astype(np.uint64) << np.uint64(length)
    number |= position_in_jet(counts).view(np.uint64)
    number.sort()
    number &= np.uint64(2**length - 1)
    order = number.view(np.int64)
    order += np.repeat(starts_of(counts), counts)
    return order


def _falling_bits(key: np.ndarray) -> np.ndarray | None:
    """Return uint32 that rise where `key` falls, the largest for NaN; None if 32 bits do not hold the keys."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = key.astype(np.float32, copy=False)
    if single is not key and (
        not ((single == key) | np.isnan(single)).all()
        or (key.dtype.kind != "f" and np.abs(single).max(initial=0) >= 2**24)
    ):
        return None
    # Adding 0 makes a 0 of -0. The bits of negative numbers fall by themselves, below the sign bit of all others.
    bits = (single + np.float32(0)).view(np.int32)
    bits ^= ~(bits >> 31) & np.int32(2**31 - 1)
    bits[np.isnan(single)] = -1
    return bits.view(np.uint32)


def valid_slots(counts: np.ndarray, length: int) -> np.ndarray:
    """Return which slots of padded rows hold a value, bool (n_jets, length)."""
    return np.arange(length) < counts[:, None]


def sum_in_jet(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the sum of the values of each jet that are not NaN, 0 if there are none, float64 (n_jets,)."""
    total, filled = np.zeros(len(counts)), counts > 0
    if filled.any():
        known = np.where(np.isnan(values), 0, values).astype(np.float64)
        total[filled] = np.add.reduceat(known, starts_of(counts)[filled])
    return total


def max_in_jet(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the largest value of each jet that is not NaN, NaN if there are none, float64 (n_jets,)."""
    largest, filled = np.full(len(counts), np.nan), counts > 0
    if filled.any():
        largest[filled] = np.fmax.reduceat(values, starts_of(counts)[filled])
    return largest


def largest_in_jet(values: np.ndarray, counts: np.ndarray, n: int) -> np.ndarray:
    """Return the places of the `n` largest values of each jet, the largest first, int64 (n, n_jets).

    Of equal values the first counts as larger. -1 where the jet has no further value that is not NaN.
    """
    left, starts = values.astype(np.float64), starts_of(counts)
    places = np.full((n, len(counts)), -1)
    for place in places:
        largest = max_in_jet(left, counts)
        found = ~np.isnan(largest)
        hits = np.flatnonzero(left == broadcast(largest, counts))
        place[found] = hits[np.searchsorted(hits, starts[found])]
        left[place[found]] = np.nan
    return places


def broadcast(jet_values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Give every value of a jet what `jet_values` (n_jets,) has for the jet: (n_values,)."""
    return np.repeat(jet_values, counts)
