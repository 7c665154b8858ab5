"""Exact quartiles and the scalers of constituents, against numpy and scikit-learn."""

import json

import numpy as np
import pytest
from batches import cleaned, write_batch
from blocks import exact_quartiles, statistics_of
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import RobustScaler, StandardScaler

from jetmill.errors import JetmillError
from jetmill.scaling.exports import class_weights, norm_dict, scale_dict
from jetmill.scaling.moments import logarithm, read_statistics, write_statistics
from jetmill.scaling.quartiles import Quartiles
from jetmill.scaling.scalers import Scaler, fit_all, read_scalers, scale_rows, write_scalers
from jetmill.settings.scaling import ScalingRules
from jetmill.settings.stages import FitSettings, MergeSettings
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.stages.merge_scalers import merge_scalers

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


@pytest.mark.parametrize("log", [False, True])
def test_robust_scaler_is_that_of_scikit_learn(log):
    rng = np.random.default_rng(4)
    values = rng.lognormal(1, 2, 5001).astype(np.float32)
    values[::7] = np.nan
    theirs = np.log(values) if log else values
    sklearn = RobustScaler().fit(theirs[:, None].astype(np.float64))
    settings = ScalingRules(method="robust", log=["x"] if log else [])
    scaler = Scaler.fit(statistics_of(in_blocks(values), log=log, quartiles=True), settings, "x")
    assert scaler.shift == pytest.approx(sklearn.center_[0], rel=1e-6)
    assert scaler.scale == pytest.approx(sklearn.scale_[0], rel=1e-6)
    found, is_default = scale_rows([values], [scaler])
    np.testing.assert_array_equal(is_default[:, 0], np.isnan(values))
    known = ~np.isnan(values)
    expected = sklearn.transform(theirs[:, None].astype(np.float64))[known]
    np.testing.assert_allclose(found[known], expected, rtol=1e-4, atol=2e-6)


def test_log_scaler_is_the_same_in_fit_and_in_apply():
    values = np.random.default_rng(2).lognormal(-8, 2, 4000).astype(np.float32)
    values[:5] = 0, -1, np.nan, -0.0, TINY
    sound = values > 0
    theirs = StandardScaler().fit(np.log(values[sound])[:, None].astype(np.float64))
    settings = ScalingRules(log=["dr"])
    scaler = Scaler.fit(statistics_of(in_blocks(values), log=True, quartiles=False), settings, "dr")
    found, is_default = scale_rows([values], [scaler])
    np.testing.assert_array_equal(is_default[:, 0], ~sound)
    expected = theirs.transform(np.log(values[sound])[:, None].astype(np.float64))[:, 0]
    np.testing.assert_allclose(found[sound, 0], expected, rtol=1e-4, atol=1e-5)
    assert abs(found[sound].mean(dtype=np.float64)) < 1e-5
    assert found[sound].std(dtype=np.float64) == pytest.approx(1, rel=1e-5)
    lowest = float(np.log(values[sound]).min() - 0.001)
    np.testing.assert_allclose(found[~sound, 0], (lowest - scaler.shift) / scaler.scale, rtol=1e-5)
    assert scaler.fill == pytest.approx(np.exp(lowest), rel=1e-5)


@pytest.mark.parametrize("log", [False, True])
def test_default_mean(log):
    values = np.array([1, 2, 4, np.nan], np.float32)
    statistics = statistics_of(in_blocks(values), log=log, quartiles=False)
    scaler = Scaler.fit(statistics, ScalingRules(log=["x"] if log else [], default="mean"), "x")
    found, _ = scale_rows([values], [scaler])
    assert found[3, 0] == pytest.approx(0, abs=1e-6)
    assert scaler.fill == pytest.approx(2 if log else 7 / 3, rel=1e-6)


def test_default_in_the_unit_of_the_variable():
    values = np.array([1, np.e, np.nan], np.float32)
    statistics = statistics_of(in_blocks(values), log=True, quartiles=False)
    scaler = Scaler.fit(statistics, ScalingRules(log=["x"], defaults={"x": np.e**2}), "x")
    assert scale_rows([values], [scaler])[0][:, 0] == pytest.approx([-1, 1, 3], rel=1e-5)
    assert scaler.fill == pytest.approx(np.e**2, rel=1e-6)


