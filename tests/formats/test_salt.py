"""salt trains on `salt/GN2.yaml` as it is: the real program, and the numbers that reach its network."""

import numpy as np
import pytest
import workflow_runs as runs
import yaml
from format_runs import CLASSES, MAX, ONE, ORIGINS, finished
from salt_program import one_step

from jetmill.workflow.in_process import run_in_process

pytestmark = [pytest.mark.workflow, pytest.mark.readers]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished("one", tmp_path_factory)


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    return one_step(run.results, len(run.records("train")[0]), tmp_path_factory.mktemp("salt"))


def test_names_come_from_the_run(run):
    config = yaml.safe_load((run.results / "salt/GN2.yaml").read_text())
    assert config["data"]["variables"] == {
        "jets": run.config["jets"]["variables"],
        "tracks": run.config["constituents"]["tracks"]["variables"],
    }
    assert config["data"]["val_file"] == f"{run.results}/structured/val_resampled.h5"
    jets, origin, vertex = (
        task["init_args"] for task in config["model"]["model"]["init_args"]["tasks"]["init_args"]["modules"]
    )
    assert (jets["class_names"], jets["sample_weight"]) == (CLASSES, "weight")
    # The weights balance the classes already.
    assert "use_class_dict" not in jets
    assert (origin["label"], origin["class_names"]) == ("ftagTruthOriginLabel", ORIGINS)
    assert origin["use_class_dict"]
    assert vertex["label"] == "ftagTruthVertexIndex"


def test_without_weights_salt_balances_the_classes_itself(tmp_path):
    config = runs.changed(
        ONE, {"balance": {"weights": [], "resampling": None}, "output_dir": str(tmp_path / "results")}
    )
    results = run_in_process(
        runs.changed(config, {"constituents": None, "write": {"formats": ["structured"], "concat_jet_tracks": None}})
    )
    assert not (results / "salt/GN2.yaml").exists()
    model = yaml.safe_load((results / "salt/DL1.yaml").read_text())["model"]["model"]["init_args"]
    (task,) = (task["init_args"] for task in model["tasks"]["init_args"]["modules"])
    assert task["use_class_dict"]
    assert "sample_weight" not in task
    assert [net["input_name"] for net in model["init_nets"]] == ["jets"]


def test_normalised_inputs(run, trained):
    jets, tracks = run.records("train")
    norm = yaml.safe_load((run.results / "norm_dict.yaml").read_text())

    def expected(records, of):
        return np.stack([(records[v] - n["mean"]) / n["std"] for v, n in norm[of].items()], axis=-1)

    np.testing.assert_allclose(trained["normalised_jets"], expected(jets, "jets"), rtol=1e-4, atol=1e-4)
    assert trained["normalised_tracks"].shape == (len(jets), MAX, len(norm["tracks"]))
    valid = tracks["valid"]
    np.testing.assert_allclose(
        trained["normalised_tracks"][valid], expected(tracks, "tracks")[valid], rtol=1e-4, atol=1e-4
    )


def test_the_loss_is_weighted_by_jet(run, trained):
    jets, _ = run.records("train")
    logits = trained["jets_classification_predicted"].astype(np.float64)
    of_class = np.take_along_axis(logits, jets["flavour_label"][:, None].astype(int), axis=1)[:, 0]
    entropy = np.log(np.exp(logits).sum(axis=1)) - of_class
    assert np.ptp(jets["weight"]) > 0.1
    assert trained["jets_classification_loss"] == pytest.approx((jets["weight"] * entropy).mean(), rel=1e-4)
