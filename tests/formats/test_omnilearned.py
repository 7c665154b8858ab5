"""OmniLearned's own loader on the files of a run, against the toy dumps read with h5py alone."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from format_runs import ORIGINS

from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.workflow.in_process import run_in_process

SLOTS = 10
KINEMATICS = ["deta", "dphi", "pt", "energy"]
CONFIG = {
    "samples": {"ttbar": {"toy": {"process": "ttbar", "files": 2, "jets": 700}}},
    "input": {"format": "hdf5", "event_id": ["eventNumber", "jetPtRank"]},
    "jets": {"variables": ["pt_btagJes", "eta_btagJes", "SV1_masssvx"]},
    "constituents": {
        "tracks": {
            "define": {"energy": "1.5 * pt"},
            "variables": [*KINEMATICS, "d0"],
            "max": SLOTS,
            "labels": ["ftagTruthOriginLabel"],
            "label_classes": {"ftagTruthOriginLabel": ORIGINS},
            "scaling": {"log": ["pt", "energy"]},
        }
    },
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
    "scaling": {"log": ["pt_btagJes"], "defaults": {"SV1_masssvx": -1}},
    "split": {"by": "jet", "val": 0.2, "test": 0.2},
    "write": {"formats": ["structured", "omnilearned"], "parts": {"train": 2}},
    "report": {"plots": False},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_in_process(CONFIG | {"output_dir": str(tmp_path_factory.mktemp("omnilearned"))})


def expected(results, output):
    """Return data, class, variables of jets and origins, from the dumps, in the order of the records."""
    files = [h5py.File(path) for path in sorted(results.glob("toy/ttbar_*.h5"))]
    jets, tracks = (np.concatenate([file[name][()] for file in files]) for name in ("jets", "tracks"))
    row_of = {(j["eventNumber"], j["jetPtRank"]): row for row, j in enumerate(jets)}
    with h5py.File(results / f"structured/{output}.h5") as file:
        order = [row_of[j["eventNumber"], j["jetPtRank"]] for j in file["jets"]]
    data, origins = np.zeros((len(order), SLOTS, 5)), np.full((len(order), SLOTS), -1)
    for place, row in enumerate(order):
        of_jet = tracks[row][tracks[row]["valid"]][:SLOTS]
        columns = [of_jet["deta"], of_jet["dphi"], np.log(of_jet["pt"]), np.log(1.5 * of_jet["pt"]), of_jet["d0"]]
        data[place, : len(of_jet)] = np.stack(columns, axis=1)
        origins[place, : len(of_jet)] = of_jet["ftagTruthOriginLabel"]
    jets = jets[order]
    mass = np.where(np.isnan(jets["SV1_masssvx"]), -1, jets["SV1_masssvx"])
    variables = np.stack([np.log(jets["pt_btagJes"]), jets["eta_btagJes"], mass], axis=1)
    return data, np.where(jets["HadronConeExclTruthLabelID"] == 5, 0, 1), variables, origins


@pytest.mark.parametrize("output", ["train", "val", "test"])
def test_contents(results, output):
    directory = results / "omnilearned" / output
    assert sorted(path.name for path in directory.iterdir()) == ["file_index.npy", f"{output}.h5"]
    data, classes, variables, origins = expected(results, output)
    with h5py.File(directory / f"{output}.h5") as file:
        np.testing.assert_allclose(file["data"], data, rtol=1e-5)
        np.testing.assert_array_equal(file["pid"], classes)
        np.testing.assert_allclose(file["global"], variables, rtol=1e-5)
        np.testing.assert_array_equal(file["data_pid"], origins)
        assert {name: d.dtype.str for name, d in file.items()} == {
            "data": "<f4",
            "pid": "<i8",
            "global": "<f4",
            "data_pid": "<i8",
        }
    index = np.load(directory / "file_index.npy")
    np.testing.assert_array_equal(index, [[0, row] for row in range(len(data))])


@pytest.mark.readers
def test_its_own_loader(results, monkeypatch):
    """Two ranks together get every jet once, with the fields that its networks take."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.syspath_prepend(str(Path(sys.prefix) / "salt"))
    loader = pytest.importorskip(
        "omnilearned.dataloader", reason="omnilearned is not installed (requirements-salt.txt)"
    )
    (results / "custom").symlink_to("omnilearned")
    options = {"batch": 64, "use_cond": True, "use_add": True, "num_add": 1, "mode": "ftag", "num_workers": 0}
    found = []
    for rank in range(2):
        batches = loader.load_data("custom", str(results), rank=rank, size=2, shuffle=False, **options)
        found += list(batches)
    data, classes, variables, origins = expected(results, "train")
    cat = {
        key: torch.cat([batch[key] for batch in found]).numpy() for key in ("X", "add_info", "y", "cond", "data_pid")
    }
    np.testing.assert_allclose(np.concatenate([cat["X"], cat["add_info"]], axis=2), data, rtol=1e-5)
    np.testing.assert_array_equal(cat["y"], classes)
    np.testing.assert_allclose(cat["cond"], variables, rtol=1e-5)
    np.testing.assert_array_equal(cat["data_pid"], origins)
    # Its networks know empty slots by this.
    np.testing.assert_array_equal(cat["X"][:, :, 2] != 0, origins >= 0)


def test_a_momentum_of_one_is_no_empty_slot(results):
    from jetmill.formats import omnilearned

    with h5py.File(results / "structured/train.h5") as file:
        records, values_of, _ = omnilearned.contents(file)["data"]
        ones = records[:5]
    ones["pt"] = 1
    values = values_of(ones)
    assert ((values[..., 2] != 0) == ones["valid"]).all()
    assert np.abs(values[..., 2]).max() < 1e-30


@pytest.mark.parametrize(
    ("constituents", "message"),
    [
        ({}, "write.formats: omnilearned takes one collection of constituents (found: none)"),
        (
            {"tracks": {"variables": ["d0"]}},
            "constituents.tracks.variables: omnilearned wants relative eta, relative phi, log pT, log energy first"
            " (found: d0)",
        ),
    ],
)
def test_mistakes(constituents, message):
    with pytest.raises(JetmillError) as error:
        load(CONFIG | {"constituents": constituents})
    assert message in str(error.value)
