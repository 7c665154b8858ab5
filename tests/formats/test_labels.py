"""Truth in the finished files: other names and values, floats of constituents, targets of a regression."""

import h5py
import numpy as np
import pytest
from stage_runs import run_stages

from jetmill import load
from jetmill.config.load import load as load_config
from jetmill.errors import JetmillError

N, SLOTS = 400, 6
FLAVOURS = {0: 0, 4: 1, 5: 2}


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "jets.h5"
    rng = np.random.default_rng(1)
    jets = np.zeros(N, [("pt", "f4"), ("mass", "f4"), ("flavour", "i4"), ("eventNumber", "i8")])
    jets["pt"], jets["mass"] = rng.uniform(20, 200, N), rng.uniform(5, 20, N)
    jets["mass"][::7] = np.nan
    jets["flavour"], jets["eventNumber"] = rng.choice([0, 4, 5, 15], N), np.arange(N)
    hadrons = np.zeros((N, SLOTS), [("dr", "f4"), ("pt", "f8"), ("fromB", "?"), ("pdg", "i4"), ("valid", "?")])
    hadrons["dr"], hadrons["pt"] = rng.random((N, SLOTS)), rng.uniform(5, 50, (N, SLOTS))
    hadrons["fromB"], hadrons["pdg"] = rng.random((N, SLOTS)) < 0.5, rng.choice([-511, 511, 421], (N, SLOTS))
    hadrons["valid"] = np.arange(SLOTS) < rng.integers(0, SLOTS + 1, N)[:, None]
    with h5py.File(path, "w") as file:
        file["jets"], file["hadrons"] = jets, hadrons
    return path, jets, hadrons


def config(dump, out, **jets):
    return {
        "output_dir": str(out),
        "samples": {"tt": {"files": [str(dump[0])]}},
        "input": {"format": "hdf5"},
        "jets": {"variables": ["pt"], **jets},
        "classes": {"all": "rest"},
        "split": {"by": "modulo", "modulo": 4, "val": [1], "test": [0]},
        "balance": {"bins": {"pt": [[20, 200, 2]]}},
    }


def of_test(dump, jets):
    """Return the jets of the dump that loaded jets are, and their constituents."""
    number = jets.event["eventNumber"]
    assert len(number) == len(dump[1][::4])
    return dump[1][number], dump[2][number]


def test_labels_with_another_name_and_other_values(dump, tmp_path):
    flavour = {"name": "target", "variable": "flavour", "values": FLAVOURS}
    out = run_stages(config(dump, tmp_path, additional_labels=["flavour", flavour, {"name": "m", "variable": "mass"}]))
    jets = load(out / "test.h5")
    expected, _ = of_test(dump, jets)
    assert jets.additional_labels["target"].tolist() == [FLAVOURS.get(x, -1) for x in expected["flavour"].tolist()]
    assert jets.additional_labels["target"].dtype == np.int32
    np.testing.assert_array_equal(jets.additional_labels["flavour"], expected["flavour"])
    np.testing.assert_array_equal(jets.additional_labels["m"], np.nan_to_num(expected["mass"]))
    assert jets.targets is None


def test_targets_are_in_one_array_and_nan_where_missing(dump, tmp_path):
    labels = {
        "define": {"ratio": "mass / pt"},
        "additional_labels": ["mass", "ratio", "flavour"],
        "spectators": ["ratio"],
    }
    out = run_stages(config(dump, tmp_path, targets=["ratio", "flavour"], **labels))
    jets = load(out / "test.h5")
    expected, _ = of_test(dump, jets)
    wanted = np.stack([expected["mass"] / expected["pt"], expected["flavour"]], axis=1)
    np.testing.assert_array_equal(jets.targets, wanted.astype(np.float32))
    assert np.isnan(jets.targets[:, 0]).any()
    np.testing.assert_array_equal(jets.spectators["ratio"], jets.targets[:, 0])
    with h5py.File(out / "test.h5") as file:
        assert file["jets/targets"].attrs["targets"].tolist() == ["ratio", "flavour"]


