import json
from functools import reduce
from math import sqrt
from operator import add

import numpy as np
import pytest
from blocks import statistics_of
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler, StandardScaler

from jetmill.errors import JetmillError
from jetmill.scaling.moments import Moments, Statistics
from jetmill.scaling.scalers import Scaler, fit_all, read_scalers, scale_rows, write_scalers
from jetmill.settings.scaling import ScalingRules

NAN = np.nan


def statistics(column, *, settings=None, name="x"):
    """Return what fit_scalers finds in a column."""
    settings = settings or ScalingRules()
    robust = settings.method == "robust" and settings.is_scaled(name)
    return statistics_of(lambda: [np.asarray(column)], log=name in settings.log, quartiles=robust)


def fit(column, **settings):
    settings = ScalingRules(**settings)
    return Scaler.fit(statistics(column, settings=settings), settings, "x")


def transform(scaler, column):
    return scale_rows([column], [scaler])[0][:, 0]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40))
def test_a_scaler_is_standard_scaler_in_single_precision(values):
    column = np.array(values, dtype=np.float32)
    ours, theirs = fit(column), StandardScaler().fit(column[:, None].astype(np.float64))
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
    (scaled,), (is_default,) = (rows.T for rows in scale_rows([column], [fit(column)]))
    np.testing.assert_array_equal(is_default, missing)
    assert scaled.dtype == np.float32
    expected = StandardScaler().fit_transform(column[:, None].astype(np.float64))[:, 0]
    np.testing.assert_allclose(scaled[~missing], expected[~missing], rtol=0, atol=2e-6)
    present = column[~missing].astype(np.float64)
    default = (present.min() - 0.001 - present.mean()) / sqrt(present.var())
    np.testing.assert_allclose(scaled[missing], default, rtol=1e-6)
    assert scaled[~missing].mean() == pytest.approx(0, abs=1e-5)
    assert scaled[~missing].std() == pytest.approx(1, abs=1e-5)
    assert np.isnan(column).sum() == missing.sum()


def test_a_default_of_the_configuration_wins():
    scaler = fit([2.0, 4.0], defaults={"x": -5})
    np.testing.assert_array_equal(transform(scaler, np.array([NAN, 4.0])), [-8, 1])
    assert scaler.fill == -5


@pytest.mark.parametrize("method", ["standard", "robust"])
@pytest.mark.parametrize("values", [[7.0], [7.0, 7.0], [1e8 / 3] * 1000, [0.1] * 999, [0.0, 0.0]])
def test_a_constant_keeps_its_scale(values, method):
    moments = reduce(add, map(Moments.of, np.array_split(np.array(values), 3)))
    quartiles = statistics(values, settings=ScalingRules(method=method)).quartiles
    scaler = Scaler.fit(Statistics(moments, None, quartiles), ScalingRules(method=method), "x")
    assert scaler.scale == 1
    assert abs(transform(scaler, np.array(values))).max() <= abs(values[0]) * 1e-7


@pytest.mark.parametrize("settings", [{}, {"method": "robust"}, {"log": ["x"]}, {"default": "mean"}])
def test_a_variable_without_values_is_zero(settings):
    scaler = fit([NAN], **settings)
    np.testing.assert_array_equal(transform(scaler, np.array([NAN, NAN], dtype=np.float32)), [0, 0])


@pytest.mark.parametrize("size", [1e-50, 1e-44, 1e-30, 1e30, 1e37])
def test_values_of_any_size_scale_to_finite_numbers(size):
    column = np.array([0, 1, 2]) * size
    scaler = fit(column, default_offset=0)
    assert scaler.scale > 0
    assert np.isfinite(transform(scaler, column)).all()


@pytest.mark.parametrize("log", [[], ["x"]])
def test_robust_scaler_is_that_of_scikit_learn(log):
    values = np.random.default_rng(4).lognormal(1, 2, 5001).astype(np.float32)
    values[::7] = np.nan
    theirs = (np.log(values) if log else values)[:, None].astype(np.float64)
    sklearn = RobustScaler().fit(theirs)
    scaler = fit(values, method="robust", log=log)
    assert scaler.shift == pytest.approx(sklearn.center_[0], rel=1e-6)
    assert scaler.scale == pytest.approx(sklearn.scale_[0], rel=1e-6)
    found, is_default = scale_rows([values], [scaler])
    np.testing.assert_array_equal(is_default[:, 0], np.isnan(values))
    known = ~np.isnan(values)
    np.testing.assert_allclose(found[known], sklearn.transform(theirs)[known], rtol=1e-4, atol=2e-6)


