import json
from fractions import Fraction
from functools import reduce
from math import sqrt
from operator import add

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from jetmill.errors import JetmillError
from jetmill.scaling import (
    Moments,
    Scaler,
    read_moments,
    read_scalers,
    scale_rows,
    scalers_from_moments,
    write_moments,
    write_norm_dict,
    write_scale_dict,
    write_scalers,
)

NAN = np.nan


def transform(scaler, column):
    return scale_rows([column], [scaler])[0][:, 0]


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
    assert ours.count == len(exact)
    if not exact:
        assert ours == Moments()
        return
    mean = sum(exact) / len(exact)
    variance = float(sum((x - mean) ** 2 for x in exact) / len(exact))
    largest = float(max(map(abs, exact)))
    assert ours.mean == pytest.approx(float(mean), rel=0, abs=1e-14 * largest)
    assert ours.variance == pytest.approx(
        variance, rel=1e-12, abs=1e-14 * largest * sqrt(variance) + (1e-15 * largest) ** 2
    )
    assert (ours.minimum, ours.maximum) == (min(exact), max(exact))


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


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_a_scaler_is_standard_scaler_in_single_precision(values):
    column = np.array(values, dtype=np.float32)
    ours = Scaler.standard(Moments.of(column), offset=0.001)
    theirs = StandardScaler().fit(column[:, None].astype(np.float64))
    assert ours.shift == pytest.approx(theirs.mean_[0], rel=1e-6, abs=1e-30)
    # Where the spread is of the order of the rounding, scikit-learn and the exact answer differ.
    if theirs.scale_[0] > 1e-12 * np.abs(column).max() or np.ptp(column) == 0:
        assert ours.scale == pytest.approx(theirs.scale_[0], rel=1e-6, abs=0)
    assert ours.default == np.float32(column.min().astype(np.float64) - 0.001)
    for x in (ours.shift, ours.scale, ours.default):
        assert x == np.float32(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_and_its_default(dtype):
    rng = np.random.default_rng(2)
    column = (rng.gamma(2, 30, 5000) + 20).astype(dtype)
    missing = rng.random(5000) < 0.3
    column[missing] = NAN
    moments = Moments.of(column)
    scaler = Scaler.standard(moments, offset=0.001)
    (scaled,), (is_default,) = (rows.T for rows in scale_rows([column], [scaler]))
    np.testing.assert_array_equal(is_default, missing)
    assert scaled.dtype == np.float32
    expected = StandardScaler().fit_transform(column[:, None].astype(np.float64))[:, 0]
    np.testing.assert_allclose(scaled[~missing], expected[~missing], rtol=0, atol=2e-6)
    default = (np.nanmin(column).astype(np.float64) - 0.001 - moments.mean) / sqrt(moments.variance)
    np.testing.assert_allclose(scaled[missing], default, rtol=1e-6)
    assert scaled[~missing].mean() == pytest.approx(0, abs=1e-5)
    assert scaled[~missing].std() == pytest.approx(1, abs=1e-5)
    assert np.isnan(column).sum() == missing.sum()


def test_a_default_of_the_configuration_wins():
    scaler = Scaler.standard(Moments.of(np.array([2.0, 4.0])), offset=0.001, default=-5)
    np.testing.assert_array_equal(transform(scaler, np.array([NAN, 4.0])), [-8, 1])


@pytest.mark.parametrize("values", [[7.0], [7.0, 7.0], [1e8 / 3] * 1000, [0.1] * 999, [0.0, 0.0]])
def test_a_constant_keeps_its_scale(values):
    moments = reduce(add, map(Moments.of, np.array_split(np.array(values), 3)))
    scaler = Scaler.standard(moments, offset=0.001)
    assert scaler.scale == 1
    assert abs(transform(scaler, np.array(values))).max() <= abs(values[0]) * 1e-7


def test_a_variable_without_values_is_zero():
    scaler = Scaler.standard(Moments(), offset=0.001)
    np.testing.assert_array_equal(transform(scaler, np.array([NAN, NAN], dtype=np.float32)), [0, 0])


@pytest.mark.parametrize("size", [1e-50, 1e-44, 1e-30, 1e30, 1e37])
def test_values_of_any_size_scale_to_finite_numbers(size):
    column = np.array([0, 1, 2]) * size
    scaler = Scaler.standard(Moments.of(column), offset=0)
    assert scaler.scale > 0
    assert np.isfinite(transform(scaler, column)).all()


def test_moments_survive_their_file(tmp_path):
    rows = batches()[0]
    moments = {f"v{i}": Moments.of(rows[:, i]) for i in range(6)} | {"none": Moments()}
    names = list(moments)
    paths = []
    for start in range(0, 7, 3):
        paths.append(tmp_path / f"{start}.json")
        write_moments({n: moments[n] for n in names[start : start + 3]}, paths[-1])
    assert read_moments(paths) == moments
    assert list(read_moments(paths)) == names


@pytest.fixture
def scalers():
    moments = {"pt": Moments.of(np.array([20.0, 30, 70])), "z": Moments.of(np.array([1e-3, 0.1])), "none": Moments()}
    return scalers_from_moments(moments, offset=0.001, defaults={"z": -1}, strict=False)[0]


def test_scalers_survive_their_file(tmp_path, scalers):
    write_scalers(scalers, tmp_path / "s.json")
    again = read_scalers(tmp_path / "s.json")
    assert list(again) == ["pt", "z", "none"]
    for name, s in scalers.items():
        a = again[name]
        assert (a.shift, a.scale, a.default, a.moments.count) == (s.shift, s.scale, s.default, s.moments.count)
        assert a.moments.variance == pytest.approx(s.moments.variance, rel=1e-15, abs=0)
        assert (a.moments.minimum, a.moments.maximum) == (s.moments.minimum, s.moments.maximum)
    row = json.loads((tmp_path / "s.json").read_text())["pt"]
    assert row["mean"] == 40
    assert row["variance"] == pytest.approx(np.var([20, 30, 70]), rel=1e-15)
    assert (row["minimum"], row["maximum"], row["count"]) == (20, 70, 3)
    assert json.loads((tmp_path / "s.json").read_text())["none"]["mean"] is None


def test_exports_hold_the_same_numbers(tmp_path, scalers):
    write_scale_dict(scalers, tmp_path / "umami.json")
    write_norm_dict(scalers, tmp_path / "salt.yaml")
    umami = json.loads((tmp_path / "umami.json").read_text())["jets"]
    salt = yaml.safe_load((tmp_path / "salt.yaml").read_text())["jets"]
    assert list(umami) == list(salt) == list(scalers)
    for name, s in scalers.items():
        assert umami[name] == {"shift": s.shift, "scale": s.scale, "default": s.default}
        assert salt[name] == {"mean": s.shift, "std": s.scale}


CONSTANT = {
    "good": Moments.of(np.array([1.0, 2.0])),
    "gone": Moments(),
    "same": Moments.of(np.array([3.0, 3.0])),
}


def test_strict_names_every_variable_that_cannot_be_scaled():
    with pytest.raises(JetmillError) as error:
        scalers_from_moments(CONSTANT, offset=0.001, defaults={}, strict=True)
    assert "'gone' is missing in every training jet" in str(error.value)
    assert "'same' is 3 in every training jet that has it (2)" in str(error.value)
    assert "'good'" not in str(error.value)
    assert "strict: false" in str(error.value)


def test_not_strict_warns():
    scalers, warnings = scalers_from_moments(CONSTANT, offset=0.001, defaults={"gone": 5}, strict=False)
    assert [w.split("'")[1] for w in warnings] == ["gone", "same"]
    assert scalers["same"].scale == scalers["gone"].scale == 1
    assert scalers["gone"].default == 5
    assert scalers_from_moments({"good": CONSTANT["good"]}, offset=0.001, defaults={}, strict=True)[1] == []


def test_rows_hold_the_variables_in_order():
    rows = batches()[0].astype(np.float64)
    scalers = [Scaler.standard(Moments.of(c), offset=0.001) for c in rows.T]
    columns = [c.astype(np.float32) if i % 2 else c for i, c in enumerate(rows.T)]
    scaled, is_default = scale_rows(columns, scalers)
    assert (scaled.dtype, is_default.dtype) == (np.float32, bool)
    np.testing.assert_array_equal(is_default, np.isnan(rows))
    filled = np.where(is_default, [s.default for s in scalers], rows)
    expected = (filled - [s.shift for s in scalers]) / [s.scale for s in scalers]
    np.testing.assert_allclose(scaled, expected, rtol=1e-6, atol=1e-6)
    assert scale_rows([c[:0] for c in columns], scalers)[0].shape == (0, 6)
