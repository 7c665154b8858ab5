"""Ragged arrays against lists of lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jetmill import ragged

COUNTS = hnp.arrays(np.int64, st.integers(0, 12), elements=st.integers(0, 6))


def lists(values, counts):
    """Return the values of each jet as a list."""
    ends = np.cumsum(counts)
    return [list(values[end - n : end]) for end, n in zip(ends, counts, strict=True)]


@given(COUNTS)
def test_starts_jets_and_positions(counts):
    values = np.arange(counts.sum())
    expected = lists(values, counts)
    assert ragged.starts_of(counts).dtype == np.int64
    for start, of_jet in zip(ragged.starts_of(counts), expected, strict=True):
        assert of_jet == list(range(start, start + len(of_jet)))
    assert ragged.jet_of(counts).tolist() == [j for j, x in enumerate(expected) for _ in x]
    assert ragged.position_in_jet(counts).tolist() == [k for x in expected for k in range(len(x))]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_starts_do_not_wrap_in_small_types(dtype):
    counts = np.full(1000, 200, dtype=dtype)
    np.testing.assert_array_equal(ragged.starts_of(counts), 200 * np.arange(1000))


@given(COUNTS, st.data())
def test_values_of_any_jets_in_any_order(counts, data):
    n_jets = len(counts)
    jets = data.draw(st.lists(st.integers(0, n_jets - 1), max_size=20) if n_jets else st.just([]))
    of_all = lists(np.arange(counts.sum()), counts)
    found = ragged.values_of(np.array(jets, dtype=np.int64), counts)
    assert found.tolist() == [v for j in jets for v in of_all[j]]


@given(COUNTS, st.randoms(use_true_random=False))
def test_count_true(counts, random):
    mask = np.array([random.random() < 0.5 for _ in range(counts.sum())], dtype=bool)
    assert ragged.count_true(mask, counts).tolist() == [sum(x) for x in lists(mask, counts)]


KEYS = st.sampled_from([np.nan, 0.0, -0.0, 1.0, -1.0, 2.5, np.inf, -np.inf])


@given(COUNTS, st.data())
def test_sort_is_falling_stable_with_nan_last(counts, data):
    n = int(counts.sum())
    key = np.array(data.draw(st.lists(KEYS, min_size=n, max_size=n)), dtype=np.float64)
    order = ragged.sort_in_jet(key, counts)
    expected = []
    for of_jet in lists(np.arange(n), counts):
        # Python's sort is stable, also in reverse.
        known = sorted((i for i in of_jet if not np.isnan(key[i])), key=lambda i: key[i], reverse=True)
        expected += known + [i for i in of_jet if np.isnan(key[i])]
    assert order.tolist() == expected


@pytest.mark.parametrize(
    "key",
    [
        np.array([0, 3, 2, 255], dtype=np.uint8),
        np.array([0, 3, 2, 2**60], dtype=np.uint64),
        np.array([0, 3, -7, 2**31 - 1], dtype=np.int32),
        np.array([-(2**62), 3, -7, 2**62], dtype=np.int64),
        np.array([False, True, False, True]),
    ],
    ids=lambda key: key.dtype.name,
)
def test_sort_by_keys_that_are_no_floats(key):
    order = ragged.sort_in_jet(key, np.array([4]))
    expected = sorted(range(4), key=lambda i: int(key[i]), reverse=True)
    assert order.tolist() == expected


@given(COUNTS, st.integers(6, 9))
def test_valid_slots(counts, length):
    valid = ragged.valid_slots(counts, length)
    assert valid.dtype == bool
    assert valid.shape == (len(counts), length)
    assert valid.tolist() == [[k < n for k in range(length)] for n in counts]
