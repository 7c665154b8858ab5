"""Files with the names of UPP hold the records of `structured`, one test file for each sample."""

import json

import h5py
import numpy as np
import pytest

from jetmill.workflow.in_process import run_in_process

CONFIG = {
    "samples": {name: {"toy": {"process": name, "files": 1, "jets": 2000}} for name in ("ttbar", "zprime")},
    "input": {"format": "hdf5"},
    "jets": {"variables": ["pt_btagJes"]},
    "constituents": {"tracks": {"variables": ["d0"], "max": 4}},
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
    "balance": {"bins": {"pt_btagJes": [0, 1e7, 2]}, "resampling": {"method": "count", "validation": True}},
    "write": {"formats": ["structured", "upp"], "outputs": ["train", "test"], "parts": {"train": 2}},
    "report": {"plots": False},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_in_process(CONFIG | {"output_dir": str(tmp_path_factory.mktemp("upp"))})


def content(path):
    with h5py.File(path) as file:
        return {name: file[name][:] for name in file}, dict(file.attrs), dict(file["jets"].attrs)


@pytest.mark.parametrize(("output", "name"), [("train", "train"), ("val_resampled", "val")])
def test_a_whole_output(results, output, name):
    ours, attributes, of_jets = content(results / f"structured/{output}.h5")
    theirs, their_attributes, of_their_jets = content(results / f"upp/{output}/pp_output_{name}.h5")
    assert list(theirs) == list(ours) == ["jets", "tracks"]
    for dataset, records in ours.items():
        np.testing.assert_array_equal(theirs[dataset], records)
    assert set(attributes) - set(their_attributes) == {"parts", "note"}
    assert their_attributes["unique_jets"] == attributes["unique_jets"]
    assert of_their_jets["flavour_label"].tolist() == of_jets["flavour_label"].tolist() == ["b", "other"]


def test_a_test_file_for_each_sample(results):
    ours, _, _ = content(results / "structured/test.h5")
    for number, sample in enumerate(CONFIG["samples"]):
        theirs, attributes, _ = content(results / f"upp/test/pp_output_test_{sample}.h5")
        rows = [row for row, jet in enumerate(ours["jets"]) if jet["sample"] == number]
        assert rows
        for dataset, records in ours.items():
            np.testing.assert_array_equal(theirs[dataset], records[rows])
        assert attributes["unique_jets"] == len(rows)
        labels = [int(jet["flavour_label"]) for jet in theirs["jets"]]
        assert json.loads(attributes["jet_counts"]) == {"b": labels.count(0), "other": labels.count(1)}


def test_the_files_are_complete(results):
    files = sorted(str(path.relative_to(results / "upp")) for path in (results / "upp").rglob("*.h5"))
    assert files == [
        "test/pp_output_test_ttbar.h5",
        "test/pp_output_test_zprime.h5",
        "train/pp_output_train.h5",
        "val_resampled/pp_output_val.h5",
    ]
    with h5py.File(results / "upp/train/pp_output_train.h5") as file:
        assert not file["jets"].is_virtual
