from fractions import Fraction
from functools import reduce
from math import sqrt
from operator import add

import numpy as np
import pytest
from blocks import statistics_of
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from jetmill.scaling.moments import Accumulator, Moments, Statistics, logarithm, read_statistics, write_statistics

NAN = np.nan


def batches(seed=0):
    """Return batches of unequal length with values of all sizes, some missing."""
    rng = np.random.default_rng(seed)
    n = [1000, 1, 0, 2500, 37]
    scale = np.array([1, 50, 1e-3, 1e4, 1, 1])
    shift = np.array([0, 60, 0, -1e4, 2.5, 1e3])
    rows = [rng.normal(size=(k, 6)) * scale + shift for k in n]
    rows = [np.where(rng.random(r.shape) < [0, 0, 0.7, 0.1, 0.98, 0], NAN, r) for r in rows]
    return [np.asarray(r, dtype=np.float32) for r in rows]


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1), [3, 0, 4, 1, 2]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_are_those_of_standard_scaler(order, dtype):
    rows = [r.astype(dtype) for r in batches()]
    theirs = StandardScaler().fit(np.concatenate(rows).astype(np.float64))
    rows = [rows[i] for i in np.arange(len(rows))[order]]
    for i in range(6):
        ours = reduce(add, (Moments.of(r[:, i]) for r in rows))
        assert ours.count == np.broadcast_to(theirs.n_samples_seen_, 6)[i]
        assert ours.mean == pytest.approx(theirs.mean_[i], rel=1e-12, abs=0)
        assert ours.variance == pytest.approx(theirs.var_[i], rel=1e-12, abs=0)
        column = np.concatenate([r[:, i] for r in rows])
        assert (ours.minimum, ours.maximum) == (np.nanmin(column), np.nanmax(column))


VALUES = st.lists(st.floats(-1e4, 1e4, width=32) | st.just(NAN), max_size=60)


@given(VALUES, st.data())
def test_any_partition_and_order_gives_the_exact_moments(values, data):
    shuffled = np.array(data.draw(st.permutations(values)), dtype=np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=5)))
    ours = reduce(add, map(Moments.of, np.split(shuffled, cuts)), Moments())
    exact = [Fraction(float(np.float32(v))) for v in values if not np.isnan(v)]
    check(ours, exact)


def check(ours, exact):
    """Compare moments with those of the same values as fractions."""
    assert ours.count == len(exact)
    if not exact:
        assert ours == Moments()
        return
    mean = sum(exact) / len(exact)
    variance = float(sum((x - mean) ** 2 for x in exact) / len(exact))
    largest = float(max(map(abs, exact)))
    assert ours.mean == pytest.approx(float(mean), rel=0, abs=1e-14 * largest)
    rounding = 1e-14 * largest * sqrt(variance) + (1e-15 * largest) ** 2
    assert ours.variance == pytest.approx(variance, rel=1e-12, abs=rounding)
    assert (ours.minimum, ours.maximum) == (min(exact), max(exact))


@given(st.lists(st.tuples(st.floats(-1e4, 1e4, width=32) | st.just(NAN), st.integers(0, 5)), max_size=40), st.data())
def test_values_that_count_several_times(pairs, data):
    """As if they were there so often."""
    values, times = np.array([p[0] for p in pairs], np.float32), np.array([p[1] for p in pairs], int)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    ours = reduce(add, map(Moments.of, np.split(values, cuts), np.split(times, cuts)), Moments())
    check(ours, [Fraction(float(v)) for v in np.repeat(values, times) if not np.isnan(v)])


