"""Rows in any order: taking from padded rows must be the same as padding what is taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetmill.formats.content.rows import Ragged, Valid, records, take

LENGTH = 5


def padded(values, counts, padding, tail=()):
    """Pad with a plain loop."""
    rows = np.full((len(counts), LENGTH, *tail), padding, dtype=values.dtype)
    start = 0
    for jet, n in enumerate(counts):
        rows[jet, :n] = values[start : start + n]
        start += n
    return rows


@st.composite
def jets_and_order(draw):
    counts = np.array(draw(st.lists(st.integers(0, LENGTH), min_size=1, max_size=8)), dtype=np.int64)
    order = np.array(draw(st.lists(st.integers(0, len(counts) - 1), max_size=12)), dtype=np.int64)
    return counts, order


@given(jets_and_order(), st.sampled_from([0, -1]))
def test_one_variable(case, padding):
    counts, order = case
    values = np.arange(1, counts.sum() + 1, dtype=np.int16)
    rows = Ragged.of(values, counts, LENGTH, padding)
    assert rows.shape == (len(counts), LENGTH)
    assert rows.dtype == np.int16
    np.testing.assert_array_equal(take(rows, order), padded(values, counts, padding)[order])
    valid = Valid(counts, LENGTH)
    assert (valid.shape, valid.dtype) == (rows.shape, bool)
    np.testing.assert_array_equal(take(valid, order), padded(np.ones_like(values), counts, 0)[order] == 1)


@given(jets_and_order())
def test_ragged_values_are_those_of_the_jets_in_order(case):
    counts, order = case
    values = np.arange(counts.sum())
    pieces = np.split(values, np.cumsum(counts)[:-1])
    expected = [v for jet in order for v in pieces[jet]]
    assert Ragged.of(values, counts, LENGTH).take_ragged(order).tolist() == expected


@given(jets_and_order(), st.integers(1, 3))
def test_variables_of_jets_stand_in_front_and_padding_is_zero(case, n_jet_variables):
    counts, order = case
    rng = np.random.default_rng(len(order))
    values = rng.normal(size=(counts.sum(), 2)).astype(np.float32)
    of_jets = rng.normal(size=(len(counts), n_jet_variables)).astype(np.float32)
    rows = Ragged(np.append(values, np.zeros((1, 2), np.float32), axis=0), counts, LENGTH, of_jets=of_jets)
    expected = np.zeros((len(counts), LENGTH, n_jet_variables + 2), dtype=np.float32)
    expected[:, :, n_jet_variables:] = padded(values, counts, 0, (2,))
    for jet, n in enumerate(counts):
        expected[jet, :n, :n_jet_variables] = of_jets[jet]
    assert rows.shape == expected.shape
    np.testing.assert_array_equal(take(rows, order), expected[order])


@given(jets_and_order())
def test_records(case):
    counts, order = case
    columns = {"d0": np.arange(counts.sum(), dtype=np.float32), "origin": np.arange(counts.sum(), dtype=np.int32)}
    packed = records(columns | {"valid": np.ones(counts.sum(), dtype=bool)})
    assert packed.dtype == np.dtype([("d0", "f4"), ("origin", "i4"), ("valid", "?")])
    unused = np.array([(0, -1, False)], packed.dtype)
    rows = Ragged(np.append(packed, unused), counts, LENGTH)
    assert (rows.shape, rows.dtype) == ((len(counts), LENGTH), packed.dtype)
    found = take(rows, order)
    np.testing.assert_array_equal(found["d0"], padded(columns["d0"], counts, 0)[order])
    np.testing.assert_array_equal(found["origin"], padded(columns["origin"], counts, -1)[order])
    np.testing.assert_array_equal(found["valid"].sum(axis=1), counts[order])


def test_records_of_jets():
    rows = records({"pt": np.array([1.0, 2, 3], np.float32), "id": np.array([2**60, 5, 4], np.uint64)})
    assert rows.shape == (3,)
    found = take(rows, np.array([2, 0, 0]))
    assert found["pt"].tolist() == [3, 1, 1]
    assert found["id"].tolist() == [4, 2**60, 2**60]


@pytest.mark.parametrize("counts", [[], [0, 0]])
def test_nothing_to_take(counts):
    counts = np.array(counts, dtype=np.int64)
    rows = Ragged(np.zeros((1, 2), np.float32), counts, LENGTH, of_jets=np.zeros((len(counts), 3), np.float32))
    assert take(rows, np.arange(len(counts))).shape == (len(counts), LENGTH, 5)
    assert not take(rows, np.arange(len(counts))).any()