def test_clip_limits_scaled_values_and_defaults():
    values = np.r_[np.zeros(50), 1e4, -1e4, np.nan].astype(np.float32)
    statistics = statistics_of(in_blocks(values), log=False, quartiles=False)
    scaler = Scaler.fit(statistics, ScalingRules(clip=3.0), "x")
    found, is_default = scale_rows([values], [scaler])
    assert found[50:, 0].tolist() == [3, -3, -3]
    assert is_default[:, 0].tolist() == [False] * 52 + [True]


@pytest.mark.parametrize("name", ["SV1_isDefaults", "count"])
def test_unscaled_variables_stay_as_they_are(name):
    values = np.array([0, 1, 7, 1], np.float32)
    for method in ("standard", "robust"):
        settings = ScalingRules(method=method, unscaled=["*isDefaults*", "count"])
        robust = method == "robust" and settings.is_scaled(name)
        scaler = Scaler.fit(statistics_of(in_blocks(values), log=False, quartiles=robust), settings, name)
        assert (scaler.shift, scaler.scale) == (0, 1)
        assert scale_rows([values], [scaler])[0][:, 0].tolist() == values.tolist()


def test_unscaled_variables_stay_as_they_are_beside_a_clip():
    values = np.array([0, 1, 7, 1], np.float32)
    settings = ScalingRules(unscaled=["count"], clip=5.0)
    scaler = Scaler.fit(statistics_of(in_blocks(values), log=False, quartiles=False), settings, "count")
    assert scale_rows([values], [scaler])[0][:, 0].tolist() == values.tolist()


def test_is_scaled_takes_names_and_patterns():
    settings = ScalingRules(unscaled=["*isDefaults*", "n_?", "Exact"])
    assert [settings.is_scaled(n) for n in ("SV1_isDefaults", "n_1", "n_10", "exact", "Exact")] == [
        *(False, False, True, True, False)
    ]


def test_quartiles_of_equal_size_with_a_spread_beyond():
    values = np.r_[np.ones(90), np.arange(10)].astype(np.float32)
    statistics = statistics_of(in_blocks(values), log=False, quartiles=True)
    scaler = Scaler.fit(statistics, ScalingRules(method="robust"), "x")
    theirs = RobustScaler().fit(values[:, None].astype(np.float64))
    assert (scaler.shift, scaler.scale) == (theirs.center_[0], theirs.scale_[0]) == (1, 1)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("values", "message"), [([np.nan] * 3, "is missing everywhere"), ([2.5, 2.5, np.nan], r"is 2\.5 wherever")]
)
def test_constant_or_missing_constituent_variable(strict, values, message):
    statistics = {"tracks": {"d0": statistics_of(in_blocks(np.array(values, np.float32)), log=False, quartiles=True)}}
    settings = {"tracks": ScalingRules(method="robust")}
    if strict:
        with pytest.raises(JetmillError, match=rf"'d0' of tracks {message}"):
            fit_all(statistics, settings, strict=True)
        return
    scalers, warnings = fit_all(statistics, settings, strict=False)
    assert len(warnings["tracks"]["d0"]) == 1
    s = scalers["tracks"]["d0"]
    assert s.scale == 1
    assert np.isfinite([s.shift, s.default, s.fill]).all()


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


def batch_of_tracks(path, counts, values, *, splits):
    counts = np.asarray(counts)
    columns = {
        "key": np.arange(len(counts), dtype=np.uint64),
        "label": np.zeros(len(counts), np.uint8),
        "variables/pt": np.arange(len(counts), dtype=np.float32),
        "constituents/tracks/offsets": np.r_[0, np.cumsum(counts)],
        "constituents/tracks/variables/d0": np.asarray(values, np.float32),
    }
    write_batch(path, iter(columns.items()), {"splits": np.array(splits)})
    return path


def fitted(tmp_path, batches, settings):
    sources = [cleaned("tt", path) for path in batches]
    fit_scalers(sources, tmp_path / "range.json", FitSettings.from_rules("tracks", ("d0",), settings))
    merged = MergeSettings(rules={"tracks": settings}, strict=False)
    merge_scalers([tmp_path / "range.json"], tmp_path / "s.json", merged)
    return json.loads((tmp_path / "s.json").read_text())["tracks"]["d0"]


