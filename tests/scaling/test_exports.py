import json

import h5py
import numpy as np
import pytest
import yaml
from batches import cleaned, write_batch
from blocks import statistics_of

from jetmill.balancing.selection import PartSpec
from jetmill.errors import JetmillError
from jetmill.scaling.exports import class_dict, class_weights, label_warnings, norm_dict, scale_dict
from jetmill.scaling.moments import write_statistics
from jetmill.scaling.scalers import fit_all, write_scalers
from jetmill.settings.scaling import ScalingRules
from jetmill.stages.export import export

VALUES = {
    "jets": {"pt": [20.0, 30, 70, np.nan], "z": [1e-3, 0.1], "none": [np.nan], "flag": [0.0, 1, 1]},
    "tracks": {"pt": [-1, 0.5, 2, 60], "d0": [-3.0, 0, 1, 7], "one": [3.0, 3.0]},
}
SETTINGS = {
    "jets": ScalingRules(defaults={"z": -1}, unscaled=["flag"]),
    "tracks": ScalingRules(log=["pt"], method="robust", default="mean"),
}


@pytest.fixture(scope="module")
def known():
    def statistics(of, name, values):
        settings = SETTINGS[of]
        robust = settings.method == "robust" and settings.is_scaled(name)
        return statistics_of(lambda: [np.array(values)], log=name in settings.log, quartiles=robust)

    return {of: {name: statistics(of, name, v) for name, v in rows.items()} for of, rows in VALUES.items()}


@pytest.fixture(scope="module")
def scalers(known):
    return fit_all(known, SETTINGS, strict=False)[0]


def test_the_scale_dict_is_what_is_applied(scalers):
    table = scale_dict(scalers, {})
    assert {of: list(rows) for of, rows in table.items()} == {of: list(rows) for of, rows in VALUES.items()}
    for name, s in scalers["jets"].items():
        assert table["jets"][name] == {"shift": s.shift, "scale": s.scale, "default": s.default}
    for name, s in scalers["tracks"].items():
        assert table["tracks"][name] == {"shift": s.shift, "scale": s.scale}


def test_the_norm_dict_is_what_is_applied_to_values_as_they_are(scalers, known):
    table = norm_dict(scalers, known)
    assert {of: list(rows) for of, rows in table.items()} == {of: list(rows) for of, rows in VALUES.items()}
    for name, s in scalers["jets"].items():
        assert table["jets"][name] == {"mean": s.shift, "std": s.scale}
    for name in ("pt", "d0"):  # scaled by logarithm or quartiles, which salt does not
        values = np.array(VALUES["tracks"][name])
        assert table["tracks"][name] == pytest.approx({"mean": values.mean(), "std": values.std()}, rel=1e-12)
    assert table["tracks"]["one"] == {"mean": 3, "std": 1}


def test_class_weights_by_hand():
    assert class_weights(np.array([100, 25, 30])) == [1, 4, 3.3333]
    # A class without jets keeps its place.
    assert class_weights(np.array([0, 25, 100])) == [0, 4, 1]
    assert class_weights(np.array([0, 0])) == [0, 0]


def test_the_class_dict():
    labels = {"tracks": {"origin": np.array([6, 0, 2]), "type": np.array([1, 8])}}
    assert class_dict(np.array([10, 5]), labels) == {
        "jets": {"flavour_label": [1, 2]},
        "tracks": {"origin": [1, 0, 3], "type": [8, 1]},
    }


def test_weights_of_labels_in_the_scale_dict(scalers):
    table = scale_dict(scalers, {"tracks": {"origin": np.array([6, 0, 2])}})
    assert table["tracks_origin_weights"] == {"origin": {"0": 8 / 6, "2": 4}}


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("quartiles", [False, True])
@pytest.mark.parametrize("value", [100, 0.1, 1e-7, 12345.678])
@pytest.mark.parametrize("n", [3, 7, 1000])
def test_salt_gets_the_mean_of_a_constant(log, quartiles, value, n):
    """Whatever jetmill scales, mean and std are those of the values that salt reads; 1 for no spread but rounding."""
    values = np.full(n, value, np.float32)
    settings = ScalingRules(method="robust" if quartiles else "standard", log=["dr"] if log else [])
    known = {"tracks": {"dr": statistics_of(lambda: [values], log=log, quartiles=quartiles)}}
    scalers, _ = fit_all(known, {"tracks": settings}, strict=False)
    row = norm_dict(scalers, known)["tracks"]["dr"]
    assert row == {"mean": pytest.approx(value, rel=1e-6), "std": 1}


