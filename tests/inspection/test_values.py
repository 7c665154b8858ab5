"""Values at a glance, against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jetmill.inspection.values import Summary

RNG = np.random.default_rng(3)
NORMAL = RNG.normal(size=1000).astype(np.float32)


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(width=32)))
def test_range_and_missing(values):
    summary = Summary.of(values)
    there = values[np.isfinite(values)]
    assert (summary.n, summary.missing) == (len(values), len(values) - len(there))
    assert (summary.low, summary.high) == ((there.min(), there.max()) if len(there) else (None, None))
    assert sum(summary.histogram) == (len(there) - sum(summary.sentinels.values()) if len(there) else 0)


SENTINELS = {
    "-999 far below": (np.r_[NORMAL, np.full(30, -999)], {-999: 30}),
    "-1 beside probabilities": (np.r_[abs(NORMAL), np.full(200, -1)], {-1: 200}),
    "a rare -999": (np.r_[NORMAL, np.full(2, -999)], {-999: 2}),
    "an index of none, next to 0": (np.r_[np.arange(50), np.full(30, -1)], {}),
    "an index of none, apart": (np.r_[np.arange(3, 50), np.full(30, -1)], {-1: 30}),
    "nothing": (NORMAL, {}),
    "many zeros": (np.r_[NORMAL + 10_000, np.zeros(500)], {}),
    "flavours": (np.repeat([0, 4, 5, 21], 50), {}),
    "yes and no": (np.repeat([-1, 1], 50), {}),
}


@pytest.mark.parametrize(("values", "expected"), SENTINELS.values(), ids=SENTINELS.keys())
def test_sentinels(values, expected):
    assert Summary.of(values).sentinels == expected


def test_few_integers_are_counted():
    assert Summary.of(np.array([5, 0, 4, 5], dtype=np.uint8)).counts == {0: 1, 4: 1, 5: 2}
    assert Summary.of(NORMAL).counts == {}


def test_bars_show_what_is_there():
    bars = Summary.of(np.r_[np.zeros(1000), np.ones(8)]).bars
    assert bars == "█" + " " * 18 + "▁"
    assert Summary.of(np.full(3, np.nan)).bars == ""
