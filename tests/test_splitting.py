from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.model_selection import train_test_split

from jetmill.splitting import SPLITS, TEST, TRAIN, VAL, JetsToSplit, split_by_event, split_by_jet, split_of
from jetmill.splitting import split_by_modulo as by_modulo


def jets(*event, n=0, seed=1):
    return JetsToSplit(seed, event, np.arange(n), n)


def split_by_modulo(event, **keys):
    return by_modulo(jets(event), **keys)


@pytest.mark.parametrize("n", [5, 6, 7, 9, 10, 11, 25, 99, 100, 1000, 1001, 12_345])
@pytest.mark.parametrize(("test", "val", "seed"), [(0.2, 0.1, 1), (0.3, 0.25, 7), (0.15, 0.5, 2**32 - 1)])
def test_by_jet_is_train_test_split_twice(n, test, val, seed):
    rest, in_test = train_test_split(np.arange(n), test_size=test, random_state=seed)
    in_train, in_val = train_test_split(rest, test_size=val, random_state=seed)
    split = split_by_jet(jets(n=n, seed=seed), test=test, val=val)
    assert split.dtype == np.uint8
    np.testing.assert_array_equal(np.flatnonzero(split == TRAIN), np.sort(in_train))
    np.testing.assert_array_equal(np.flatnonzero(split == VAL), np.sort(in_val))
    np.testing.assert_array_equal(np.flatnonzero(split == TEST), np.sort(in_test))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
def test_by_jet_of_few_jets_rounds_up(n):
    # scikit-learn refuses an empty training split; a small batch may have one.
    split = split_by_jet(jets(n=n), test=0.2, val=0.1)
    n_test = ceil(0.2 * n)
    n_val = ceil(0.1 * (n - n_test))
    np.testing.assert_array_equal(np.bincount(split, minlength=3), [n - n_test - n_val, n_val, n_test])


@pytest.mark.parametrize(("test", "val", "absent"), [(0, 0.1, {TEST}), (0.2, 0, {VAL}), (0, 0, {VAL, TEST})])
def test_a_share_of_zero_is_no_jet(test, val, absent):
    by_jet = split_by_jet(jets(n=1000), test=test, val=val)
    by_event = split_by_event(jets(np.arange(1000)), test=test, val=val)
    for split in (by_jet, by_event):
        assert set(split) == {TRAIN, VAL, TEST} - absent


@pytest.mark.parametrize(("test", "val"), [(0.2, 0.1), (0.5, 0.5), (0.05, 0.9)])
def test_by_event_has_the_shares_asked_for(test, val):
    events = jets(np.ones(100_000, int), np.arange(100_000))
    counts = np.bincount(split_by_event(events, test=test, val=val), minlength=3)
    shares = np.array([(1 - test) * (1 - val), (1 - test) * val, test])
    assert stats.chisquare(counts, shares * 100_000).pvalue > 1e-3


def test_jets_of_an_event_stay_together():
    event = np.repeat(np.arange(1000), np.arange(1000) % 7)
    split = split_by_event(jets(event), test=0.3, val=0.3)
    assert all(len(set(split[event == e])) == 1 for e in range(1000) if e % 7)
    assert len(set(split)) == 3


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64])
def test_by_modulo(dtype):
    event = np.arange(1000).astype(dtype) + dtype(2**31 - 2000)
    split = split_by_modulo(event, modulo=10, test=[8, 9], val=[0])
    remainder = np.array([int(e) % 10 for e in event])
    np.testing.assert_array_equal(split, np.select([remainder >= 8, remainder == 0], [TEST, VAL], TRAIN))
    assert split.dtype == np.uint8


def test_by_modulo_of_event_numbers_beyond_float64():
    event = np.array([2**60 + 3, 2**60 + 4], dtype=np.uint64)
    expected = [TEST if (2**60 + i) % 7 in (0, 5) else TRAIN for i in (3, 4)]
    assert list(split_by_modulo(event, modulo=7, test=[0, 5], val=[])) == expected
    assert len(split_by_modulo(event[:0], modulo=7, test=[0], val=[1])) == 0


INTEGERS = [np.dtype(name) for name in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u8")]


@given(st.data(), st.sampled_from(INTEGERS), st.integers(2, 70_000))
def test_by_modulo_is_the_remainder_of_python_for_every_type(data, dtype, modulo):
    span = np.iinfo(dtype)
    numbers = data.draw(st.lists(st.integers(span.min, span.max), min_size=1, max_size=20))
    test, val = sorted({n % modulo for n in numbers[::2]}), [modulo - 1]
    test = [remainder for remainder in test if remainder not in val]
    expected = [TEST if n % modulo in test else VAL if n % modulo in val else TRAIN for n in numbers]
    assert list(split_by_modulo(np.array(numbers, dtype), modulo=modulo, test=test, val=val)) == expected


def test_every_output_comes_from_a_split():
    assert [split_of(output) for output in (*SPLITS, "val_resampled")] == ["train", "val", "test", "val"]
