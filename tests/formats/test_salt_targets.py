"""salt trains on targets of jets and on truth hadrons (MaskFormer) with `salt/GN2.yaml` as it is."""

import json

import h5py
import numpy as np
import pytest
import yaml
from format_runs import ORIGINS
from salt_program import one_step

import jetmill
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.toys.dumps import toy_dump
from jetmill.workflow.in_process import run_in_process

pytestmark = [pytest.mark.workflow, pytest.mark.readers]

SLOTS, TRACKS = 4, 8
HADRON = np.dtype([("barcode", "i4"), ("flavour", "i4"), ("pt", "f4"), ("Lxy", "f4"), ("valid", "?")])
CONFIG = {
    "input": {"format": "hdf5", "event_id": ["eventNumber"]},
    "jets": {
        "variables": ["pt_btagJes", "eta_btagJes"],
        "additional_labels": ["HadronConeExclTruthLabelPt", "mass"],
        "targets": ["HadronConeExclTruthLabelPt", "mass"],
    },
    "constituents": {
        "tracks": {
            "variables": ["d0", "ptfrac"],
            "max": TRACKS,
            "labels": ["ftagTruthOriginLabel", "ftagTruthParentBarcode"],
            "label_classes": {"ftagTruthOriginLabel": ORIGINS},
        },
        "truth_hadrons": {
            "max": SLOTS,
            "select": ["flavour == 5 | flavour == 4"],
            "variables": ["pt", "Lxy"],
            "scaling": {"log": ["pt"]},
            "labels": ["barcode", {"name": "class", "variable": "flavour", "values": {5: 0, 4: 1}}],
            "label_classes": {"class": ["b", "c"]},
            "objects": {"of": "tracks"},
        },
    },
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
    "split": {"by": "jet", "val": 0.1, "test": 0.1},
    "balance": {"bins": {"pt_btagJes": [0, 1e7, 3]}, "weights": ["average"]},
    "write": {"formats": ["hdf5", "structured", "parquet", "tfrecords"], "concat_jet_tracks": True},
    "report": {"plots": False},
}


def dump(path):
    """Write toy jets whose tracks come from up to three hadrons, one of which is a light one."""
    rng = np.random.default_rng(4)
    found = toy_dump(600, "ttbar", rng)
    jets, tracks = found["jets"], found["tracks"]
    hadrons = np.zeros((len(jets), 5), HADRON)
    number = np.arange(5) < rng.integers(0, 4, len(jets))[:, None]
    hadrons["valid"] = number
    hadrons["barcode"] = np.where(number, 1000 * (1 + np.arange(5)) + rng.integers(0, 999, number.shape), -1)
    hadrons["flavour"] = np.where(number, rng.choice([5, 4, 3], number.shape), -1)
    for name in ("pt", "Lxy"):
        hadrons[name] = np.where(number, rng.gamma(3, 2e4 if name == "pt" else 2, number.shape), np.nan)
    parent = np.take_along_axis(hadrons["barcode"], rng.integers(0, 5, tracks.shape), axis=1)
    parent = np.where(tracks["valid"], parent, -1)
    with_parent = np.zeros(tracks.shape, [*tracks.dtype.descr, ("ftagTruthParentBarcode", "i4")])
    for name in tracks.dtype.names:
        with_parent[name] = tracks[name]
    with_parent["ftagTruthParentBarcode"] = parent
    with h5py.File(path, "w") as file:
        file.update({"jets": jets, "tracks": with_parent, "truth_hadrons": hadrons})
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("objects")
    files = {"samples": {"ttbar": {"files": [str(dump(directory / "dump.h5"))]}}}
    return run_in_process(CONFIG | files | {"output_dir": str(directory / "results")})


@pytest.fixture(scope="module")
def train(results):
    with h5py.File(results / "structured/train.h5") as file:
        return {name: file[name][()] for name in file}


@pytest.fixture(scope="module")
def source(results, train):
    """The hadrons with a class and the parents of all tracks, of each training jet, from the dump itself."""
    with h5py.File(results.parent / "dump.h5") as file:
        jets, tracks, hadrons = (file[name][()] for name in ("jets", "tracks", "truth_hadrons"))
    row_of = {(j["eventNumber"], j["pt_btagJes"]): row for row, j in enumerate(jets)}
    rows = [row_of[j["eventNumber"], j["pt_btagJes"]] for j in train["jets"]]
    kept = [h[np.isin(h["flavour"], [4, 5])] for h in hadrons[rows]]
    return kept, [t["ftagTruthParentBarcode"][t["valid"]][:TRACKS] for t in tracks[rows]]


@pytest.fixture(scope="module")
def trained(results, train, tmp_path_factory):
    return one_step(results, len(train["jets"]), tmp_path_factory.mktemp("salt"))


def padded(rows, empty):
    found = np.full((len(rows), SLOTS), empty, dtype=np.float64)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found


