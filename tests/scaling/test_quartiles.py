"""Exact quartiles and the scalers of constituents, against numpy and scikit-learn."""

import numpy as np
import pytest
from blocks import exact_quartiles, statistics_of
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jetmill.scaling.moments import read_statistics, write_statistics
from jetmill.scaling.quartiles import Quartiles
from jetmill.scaling.scalers import fit_all, read_scalers, write_scalers
from jetmill.settings.scaling import ScalingRules

BIG, TINY = float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=False, allow_subnormal=True)
COLUMNS = hnp.arrays(np.float32, st.integers(1, 60), elements=FLOATS)


def in_blocks(values, n=3):
    return lambda: iter(np.array_split(values, n))


@given(COLUMNS, st.integers(1, 5))
@example(np.array([0.0, -0.0, 0.0, -0.0], np.float32), 2)
@example(np.array([BIG, -BIG, BIG], np.float32), 1)
@example(np.array([TINY, -TINY, 0.0, -0.0, 2 * TINY], np.float32), 2)
@example(np.array([7.5], np.float32), 4)
def test_quartiles_are_those_of_numpy(values, n_blocks):
    known = values[~np.isnan(values)].astype(np.float64)
    found = exact_quartiles(in_blocks(values, n_blocks))
    if not len(known):
        assert np.isnan(found).all()
        return
    np.testing.assert_allclose(found, np.percentile(known, [25, 50, 75]), rtol=1e-12, atol=0)


@given(COLUMNS.filter(lambda x: not np.isnan(x).all()), st.randoms(use_true_random=False))
def test_quartiles_do_not_depend_on_order_or_blocks(values, random):
    shuffled = values.tolist()
    random.shuffle(shuffled)
    assert exact_quartiles(in_blocks(values)) == exact_quartiles(in_blocks(np.array(shuffled, np.float32), 7))


@given(COLUMNS, st.data())
def test_quartiles_of_values_that_count_several_times(values, data):
    times = data.draw(hnp.arrays(np.int64, len(values), elements=st.integers(0, 3)))
    found = Quartiles()
    found.add(values, times)
    found.look_closer()
    found.add_again(values, times)
    repeated = np.repeat(values, times)
    np.testing.assert_array_equal(found.result(), exact_quartiles(in_blocks(repeated)))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 1001, 200_000])
def test_quartiles_of_many_values_in_few_bins(n):
    values = np.random.default_rng(n).normal(1e3, 1e-2, n).astype(np.float32)
    expected = np.percentile(values.astype(np.float64), [25, 50, 75])
    np.testing.assert_allclose(exact_quartiles(in_blocks(values)), expected, rtol=1e-14)


@pytest.mark.parametrize("blocks", [[], [np.empty(0, np.float32)], [np.full(3, np.nan, np.float32)]])
def test_quartiles_of_nothing(blocks):
    assert np.isnan(exact_quartiles(lambda: iter(blocks))).all()


@given(st.lists(FLOATS.filter(lambda x: not np.isnan(x)), min_size=2, max_size=20))
def test_files_keep_every_digit(tmp_path_factory, values):
    directory = tmp_path_factory.mktemp("files")
    column = np.array(values, np.float32)
    known = {"tracks": {"x": statistics_of(in_blocks(column), log=True, quartiles=True)}}
    write_statistics(known, directory / "s.json")
    assert str(read_statistics([directory / "s.json"])) == str(known)
    settings = {"tracks": ScalingRules(method="robust", log=["x"], clip=4)}
    scalers, warnings = fit_all(known, settings, strict=False)
    write_scalers(scalers, known, warnings, directory / "scalers.json")
    assert read_scalers(directory / "scalers.json") == scalers