# the stage


@pytest.fixture
def inputs(tmp_path, known, scalers):
    """Write what the stage reads: ranges, scalers, balance, and two batches, one of them without constituents."""
    ranges = [tmp_path / f"range_{of}.json" for of in known]
    for path, (of, rows) in zip(ranges, known.items(), strict=True):
        write_statistics({of: rows}, path)
    write_scalers(scalers, known, fit_all(known, SETTINGS, strict=False)[1], tmp_path / "scalers.json")
    with h5py.File(tmp_path / "balance.h5", "w") as file:
        file.attrs["classes"], file.attrs["variables"] = ["b", "c", "light"], ["x"]
        file["edges/x"] = [0.0, 1.0, 2.0]
        file["kept/train"] = np.array([[2, 3], [0, 1], [5, 5]])
        # Jets of the only class with label 0 and bin 1 are taken twice.
        file["repeats/train/tt"] = np.array([[1, 2], [1, 1], [1, 1]])
        file["threshold/train/tt"] = np.zeros((3, 2), dtype=np.uint64)
    batches = [tmp_path / f"batch_{n}.h5" for n in range(2)]
    for path, origin, ends in zip(batches, [[0, 2, 2, -1, 1, 3], []], [[0, 2, 2, 5, 6], [0, 0, 0]], strict=True):
        n_jets = len(ends) - 1
        columns = {"key": np.arange(n_jets, dtype=np.uint64), "label": np.zeros(n_jets, dtype=np.uint8)}
        columns["variables/x"] = np.where(np.arange(n_jets) == 2, 1.5, 0.5)
        columns["constituents/tracks/offsets"] = np.array(ends)
        columns["constituents/tracks/labels/origin"] = np.array(origin, dtype=np.int32)
        # The last jet, of origin 3 in the first batch, is for validation.
        write_batch(path, iter(columns.items()), {"splits": np.array([n_jets - 1, 1, 0])})
    source = PartSpec("train", (0, 1), [cleaned("tt", path) for path in batches])
    return source, ranges, tmp_path / "scalers.json", tmp_path / "balance.h5"


def outputs(directory):
    return [directory / name for name in ("scale_dict.json", "norm_dict.yaml", "class_dict.yaml")]


def test_the_stage_writes_all_three(tmp_path, inputs, scalers, known, caplog):
    paths = outputs(tmp_path / "out")
    export(*inputs, *paths, labels={"tracks": {"origin": 4}})
    # Training jets with 0, 2 and, twice, with 2, unknown, 1.
    counts = {"tracks": {"origin": np.array([1, 2, 3, 0])}}
    assert json.loads(paths[0].read_text()) == scale_dict(scalers, counts)
    found = [yaml.safe_load(path.read_text()) for path in paths[1:]]
    assert found == [norm_dict(scalers, known), class_dict(np.array([5, 1, 10]), counts)]
    assert [(of, list(rows)) for of, rows in found[0].items()] == [(of, list(rows)) for of, rows in VALUES.items()]
    (warning,) = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert warning == "no tracks with 'origin' of 3 in training; their class weight is 0"
    assert label_warnings(found[1]) == [warning]  # as the manifest finds it


def test_without_labels_no_batch_is_read(tmp_path, inputs, scalers):
    paths = outputs(tmp_path / "out")
    export(PartSpec("train", (0, 1), [cleaned("tt", "gone.h5")]), *inputs[1:], *paths, labels={})
    assert json.loads(paths[0].read_text()) == scale_dict(scalers, {})
    assert yaml.safe_load(paths[2].read_text()) == {"jets": {"flavour_label": [2, 10, 1]}}


def test_a_value_without_a_name_is_an_error(tmp_path, inputs):
    message = r"constituents\.tracks\.label_classes\.origin names 2 values, 0 to 1; found -1 to 2"
    with pytest.raises(JetmillError, match=message):
        export(*inputs, *outputs(tmp_path / "out"), labels={"tracks": {"origin": 2}})
    assert not (tmp_path / "out").exists()
