"""The scripts in examples/ run, and their numbers are right."""

import json
import subprocess
import sys
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import workflow_runs as runs
import yaml
from stream_runs import make

SCRIPT = Path(__file__).resolve().parents[1] / "examples/train_tagger.py"
NEEDS = {"lightning": "lightning", "tensorflow": "tensorflow", "records": "tensorflow"}
PROCESSES = {"tt": "ttbar", "qcd": "qcd"}
READERS = ["load", "files", "stream", "lightning", "tensorflow", "records", "tensors"]

pytestmark = [pytest.mark.readers, pytest.mark.skipif(util.find_spec("torch") is None, reason="PyTorch is missing")]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the results of the default run, with fewer jets and with all that is read."""
    raw = runs.changed(
        yaml.safe_load((SCRIPT.parents[1] / "config/config.yaml").read_text()),
        {
            "strict": False,
            "samples": {
                name: {"toy": {"process": process, "files": 1, "jets": 4000}} for name, process in PROCESSES.items()
            },
            "write": {"formats": ["hdf5", "tfrecords", "torch"]},
        },
    )
    return make(tmp_path_factory.mktemp("tagger"), raw).results


@pytest.fixture(scope="module")
def script():
    """Return the script as a module."""
    spec = util.spec_from_file_location("train_tagger", SCRIPT)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_learns_and_compares(results, tmp_path):
    command = [sys.executable, SCRIPT, results, "--epochs", "2", "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in done.stdout.splitlines() if "loss" in line]
    assert losses[0] > losses[1]
    found = json.loads((tmp_path / "rejections.json").read_text())
    assert {kind: set(taggers) for kind, taggers in found.items()} == {
        "without weights": {"Deep Sets", "reference"},
        "with weights": {"Deep Sets", "reference"},
    }
    assert found["with weights"]["Deep Sets"]["udsg"][0] > 2
    assert (tmp_path / "roc.png").stat().st_size > 10_000


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_gives_the_jets_of_the_file(reader, results, script):
    import jetmill

    if reader in NEEDS:
        pytest.importorskip(NEEDS[reader])
    train = jetmill.load(results / "train.h5")
    expected = np.c_[train.inputs, train.labels, train.weight]
    batches = [np.column_stack([x.numpy() for x in batch]) for batch in script.READERS[reader](results, 300)(0)]
    sizes = sorted(map(len, batches), reverse=True)
    assert sizes == [300] * (len(train) // 300) + [len(train) % 300] * (len(train) % 300 > 0)
    found = np.concatenate(batches)
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


def test_rejection(script):
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 2, (2000, 500))
    passed = rng.random((2000, 500)) < 0.2
    found = np.array([script.rejection(p, w) for p, w in zip(passed, weight, strict=True)])
    assert found[:, 0].mean() == pytest.approx(5, rel=0.02)
    # The error is the spread of many experiments.
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.1)
    assert script.rejection(np.zeros(3, bool), np.ones(3)) == (np.inf, np.inf)


def test_cut(script):
    score, weight = np.array([0.1, 0.9, 0.5, 0.7]), np.array([1.0, 1, 1, 3])
    # Above it are the jets with 0.9 and 0.7, four sixths of the weight; at it, five sixths.
    assert script.cut_at(score, weight, 0.7) == 0.5