def test_log_scaler_is_the_same_in_fit_and_in_apply():
    values = np.random.default_rng(2).lognormal(-8, 2, 4000).astype(np.float32)
    values[:5] = 0, -1, np.nan, -0.0, np.finfo(np.float32).smallest_subnormal
    sound = values > 0
    logs = np.log(values[sound])[:, None].astype(np.float64)
    scaler = fit(values, log=["x"])
    found, is_default = scale_rows([values], [scaler])
    np.testing.assert_array_equal(is_default[:, 0], ~sound)
    np.testing.assert_allclose(found[sound], StandardScaler().fit_transform(logs), rtol=1e-4, atol=1e-5)
    lowest = float(logs.min() - 0.001)
    np.testing.assert_allclose(found[~sound, 0], (lowest - scaler.shift) / scaler.scale, rtol=1e-5)
    assert scaler.fill == pytest.approx(np.exp(lowest), rel=1e-5)


@pytest.mark.parametrize(("log", "fill"), [([], 7 / 3), (["x"], 2)])
def test_default_mean(log, fill):
    values = np.array([1, 2, 4, np.nan], np.float32)
    scaler = fit(values, log=log, default="mean")
    assert transform(scaler, values)[3] == pytest.approx(0, abs=1e-6)
    assert scaler.fill == pytest.approx(fill, rel=1e-6)


def test_default_in_the_unit_of_the_variable():
    values = np.array([1, np.e, np.nan], np.float32)
    scaler = fit(values, log=["x"], defaults={"x": np.e**2})
    assert transform(scaler, values) == pytest.approx([-1, 1, 3], rel=1e-5)
    assert scaler.fill == pytest.approx(np.e**2, rel=1e-6)


def test_clip_limits_scaled_values_and_defaults():
    values = np.r_[np.zeros(50), 1e4, -1e4, np.nan].astype(np.float32)
    found, is_default = scale_rows([values], [fit(values, clip=3.0)])
    assert found[50:, 0].tolist() == [3, -3, -3]
    assert is_default[:, 0].tolist() == [False] * 52 + [True]


@pytest.mark.parametrize("settings", [{}, {"method": "robust"}, {"clip": 5.0}])
@pytest.mark.parametrize("unscaled", ["x", "*x*"])
def test_unscaled_variables_stay_as_they_are(unscaled, settings):
    values = np.array([0, 1, 7, 1], np.float32)
    scaler = fit(values, unscaled=[unscaled], **settings)
    assert (scaler.shift, scaler.scale) == (0, 1)
    assert transform(scaler, values).tolist() == values.tolist()


def test_is_scaled_takes_names_and_patterns():
    settings = ScalingRules(unscaled=["*isDefaults*", "n_?", "Exact"])
    found = {name: settings.is_scaled(name) for name in ("SV1_isDefaults", "n_1", "n_10", "exact", "Exact")}
    assert found == {"SV1_isDefaults": False, "n_1": False, "n_10": True, "exact": True, "Exact": False}


def test_quartiles_of_equal_size_with_a_spread_beyond():
    values = np.r_[np.ones(90), np.arange(10)].astype(np.float32)
    scaler, theirs = fit(values, method="robust"), RobustScaler().fit(values[:, None].astype(np.float64))
    assert (scaler.shift, scaler.scale) == (theirs.center_[0], theirs.scale_[0]) == (1, 1)


# files

SETTINGS = {
    "jets": ScalingRules(defaults={"z": -1}, clip=4),
    "tracks": ScalingRules(log=["pt"], method="robust", unscaled=["is*"]),
}
KNOWN = {
    "jets": {
        "pt": statistics([20.0, 30, 70]),
        "z": statistics([1e-3, 0.1]),
        "none": Statistics(Moments()),
    },
    "tracks": {
        "pt": statistics([1.0, np.e, np.e**4], settings=SETTINGS["tracks"], name="pt"),
        "isMu": statistics([0.0, 1, 1]),
    },
}


def test_scalers_survive_their_file(tmp_path):
    scalers, warnings = fit_all(KNOWN, SETTINGS, strict=False)
    write_scalers(scalers, KNOWN, warnings, tmp_path / "s.json")
    again = read_scalers(tmp_path / "s.json")
    assert again == scalers
    assert [(of, list(rows)) for of, rows in again.items()] == [
        ("jets", ["pt", "z", "none"]),
        ("tracks", ["pt", "isMu"]),
    ]
    table = json.loads((tmp_path / "s.json").read_text())
    row = table["jets"]["pt"]
    assert (row["log"], row["clip"]) == (False, 4)
    assert row["mean"] == 40
    assert row["variance"] == pytest.approx(np.var([20, 30, 70]), rel=1e-15)
    assert (row["minimum"], row["maximum"], row["count"]) == (20, 70, 3)
    assert "quartiles" not in row
    assert table["jets"]["none"]["mean"] is None
    logs = table["tracks"]["pt"]
    assert (logs["log"], logs["clip"], logs["count"]) == (True, None, 3)
    assert (logs["mean"], logs["maximum"]) == pytest.approx((5 / 3, 4))
    assert logs["quartiles"] == pytest.approx(np.percentile([0, 1, 4], [25, 50, 75]), rel=1e-6)