@pytest.mark.parametrize("method", ["standard", "robust"])
def test_each_track_of_training_counts_once(tmp_path, method):
    """Not each jet (UPP), and not tracks of validation and test jets."""
    first = batch_of_tracks(tmp_path / "a.h5", [1, 9, 2, 3], [50, *range(9), 1e6, 1e6, *[1e7] * 3], splits=[2, 1, 1])
    second = batch_of_tracks(tmp_path / "b.h5", [0, 4], [-3, 2, 2, np.nan], splits=[2, 0, 0])
    row = fitted(tmp_path, [first, second], ScalingRules(method=method))
    values = np.array([50, *range(9), -3, 2, 2], dtype=float)
    assert row["count"] == len(values)
    if method == "standard":
        assert (row["shift"], row["scale"]) == pytest.approx((values.mean(), values.std()), rel=1e-6)
    else:
        first, shift, third = np.percentile(values, [25, 50, 75])
        assert (row["shift"], row["scale"]) == pytest.approx((shift, third - first), rel=1e-6)
    assert row["default"] == pytest.approx(-3.001)


@pytest.mark.parametrize("method", ["standard", "robust"])
@pytest.mark.parametrize("log", [[], ["d0"]])
def test_no_training_jet_has_a_track(tmp_path, method, log):
    path = batch_of_tracks(tmp_path / "a.h5", [0, 0, 2], [1, 2], splits=[2, 1, 0])
    row = fitted(tmp_path, [path], ScalingRules(method=method, log=log))
    assert (row["count"], row["shift"], row["scale"], row["default"]) == (0, 0, 1, 0)


@pytest.mark.parametrize("method", ["standard", "robust"])
def test_salt_gets_mean_and_deviation_of_the_values_themselves(method):
    values = np.random.default_rng(1).lognormal(2, 1, 1000).astype(np.float32)
    settings = ScalingRules(method=method, log=["dr"])
    known = {"tracks": {n: statistics_of(in_blocks(values), log=n == "dr", quartiles=True) for n in ("dr", "pt")}}
    if method == "standard":
        known["tracks"]["pt"] = statistics_of(in_blocks(values), log=False, quartiles=False)
    scalers = {"tracks": {n: Scaler.fit(s, settings, n) for n, s in known["tracks"].items()}}
    for row in norm_dict(scalers, known)["tracks"].values():
        assert row == pytest.approx({"mean": values.mean(dtype=float), "std": values.std(dtype=float)}, rel=1e-6)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("quartiles", [False, True])
@pytest.mark.parametrize("value", [100, 0.1, 1e-7, 12345.678])
@pytest.mark.parametrize("n", [3, 7, 1000])
def test_salt_gets_the_mean_of_a_constant(log, quartiles, value, n):
    """Whatever jetmill scales, mean and std are those of the values that salt reads; 1 for no spread but rounding."""
    values = np.full(n, value, np.float32)
    settings = ScalingRules(method="robust" if quartiles else "standard", log=["dr"] if log else [])
    known = {"tracks": {"dr": statistics_of(in_blocks(values), log=log, quartiles=quartiles)}}
    scalers, _ = fit_all(known, {"tracks": settings}, strict=False)
    row = norm_dict(scalers, known)["tracks"]["dr"]
    assert row == {"mean": pytest.approx(value, rel=1e-6), "std": 1}


def test_umami_gets_scalers_and_origin_weights():
    s = Scaler(1.5, 2.0, -3.0)
    table = scale_dict({"jets": {"pt": s}, "tracks": {"d0": s}}, {"tracks": {"origin": np.array([10, 0, 30])}})
    assert table == {
        "jets": {"pt": {"shift": 1.5, "scale": 2.0, "default": -3.0}},
        "tracks": {"d0": {"shift": 1.5, "scale": 2.0}},
        "tracks_origin_weights": {"origin": {"0": 4.0, "2": 40 / 30}},
    }
    json.dumps(table)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=9))
def test_class_weights_keep_the_place_of_every_class(counts):
    weights = class_weights(np.array(counts))
    assert len(weights) == len(counts)
    for n, w in zip(counts, weights, strict=True):
        assert w == (0 if n == 0 else pytest.approx(max(counts) / n, abs=1e-4))
        assert isinstance(w, float)


def test_logarithm_keeps_the_type():
    for dtype in (np.float32, np.float64):
        found = logarithm(np.array([1, 0, -1, np.nan, np.e], dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, [0, np.nan, np.nan, np.nan, 1], atol=1e-7)