@pytest.fixture(scope="module")
def of_constituents(dump, tmp_path_factory):
    raw = config(dump, tmp_path_factory.mktemp("constituents") / "run", additional_labels=["mass"], targets=["mass"])
    raw["constituents"] = {
        "hadrons": {
            "variables": ["dr"],
            "units": {"pt": 0.001},
            "define": {"charge": "pdg > 0"},
            "labels": [
                "pt",
                "fromB",
                "charge",
                {"name": "kind", "variable": "pdg", "values": {-511: 0, 511: 0, 421: 1}},
            ],
            "label_classes": {"kind": ["B", "D"]},
            "max": SLOTS,
        }
    }
    return run_stages(raw, ["structured", "tfrecords"])


def test_labels_of_constituents(dump, of_constituents):
    jets = load(of_constituents / "test.h5")
    _, expected = of_test(dump, jets)
    found, used = jets.constituents["hadrons"].labels, expected["valid"]
    wanted = {
        "pt": np.where(used, expected["pt"] * 0.001, np.nan).astype(np.float32),
        "fromB": np.where(used, expected["fromB"], -1),
        "charge": np.where(used, expected["pdg"] > 0, -1),
        "kind": np.where(used, expected["pdg"] == 421, -1),
    }
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert [str(found[name].dtype) for name in wanted] == ["float32", "int32", "int32", "int8"]


def test_labels_of_constituents_in_records(of_constituents):
    constituents = load(of_constituents / "test.h5").constituents["hadrons"]
    with h5py.File(of_constituents / "structured/test.h5") as file:
        records = file["hadrons"][()]
    for name, values in constituents.labels.items():
        np.testing.assert_array_equal(records[name][constituents.valid], values[constituents.valid])


@pytest.mark.readers
def test_labels_and_targets_as_tensors(of_constituents):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from jetmill.formats.torch import write

    jets = load(of_constituents / "test.h5")
    write(of_constituents / "hdf5/test/part_0000.h5", of_constituents / "test.pt")
    part = torch.load(of_constituents / "test.pt", weights_only=True)
    np.testing.assert_array_equal(part["targets"], jets.targets)
    for name, values in jets.constituents["hadrons"].labels.items():
        np.testing.assert_array_equal(part[f"hadrons_labels_{name}"], values)


@pytest.mark.readers
def test_float_labels_in_tensorflow(of_constituents):
    tensorflow = pytest.importorskip("jetmill.loading.tensorflow", reason="needs TensorFlow")
    wanted = load(of_constituents / "test.h5").constituents["hadrons"].labels
    batches = [*tensorflow.record_dataset(of_constituents / "tfrecords/test", batch_size=64, shuffle=False)]
    for name, values in wanted.items():
        found = np.concatenate([b[f"hadrons/labels/{name}"].numpy() for b in batches])
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("jets", "message"),
    [
        ({"targets": ["mas"], "additional_labels": ["mass"]}, "'mas' is not in jets.additional_labels. Did you mean"),
        ({"additional_labels": [{"variable": "mass"}]}, "name"),
        ({"additional_labels": ["mass", {"name": "mass", "variable": "pt"}]}, "names mass more than once"),
        ({"additional_labels": [{"name": "f", "variable": "flavour", "values": {5: "b"}}]}, "values.5"),
    ],
)
def test_wrong_labels(dump, tmp_path, jets, message):
    with pytest.raises(JetmillError, match=message):
        load_config(config(dump, tmp_path, **jets))


def test_names_of_the_values_of_a_float(dump, tmp_path):
    raw = config(dump, tmp_path)
    raw["constituents"] = {"hadrons": {"variables": ["dr"], "labels": ["pt"], "label_classes": {"pt": ["low", "high"]}}}
    with pytest.raises(JetmillError, match=r"constituents\.hadrons.label_classes\.pt names values of floats"):
        run_stages(raw)
