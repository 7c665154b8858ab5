"""Scalers of all batches, against scikit-learn."""

import json

import numpy as np
import pytest
from batches import cleaned, write_batch
from sklearn.preprocessing import StandardScaler

from jetmill.errors import JetmillError
from jetmill.settings.scaling import ScalingRules
from jetmill.settings.stages import FitSettings, MergeSettings
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.stages.merge_scalers import merge_scalers


@pytest.mark.parametrize(("width", "order"), [(1, 1), (3, -1), (100, 1), (100, -1)])
def test_scalers_are_those_of_standard_scaler(stages, tmp_path, width, order):
    stages.scale(tmp_path / "s.json", width=width, order=order)
    ours = json.loads((tmp_path / "s.json").read_text())["jets"]
    assert list(ours) == stages.variables
    columns = np.stack([stages.column(f"variables/{v}") for v in stages.variables], axis=1).astype(np.float64)
    theirs = StandardScaler().fit(columns)
    for i, row in enumerate(ours.values()):
        assert row["count"] == np.count_nonzero(~np.isnan(columns[:, i]))
        assert row["mean"] == pytest.approx(theirs.mean_[i], rel=1e-12, abs=0)
        assert row["variance"] == pytest.approx(theirs.var_[i], rel=1e-12, abs=0)
        assert row["minimum"] == np.nanmin(columns[:, i])
        assert row["maximum"] == np.nanmax(columns[:, i])
        assert row["shift"] == np.float32(theirs.mean_[i])
        assert row["scale"] == np.float32(theirs.scale_[i])
        assert row["default"] == np.float32(np.nanmin(columns[:, i]) - 0.001)


@pytest.mark.parametrize("method", ["standard", "robust"])
def test_width_order_and_blocks_do_not_reach_what_is_applied(stages, tmp_path, method):
    settings = ScalingRules(method=method, log=["pt"], unscaled=["eta"])

    def applied(name, **options):
        stages.scale(tmp_path / f"{name}.json", settings=settings, **options)
        rows_ = json.loads((tmp_path / f"{name}.json").read_text())["jets"]
        return {name: {key: row[key] for key in ("shift", "scale", "default", "log")} for name, row in rows_.items()}

    found = applied("a", width=1)
    assert found == applied("b", width=4, order=-1) == applied("c", width=100)
    assert (found["pt"]["log"], found["eta"]["shift"]) == (True, 0)
    assert found == applied("d", width=4, block_rows=100)


@pytest.fixture
def bad_ranges(tmp_path):
    columns = {
        "variables/gone": np.full(4, np.nan),
        "variables/same": np.full(4, 2.0),
        "variables/good": np.arange(4.0),
    }
    write_batch(tmp_path / "b.h5", iter(columns.items()), {"splits": np.array([3, 0, 1])})
    names = ["gone", "same", "good"]
    settings = FitSettings.from_rules("jets", names, ScalingRules())
    fit_scalers([cleaned("tt", tmp_path / "b.h5")], tmp_path / "r.json", settings)
    return [tmp_path / "r.json"], tmp_path / "s.json"


def test_variables_that_cannot_be_scaled(bad_ranges):
    message = "'gone' of jets is missing everywhere in the training split; variable 'same' of jets is 2 wherever"
    with pytest.raises(JetmillError, match=message):
        merge_scalers(*bad_ranges, MergeSettings(rules={"jets": ScalingRules()}, strict=True))
    assert not bad_ranges[1].exists()


def test_variables_that_cannot_be_scaled_are_a_warning_if_not_strict(bad_ranges, caplog):
    merge_scalers(*bad_ranges, MergeSettings(rules={"jets": ScalingRules(defaults={"gone": -3})}, strict=False))
    assert [r.message.split("'")[1] for r in caplog.records if r.levelname == "WARNING"] == ["gone", "same"]
    ours = json.loads(bad_ranges[1].read_text())["jets"]
    assert (ours["gone"]["scale"], ours["same"]["scale"], ours["gone"]["default"]) == (1, 1, -3)
    assert ours["good"]["mean"] == 1


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
