"""``balance`` and its bins left out; limits of weights and flat targets in a whole run."""

import json

import h5py
import numpy as np
import pytest
from stage_runs import run_once

import jetmill
from jetmill.verify import verify
from jetmill.workflow.in_process import run_in_process

RAW = {
    "samples": {"tt": {"toy": {"process": "ttbar", "files": 2, "jets": 1500}}},
    "input": {"format": "hdf5"},
    "jets": {"variables": ["pt_btagJes"], "select": ["absEta_btagJes < 2.5"]},
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
    "write": {"formats": ["hdf5", "structured", "parquet", "tfrecords"]},
}
WIDE = {"bins": {"pt_btagJes": {"edges": [0, 3e4, 1e5, 1e7]}}}


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    return run_once(tmp_path_factory, "without_balance", RAW)


def test_without_balance_every_jet_is_written_once_with_weight_one(plain):
    config, results = plain
    train = jetmill.load(results / "train.h5")
    manifest = json.loads((results / "manifest.json").read_text())
    assert len(train) == sum(manifest["jets"]["cleaned"]["train"].values()) > 500
    assert list(train.weights) == ["weight"]
    assert (train.weight == 1).all()
    assert (train.bins.shape, train.bin_variables) == ((len(train), 0), ())
    with h5py.File(results / "train.h5") as file:
        assert "bins" not in file["jets"]
    assert verify(results).problems == []
    stream = jetmill.Stream(config, "train", batch_size=100)
    assert sum(len(batch["jets/labels"]) for batch in stream.epoch()) == len(train)


def test_without_bins_the_totals_of_classes_are_balanced(tmp_path):
    by = {"weights": ["average", "flat", "flat_per_unit"], "resampling": {"method": "count"}}
    results = run_in_process(RAW | {"output_dir": str(tmp_path), "balance": by}, last="write")
    train = jetmill.load(results / "train.h5")
    n = np.bincount(train.labels)
    assert n[0] == n[1] > 50
    results = run_in_process(
        RAW | {"output_dir": str(tmp_path / "2"), "balance": {"weights": ["average"]}}, last="write"
    )
    train = jetmill.load(results / "train.h5")
    totals = np.bincount(train.labels, weights=train.weight)
    np.testing.assert_allclose(totals, len(train) / 2, rtol=1e-5)


def test_flat_per_unit_and_the_limit_in_a_run(tmp_path):
    balance = WIDE | {"weights": ["flat_per_unit", "flat"], "max_weight": 1.5}
    results = run_in_process(RAW | {"output_dir": str(tmp_path), "balance": balance})
    train = jetmill.load(results / "train.h5")
    above, edges = {}, np.array([0, 3e4, 1e5, 1e7])
    for name, target in (("weight", np.diff(edges)), ("weight_flat", np.ones(3))):
        n = np.array([np.bincount(train.bins[train.labels == c, 0], minlength=3) for c in (0, 1)])
        filled = n > 0
        reached = np.where(filled, target, 0).sum(axis=1, keepdims=True)
        expected = np.divide(target / reached * n.sum() / 2, n, out=np.zeros(n.shape), where=filled)
        above[name] = np.where(expected > 1.5, n, 0).sum(axis=1).tolist()
        expected = np.minimum(expected, 1.5)[train.labels.astype(int), train.bins[:, 0]]
        np.testing.assert_allclose(train.weights[name], expected, rtol=1e-5)
    reported = json.loads((results / "manifest.json").read_text())["jets"]["above max_weight"]
    assert reported == {
        f"weights {name}": dict(zip(("b", "other"), above[of], strict=True))
        for name, of in (("flat_per_unit", "weight"), ("flat", "weight_flat"))
    }


def test_resampling_flat_per_unit(tmp_path):
    resampling = {"method": "importance", "target": "flat_per_unit"}
    bins = {"pt_btagJes": {"edges": [0, 2e4, 4e4, 1e5]}}
    balance = {"bins": bins, "outside": "drop", "resampling": resampling}
    results = run_in_process(RAW | {"output_dir": str(tmp_path), "balance": balance}, last="write")
    train = jetmill.load(results / "train.h5")
    for c in (0, 1):
        n = np.bincount(train.bins[train.labels == c, 0], minlength=3)
        np.testing.assert_allclose(n / n.sum(), [0.2, 0.2, 0.6], atol=2 / n.sum())
