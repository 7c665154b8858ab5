"""A finished run applied to new files: as if these had been a sample for testing from the start."""

import h5py
import numpy as np
import pytest
import workflow_runs as runs

from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.workflow.in_process import run_in_process

pytestmark = pytest.mark.workflow

BALANCE = {
    "bins": {"pt_btagJes": [20e3, 6e6, 4]},
    "weights": ["average", {"reference": "b"}],
    "resampling": {"method": "pdf", "target": "b", "max_upsampling": 2},
}
NEW = {"toy": {"process": "zprime", "files": 2, "jets": 500}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results of a run that has the new files as a sample for testing."""
    out = tmp_path_factory.mktemp("trained") / "results"
    samples = runs.ATLAS["samples"] | {"new": NEW | {"splits": ["test"]}}
    raw = runs.ATLAS | {"output_dir": str(out), "samples": samples, "balance": BALANCE, "report": {"plots": False}}
    return run_in_process(raw | {"write": {"formats": ["hdf5", "structured"]}})


@pytest.fixture(scope="module")
def applied(trained, tmp_path_factory):
    directory = tmp_path_factory.mktemp("applied")
    config = {"apply": str(trained), "samples": {"new": NEW}, "write": {"formats": ["hdf5", "structured"]}}
    return runs.succeeds(directory, "--cores", "2", config=config)


def test_arrays_are_those_of_the_run_that_had_the_files(trained, applied):
    expected, found = runs.datasets(trained / "test.h5"), runs.datasets(applied.results / "test.h5")
    new = expected["jets/sample"] == 2
    assert new.sum() == len(found["jets/sample"]) > 500
    assert found.keys() == expected.keys()
    for name in expected.keys() - {"jets/sample"}:
        np.testing.assert_array_equal(found[name], expected[name][new], err_msg=name)


def test_records_too(trained, applied):
    with h5py.File(trained / "structured/test.h5") as a, h5py.File(applied.results / "structured/test.h5") as b:
        expected, found = a["jets"][()], b["jets"][()]
    expected = expected[expected["sample"] == 2]
    for name in set(found.dtype.names) - {"sample"}:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_nothing_is_fitted(applied):
    assert not {"fit_scalers", "export", "plot_jets"} & applied.jobs.keys()
    assert {name: applied.jobs[name] for name in ("clean", "balance", "merge_scalers")} == {
        "clean": 2,
        "balance": 1,
        "merge_scalers": 1,
    }
    assert not (applied.results / "train.h5").exists()
    page = (applied.results / "report/index.html").read_text()
    assert "Cutflow" in page
    assert "How to load the jets" in page
    again = runs.succeeds(applied.directory, "-n", "--configfile", str(applied.directory / "config.yaml"))
    assert "Nothing to be done" in again.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jets": {"variables": ["eta_btagJes"]}}, "jets.variables: differs from that of {old}; leave it out"),
        ({"scaling": {"method": "robust"}}, "scaling.method: differs from that of {old}"),
        ({"classes": {"other": "rest"}}, "classes: must be b, other, in this order, as in {old}"),
        ({"constituents": {}}, "constituents.tracks: is in {old} and missing here"),
        ({"balance": BALANCE}, "balance.resampling: jets that a finished run is applied to are not resampled"),
        ({"apply": "nowhere"}, "apply: nowhere: there is no finished run, as there is no manifest.json"),
    ],
)
def test_what_does_not_fit_the_finished_run(trained, changes, message):
    with pytest.raises(JetmillError) as error:
        load({"apply": str(trained), "samples": {"new": NEW}} | changes)
    assert message.format(old=trained) in str(error.value)


def test_further_variables_for_cuts_are_free(trained):
    jets = runs.ATLAS["jets"] | {"define": {"x": "eta_btagJes + 1"}, "select": ["x > 0"], "spectators": ["x"]}
    config = load({"apply": str(trained), "samples": {"new": NEW}, "jets": jets})
    assert [cut.cut for cut in config.jets.select] == ["x > 0"]
    assert config.constituents["tracks"].max == runs.ATLAS["constituents"]["tracks"]["max"]