CONSTANT = {
    "jets": {"good": statistics([1.0, 2.0]), "gone": Statistics(Moments()), "same": statistics([3.0, 3.0])},
    "tracks": {"same": statistics([5.0])},
}
PLAIN = {"jets": ScalingRules(), "tracks": ScalingRules()}


def test_strict_names_every_variable_that_cannot_be_scaled():
    with pytest.raises(JetmillError) as error:
        fit_all(CONSTANT, PLAIN, strict=True)
    assert "variable 'gone' of jets is missing everywhere in the training split" in str(error.value)
    assert "variable 'same' of jets is 3 wherever it is not missing in the training split (2)" in str(error.value)
    assert "variable 'same' of tracks is 5 wherever" in str(error.value)
    assert "'good'" not in str(error.value)
    assert "strict: false" in str(error.value)


def test_not_strict_warns():
    settings = PLAIN | {"jets": ScalingRules(defaults={"gone": 5})}
    scalers, warnings = fit_all(CONSTANT, settings, strict=False)
    assert [name for rows in warnings.values() for name, found in rows.items() if found] == ["gone", "same", "same"]
    assert scalers["jets"]["same"].scale == scalers["jets"]["gone"].scale == scalers["tracks"]["same"].scale == 1
    assert scalers["jets"]["gone"].default == 5
    assert fit_all({"jets": {"good": CONSTANT["jets"]["good"]}}, PLAIN, strict=True)[1] == {"jets": {"good": []}}


def test_an_unscaled_variable_may_be_constant():
    settings = PLAIN | {"jets": ScalingRules(unscaled=["gone", "same"])}
    assert not any(fit_all({"jets": CONSTANT["jets"]}, settings, strict=True)[1]["jets"].values())


def test_a_logarithm_that_is_constant_or_missing_everywhere_is_reported():
    settings = {"jets": ScalingRules(log=["x", "y"])}
    known = {
        "jets": {
            "x": statistics([-1.0, -2, 3], settings=settings["jets"]),
            "y": statistics([-1.0, -2], settings=settings["jets"], name="y"),
        }
    }
    with pytest.raises(JetmillError, match=r"'x' of jets is 1\.09861 wherever.*'y' of jets is missing everywhere"):
        fit_all(known, settings, strict=True)


def test_rows_hold_the_variables_in_order():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1000, 6)) * [1, 50, 1e-3, 1e4, 1, 1] + [0, 60, 0, -1e4, 2.5, 1e3]
    rows = np.where(rng.random(rows.shape) < [0, 0, 0.7, 0.1, 0.98, 0], NAN, rows).astype(np.float32).astype(float)
    scalers = [fit(c) for c in rows.T]
    columns = [c.astype(np.float32) if i % 2 else c for i, c in enumerate(rows.T)]
    scaled, is_default = scale_rows(columns, scalers)
    assert (scaled.dtype, is_default.dtype) == (np.float32, bool)
    np.testing.assert_array_equal(is_default, np.isnan(rows))
    filled = np.where(is_default, [s.default for s in scalers], rows)
    expected = (filled - [s.shift for s in scalers]) / [s.scale for s in scalers]
    np.testing.assert_allclose(scaled, expected, rtol=1e-6, atol=1e-6)
    assert scale_rows([c[:0] for c in columns], scalers)[0].shape == (0, 6)


@pytest.mark.parametrize("settings", [{"default_offset": 1e30}, {"defaults": {"x": -1e30}}])
def test_a_default_that_becomes_infinite_is_refused(settings):
    column = np.array([0, 1e-9, 2e-9], dtype=np.float32)
    known = {"tracks": {"x": statistics(column)}}
    with pytest.raises(JetmillError) as error:
        fit_all(known, {"tracks": ScalingRules(**settings)}, strict=False)
    assert str(error.value).startswith("missing values of 'x' of tracks would be infinite when they are scaled")
    (scaler,) = fit_all({"jets": {"x": statistics(1e9 * column)}}, {"jets": ScalingRules(**settings)}, strict=True)[0][
        "jets"
    ].values()
    assert np.isfinite(transform(scaler, np.array([NAN], dtype=np.float32))).all()