def test_a_small_spread_on_a_large_offset_survives():
    values = 1e6 + np.random.default_rng(1).normal(size=100_000)
    ours = reduce(add, map(Moments.of, np.array_split(values, 7)))
    assert ours.variance == pytest.approx(StandardScaler().fit(values[:, None]).var_[0], rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_the_rounding_of_the_mean_is_corrected(seed):
    values = 1e8 + np.random.default_rng(seed).normal(0, 1e-7, 1001)
    exact = [Fraction(x) for x in values.tolist()]
    mean = sum(exact) / len(exact)
    variance = float(sum((x - mean) ** 2 for x in exact) / len(exact))
    assert Moments.of(values).variance == pytest.approx(variance, rel=1e-12, abs=0)


def test_no_values():
    assert Moments.of(np.array([NAN, NAN])) == Moments.of(np.array([])) == Moments()
    assert Moments().variance == 0
    some = Moments.of(np.array([1.0, 2.0]))
    assert some + Moments() == Moments() + some == some


# statistics


class Blocks:
    """Values in blocks, which may be read again and again."""

    def __init__(self, *blocks):
        self.blocks, self.passes = blocks, 0

    def __call__(self):
        self.passes += 1
        return iter(self.blocks)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("quartiles", [False, True])
def test_statistics_are_what_is_asked_for(log, quartiles):
    values = np.random.default_rng(1).normal(2, 3, 1001).astype(np.float32)
    blocks = Blocks(values[:100], values[100:100], values[100:])
    ours = statistics_of(blocks, log=log, quartiles=quartiles)
    assert ours.moments == Moments.of(values[:100]) + Moments.of(values[100:])
    scaled = np.log(values[values > 0]) if log else values
    assert ours.scaled.count == len(scaled)
    assert ours.scaled.mean == pytest.approx(scaled.mean(dtype=np.float64), rel=1e-12)
    assert (ours.log_moments is None, ours.quartiles is None) == (not log, not quartiles)
    if quartiles:
        np.testing.assert_allclose(ours.quartiles, np.percentile(scaled.astype(np.float64), [25, 50, 75]), rtol=1e-12)
    assert blocks.passes == (2 if quartiles else 1)


def test_everything_is_that_of_repeated_values():
    rng = np.random.default_rng(4)
    values = np.round(rng.normal(2, 3, 500), 1).astype(np.float32)
    values[rng.random(500) < 0.2] = NAN
    values[:40] = -50
    times = rng.integers(0, 4, 500)
    ours, theirs = (Accumulator(log=True, quartiles=True) for _ in range(2))
    for add_ in ("add", "add_again"):
        for rows in np.array_split(np.arange(500), 7):
            getattr(ours, add_)(values[rows], times[rows])
            getattr(theirs, add_)(np.repeat(values[rows], times[rows]))
        assert ours.look_closer() is theirs.look_closer() is True
    ours, theirs = ours.result(), theirs.result()
    assert (ours.quartiles, ours.missing, ours.ends) == (theirs.quartiles, theirs.missing, theirs.ends)
    for a, b in ((ours.moments, theirs.moments), (ours.log_moments, theirs.log_moments)):
        assert a.count == b.count
        assert [a.mean, a.variance] == pytest.approx([b.mean, b.variance], rel=1e-12)
        assert (a.minimum, a.maximum) == (b.minimum, b.maximum)


def test_statistics_survive_their_file(tmp_path):
    column = batches()[0][:, 1]
    known = {
        "jets": {
            "pt": Statistics(Moments.of(column), Moments.of(np.log(column[column > 0])), (0.1, 0.2, 1 / 3)),
            "eta": Statistics(Moments.of(column)),
            "none": Statistics(Moments()),
        },
        "tracks": {"pt": Statistics(Moments.of(column), None, (NAN, NAN, NAN))},
    }
    ranges = [("jets", ["pt", "eta"]), ("jets", ["none"]), ("tracks", ["pt"])]
    paths = [tmp_path / f"{number}.json" for number in range(3)]
    for path, (of, names) in zip(paths, ranges, strict=True):
        write_statistics({of: {name: known[of][name] for name in names}}, path)
    again = read_statistics(paths)
    assert [(of, list(rows)) for of, rows in again.items()] == [("jets", ["pt", "eta", "none"]), ("tracks", ["pt"])]
    assert again["jets"] == known["jets"]
    assert again["tracks"]["pt"].moments == known["tracks"]["pt"].moments
    assert np.isnan(again["tracks"]["pt"].quartiles).all()


def test_logarithm_keeps_the_type():
    for dtype in (np.float32, np.float64):
        found = logarithm(np.array([1, 0, -1, np.nan, np.e], dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, [0, np.nan, np.nan, np.nan, 1], atol=1e-7)


@pytest.mark.parametrize(
    ("blocks", "whole"),
    [([[1, 2, NAN], [-3]], True), ([[1, 2], [3, 2.5], [4]], False), ([[0.5], [1]], False), ([[NAN], []], False)],
)
def test_whole_numbers(blocks, whole, tmp_path):
    found = Accumulator(log=False, quartiles=False)
    for block in blocks:
        found.add(np.array(block, dtype=np.float32))
    assert found.result().whole is whole
    write_statistics({"jets": {"x": found.result()}}, tmp_path / "x.json")
    assert read_statistics([tmp_path / "x.json"])["jets"]["x"].whole is whole


def test_a_value_that_counts_zero_times_is_not_among_them():
    found = Accumulator(log=False, quartiles=False)
    found.add(np.array([1, 2.5, 3], dtype=np.float32), np.array([2, 0, 1]))
    assert found.result().whole
