"""Files with the names of UPP are complete and hold the records of `structured`."""

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
    "write": {
        "formats": ["structured", "upp"],
        "outputs": ["train", "test"],
        "test_per_sample": True,
        "parts": {"train": 2},
    },
    "report": {"plots": False},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run_in_process(CONFIG | {"output_dir": str(tmp_path_factory.mktemp("upp"))})


def content(path):
    with h5py.File(path) as file:
        return {name: file[name][:] for name in file}, dict(file.attrs), dict(file["jets"].attrs)


@pytest.mark.parametrize(
    ("output", "name"),
    [("train", "train"), ("val_resampled", "val"), ("test_ttbar", "test_ttbar"), ("test_zprime", "test_zprime")],
)
def test_records_and_attributes_are_those_of_structured(results, output, name):
    ours, attributes, of_jets = content(results / f"structured/{output}.h5")
    theirs, their_attributes, of_their_jets = content(results / f"upp/{output}/pp_output_{name}.h5")
    assert list(theirs) == list(ours) == ["jets", "tracks"]
    for dataset, records in ours.items():
        assert len(records)
        np.testing.assert_array_equal(theirs[dataset], records)
    assert set(attributes) - set(their_attributes) == {"parts", "note"}
    for attribute in ("unique_jets", "jet_counts", "dsids", "config"):
        assert their_attributes[attribute] == attributes[attribute]
    assert of_their_jets["flavour_label"].tolist() == of_jets["flavour_label"].tolist() == ["b", "other"]


def test_the_files_are_complete(results):
    files = sorted(str(path.relative_to(results / "upp")) for path in (results / "upp").rglob("*.h5"))
    assert files == [
        "test_ttbar/pp_output_test_ttbar.h5",
        "test_zprime/pp_output_test_zprime.h5",
        "train/pp_output_train.h5",
        "val_resampled/pp_output_val.h5",
    ]
    with h5py.File(results / "upp/train/pp_output_train.h5") as file:
        assert not file["jets"].is_virtual