def test_objects_are_records_and_empty_slots_cannot_be_mistaken(train, source):
    hadrons = train["truth_hadrons"]
    expected = {
        "pt": padded([h["pt"] for h in source[0]], np.nan),
        "Lxy": padded([h["Lxy"] for h in source[0]], np.nan),
        "barcode": padded([h["barcode"] for h in source[0]], -1),
        "class": padded([h["flavour"] == 4 for h in source[0]], -1),
        "valid": padded([np.ones(len(h)) for h in source[0]], 0),
    }
    assert set(hadrons.dtype.names) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(hadrons[name], values.astype(hadrons.dtype[name]))


def test_targets_are_normalised_as_in_scalers_json(results, train):
    scalers = json.loads((results / "scalers.json").read_text())["targets"]
    for name, scaler in scalers.items():
        known = train["jets"][name][np.isfinite(train["jets"][name])].astype(np.float64)
        assert scaler["shift"] == pytest.approx(known.mean(), rel=1e-6)
        assert scaler["scale"] == pytest.approx(known.std(), rel=1e-6)
    # Programs that scale inputs by all that is in these files get none of it.
    for path in ("norm_dict.yaml", "scale_dict.json"):
        assert set(yaml.safe_load((results / path).read_text())) - {
            "tracks_origin_weights",
            "truth_hadrons_origin_weights",
        } == {
            "jets",
            "tracks",
            "truth_hadrons",
        }


def test_regression_of_jets(trained, train, results):
    scalers = json.loads((results / "scalers.json").read_text())["targets"]
    jets = train["jets"]
    assert list(scalers) == CONFIG["jets"]["targets"]
    targets = np.stack([(jets[name] - s["shift"]) / s["scale"] for name, s in scalers.items()], axis=1)
    # A missing target counts as one without error.
    errors = np.abs(trained["jets_regression_predicted"] - targets)
    assert np.isnan(errors[:, 0]).sum() > 50
    expected = (np.nan_to_num(errors) * jets["weight"][:, None]).mean()
    assert trained["jets_regression_loss"] == pytest.approx(expected, rel=1e-4)


def test_objects_reach_the_loss(trained, source, results):
    hadrons, parents = source
    np.testing.assert_array_equal(
        trained["objects_object_class"], padded([h["flavour"] == 4 for h in hadrons], 2).astype(int)
    )
    scaled = []
    scalers = json.loads((results / "scalers.json").read_text())["truth_hadrons"]
    for name, s in scalers.items():
        values = padded([h[name] for h in hadrons], np.nan)
        scaled.append(((np.log(values) if name == "pt" else values) - s["shift"]) / s["scale"])
    np.testing.assert_allclose(trained["objects_regression"], np.stack(scaled, axis=-1), rtol=1e-4, atol=1e-4)
    masks = np.zeros((len(hadrons), SLOTS, TRACKS), dtype=bool)
    for mask, of_jet, of_tracks in zip(masks, hadrons, parents, strict=True):
        for slot, barcode in enumerate(of_jet["barcode"]):
            mask[slot, : len(of_tracks)] = of_tracks == barcode
    assert masks.any(axis=2).sum() > 100
    np.testing.assert_array_equal(trained["objects_masks"], masks)
    for loss in ("object_class_ce", "mask_ce", "mask_dice", "regression_loss"):
        assert np.isfinite(trained[loss]), loss


def test_truth_is_no_input(results):
    salt = yaml.safe_load((results / "salt/GN2.yaml").read_text())
    assert set(salt["data"]["variables"]) == {"jets", "tracks"}
    assert [net["input_name"] for net in salt["model"]["model"]["init_args"]["init_nets"]] == ["tracks"]
    weaver = yaml.safe_load((results / "weaver/data.yaml").read_text())
    assert set(weaver["inputs"]) == {"jets", "tracks", "tracks_mask"}
    with h5py.File(results / "train.h5") as file:
        assert file["truth_hadrons/inputs"].attrs["variables"].tolist() == ["pt", "Lxy"]
        assert np.isfinite(file["truth_hadrons/inputs"][()]).all()
    tensorflow = pytest.importorskip("jetmill.loading.tensorflow", reason="TensorFlow is not installed")
    for data in (
        tensorflow.record_dataset(results / "tfrecords/train", 100, as_supervised=True),
        tensorflow.stream_dataset(jetmill.Stream(results), as_supervised=True),
    ):
        assert set(next(iter(data))[0]) == {"jets", "tracks", "tracks_valid"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"objects": {"of": "track"}},
            "constituents.truth_hadrons.objects.of: 'track' is not in the other constituents",
        ),
        (
            {"objects": {"of": "tracks", "id": "pdgId"}},
            "objects.id: 'pdgId' is not in constituents.truth_hadrons.labels",
        ),
        ({"objects": {"of": "tracks", "parent": "x"}}, "objects.parent: 'x' is not in constituents.tracks.labels"),
        ({"label_classes": {}}, "label_classes: objects have one label with names, their class (found: none)"),
    ],
)
def test_mistakes(change, message):
    constituents = CONFIG["constituents"]
    raw = CONFIG | {"samples": {"a": {"toy": {"process": "ttbar"}}}}
    raw |= {"constituents": constituents | {"truth_hadrons": constituents["truth_hadrons"] | change}}
    with pytest.raises(JetmillError) as error:
        load(raw)
    assert message in str(error.value)
