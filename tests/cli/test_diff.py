"""``jetmill diff``: what changed between two runs."""

import json

import numpy as np
import pytest

import jetmill
from jetmill.cli.main import main
from jetmill.workflow.in_process import run_in_process

RAW = {
    "samples": {"tt": {"toy": {"process": "ttbar", "files": 1, "jets": 1000}}},
    "input": {"format": "hdf5"},
    "jets": {"variables": ["pt_btagJes", "absEta_btagJes"], "select": ["absEta_btagJes < 2.5"]},
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
}


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    base = tmp_path_factory.mktemp("diff")
    tighter = {"variables": ["pt_btagJes", "eta_btagJes"], "select": ["absEta_btagJes < 2"]}
    return [
        run_in_process(RAW | {"output_dir": str(base / name), "jets": jets, "seed": 3})
        for name, jets in (("old", RAW["jets"]), ("again", RAW["jets"]), ("new", tighter))
    ]


def test_equal_runs(two_runs, capsys):
    old, again, _ = two_runs
    # The parts hold no paths, so that only joined files could tell where they lie.
    assert main(["diff", str(old), str(old)]) == 0
    assert capsys.readouterr().out == "Nothing differs.\n"
    main(["diff", str(old), str(again), "--json"])
    assert set(json.loads(capsys.readouterr().out)) <= {"input", "files"}  # toys, and joined files with their names


def test_a_cut_and_a_variable(two_runs, capsys):
    old, _, new = two_runs
    assert main(["diff", str(old), str(new), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["configuration"] == {
        "jets.variables": [["pt_btagJes", "absEta_btagJes"], ["pt_btagJes", "eta_btagJes"]],
        "jets.select": [
            [step | {"cut": f"absEta_btagJes < {x}"} for step in found["configuration"]["jets.select"][0]]
            for x in ("2.5", "2")
        ],
    }
    trains = [jetmill.load(results / "train.h5") for results in (old, new)]
    for c, name in enumerate(("b", "other")):
        n = [int((train.labels == c).sum()) for train in trains]
        assert found["jets"][f"training after resampling.{name}"] == n
    mean = [train.variable("pt_btagJes").astype(np.float64).mean() for train in trains]
    assert found["scalers"]["jets.pt_btagJes.mean"] == pytest.approx(mean, rel=1e-5)
    assert found["scalers"]["jets.absEta_btagJes.log"] == [False, "not there"]

    assert main(["diff", str(old), str(new)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "  jets.variables: - absEta_btagJes, + eta_btagJes" in lines
    n = found["jets"]["unique training jets"]
    assert f"  unique training jets: {n[0]} -> {n[1]} ({(n[1] - n[0]) / n[0]:+.2%})" in lines


def test_no_finished_run(tmp_path, two_runs, capsys):
    assert main(["diff", str(two_runs[0]), str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: has no manifest.json; it is not the directory of a finished run\n"
