"""Folds: as many results as there are folds, from columns that are cleaned once."""

import json
import re

import h5py
import numpy as np
import pytest
import workflow_runs as runs
from sklearn.preprocessing import StandardScaler

import jetmill
from jetmill.cli.main import main
from jetmill.config.load import adapter
from jetmill.errors import JetmillError
from jetmill.systematics.variation import VARIATIONS, Variation
from jetmill.workflow.in_process import run_in_process

pytestmark = pytest.mark.workflow

N = 4
FOLDS = [f"fold_{k}" for k in range(N)]
VARIABLES = runs.CONFIG["jets"]["variables"]
EDGES = [np.linspace(-2.5, 2.5, 4), np.array([20.0, 40.0, 60.0, 1000.0])]


@pytest.fixture(scope="module")
def run(ntuples, tmp_path_factory):
    config = runs.changed(ntuples.config, {"split": {"folds": N}, "report": {"plots": False}})
    return runs.succeeds(tmp_path_factory.mktemp("folds"), "--cores", "2", config=config)


@pytest.fixture(scope="module")
def numbers(run):
    """Numbers of the jets by fold and output."""
    return {f: {s: runs.numbers(run.results / f / f"{s}.h5") for s in runs.SPLITS} for f in FOLDS}


def test_the_input_is_read_once(run):
    jobs = run.jobs
    assert {name: jobs[name] for name in ("clean", "list_batches")} == {"clean": 4, "list_batches": 1}
    assert {name: jobs[name] for name in ("bin_jets", "balance", "join", "write_manifest")} == dict.fromkeys(
        ("bin_jets", "balance", "join", "write_manifest"), N
    )
    again = runs.succeeds(run.directory, "-n", "--configfile", str(run.directory / "config.yaml"))
    assert "Nothing to be done" in again.output
    assert f"other folds beside it, up to results/fold_{N - 1}/" in run.output


def test_every_jet_is_in_one_test_set(numbers, ntuples):
    test = np.concatenate([numbers[fold]["test"] for fold in FOLDS])
    assert np.array_equal(np.sort(test), ntuples.kept)
    assert all(0.2 < len(numbers[fold]["test"]) / len(test) < 0.3 for fold in FOLDS)


def test_the_next_fold_is_for_validation_and_the_others_for_training(numbers):
    for k, fold in enumerate(FOLDS):
        test = {n: set(numbers[FOLDS[(k + n) % N]]["test"].tolist()) for n in range(N)}
        assert set(numbers[fold]["val"].tolist()) == test[1]
        assert set(numbers[fold]["train"].tolist()) == test[2] | test[3]
        assert len(numbers[fold]["train"]) == len(test[2]) + len(test[3])


def test_jets_of_an_event_are_in_one_fold(numbers, ntuples):
    names = ("run", "luminosityBlock", "event")
    events = [
        set(zip(*(ntuples.jets[name][numbers[fold]["test"]].tolist() for name in names), strict=True)) for fold in FOLDS
    ]
    assert sum(map(len, events)) == len(set().union(*events)) < 0.7 * len(ntuples.kept)


@pytest.mark.parametrize("fold", FOLDS)
def test_scalers_and_weights_are_those_of_the_training_jets_of_the_fold(run, numbers, ntuples, fold):
    jets, train = ntuples.jets, numbers[fold]["train"]
    labels = runs.labels(jets)
    place = (
        labels,
        *(np.digitize(jets[name].astype(float), e) - 1 for name, e in zip(("eta", "pt"), EDGES, strict=True)),
    )
    counts = np.zeros((4, 3, 3), dtype=int)
    np.add.at(counts, tuple(x[train] for x in place), 1)
    weights = runs.balanced_weights(counts, (counts / counts.sum(axis=(1, 2), keepdims=True)).mean(axis=0))
    for split in runs.SPLITS:
        rows, found = numbers[fold][split], runs.datasets(run.results / fold / f"{split}.h5")
        assert np.array_equal(found["jets/labels"], labels[rows])
        assert np.array_equal(found["jets/event/event"], jets["event"][rows])
        assert found["jets/weight"] == pytest.approx(weights[tuple(x[rows] for x in place)], rel=1e-6)
        for i, name in enumerate(VARIABLES):
            x, missing = jets[name].astype(np.float64), runs.is_missing(jets, name)
            fitted = x[train][~missing[train]]
            filled = np.where(missing[rows], fitted.min() - 0.001, x[rows])
            expected = StandardScaler().fit(fitted[:, None]).transform(filled[:, None])[:, 0]
            assert found["jets/inputs"][:, i] == pytest.approx(expected, rel=2e-6, abs=2e-6), name


@pytest.mark.parametrize("files_per_batch", [1, 5])
def test_files_per_batch_and_cores_do_not_change_the_data(run, finished, files_per_batch):
    """Here, all stages one after the other."""
    other = finished(split={"folds": N}, input={"files_per_batch": files_per_batch})
    for path in [f"{fold}/{split}.h5" for fold in FOLDS for split in runs.SPLITS]:
        expected, found = runs.datasets(run.results / path), runs.datasets(other / path)
        assert {name: x.tobytes() for name, x in found.items()} == {name: x.tobytes() for name, x in expected.items()}


def test_folds_by_an_expression(finished, ntuples):
    """Exact beyond 2**53, where doubles cannot tell neighbours apart."""
    results, kept = finished(split={"folds": 3, "fold_by": "event // 2"}), ntuples.kept
    fold = np.array([event // 2 % 3 for event in ntuples.jets["event"][kept].tolist()])
    for k in range(3):
        assert np.array_equal(np.sort(runs.numbers(results / f"fold_{k}/test.h5")), kept[fold == k])


@pytest.mark.parametrize(
    ("fold_by", "wanted"),
    [("pt", "split.fold_by: (pt) % 3 is no integer"), ("DeepCSV_jetNSelectedTracks // 0", "is missing for")],
)
def test_what_is_no_fold(ntuples, tmp_path, fold_by, wanted):
    config = runs.changed(ntuples.config, {"split": {"folds": 3, "fold_by": fold_by}})
    with pytest.raises(JetmillError, match=re.escape(wanted)):
        run_in_process(config | {"output_dir": str(tmp_path / "results")}, last="clean")


def test_resampled_validation_jets_are_those_of_the_next_fold(finished):
    balance = {"resampling": {"method": "count", "validation": True}}
    results = finished(split={"folds": 3}, balance=balance)
    for k in range(3):
        val, following = (
            runs.numbers(results / f"fold_{n % 3}" / name) for n, name in [(k, "val_resampled.h5"), (k + 1, "test.h5")]
        )
        assert 0 < len(val) < len(following)
        assert set(val.tolist()) < set(following.tolist())


def test_variations_of_a_fold(tmp_path, monkeypatch):
    """The jets of the nominal test set, with the scalers of the fold."""
    double = Variation(lambda given: ({"pt": 2 * given.values["pt"]}, None), ("pt",), (), {})
    monkeypatch.setitem(VARIATIONS, "double", double)
    config = {
        "output_dir": str(tmp_path / "results"),
        "samples": {"zprime": {"toy": {"process": "zprime", "files": 1, "jets": 2000}}},
        "input": {"format": "hdf5"},
        "jets": {"variables": ["mass"]},
        "constituents": {"tracks": {"variables": ["pt"], "max": 5}},
        "classes": {"all": "rest"},
        "split": {"folds": 3},
        "balance": {"bins": {"pt_btagJes": [0, 10_000_000, 2]}},
        "systematics": {"collection": "tracks", "roles": {"pt": "pt"}, "variations": ["double"]},
    }
    adapter.cache_clear()
    results = run_in_process(config)
    adapter.cache_clear()
    for k in range(3):
        nominal, varied = results / f"fold_{k}/test.h5", results / f"fold_{k}/variations/double/test.h5"
        one, other = runs.datasets(nominal), runs.datasets(varied)
        assert np.array_equal(one["jets/inputs"], other["jets/inputs"])
        with h5py.File(nominal) as file:
            shift, scale = (file["tracks/inputs"].attrs[key] for key in ("shift", "scale"))
        once, twice = (x["tracks/inputs"][one["tracks/valid"]] * scale + shift for x in (one, other))
        assert twice == pytest.approx(2 * once, rel=1e-4)


def test_a_fold_is_loaded_and_streamed_as_a_run_is(run, numbers):
    results = run.results / "fold_1"
    train = jetmill.load(results / "train.h5")
    assert np.array_equal(train.spectators["number"], numbers["fold_1"]["train"])
    streamed = [batch["jets/inputs"] for batch in jetmill.Stream(results, batch_size=500).epoch()]
    assert sorted(map(tuple, np.concatenate(streamed).tolist())) == sorted(map(tuple, train.inputs.tolist()))
    with pytest.raises(JetmillError, match=r"holds folds; give one of them, as .*fold_0"):
        jetmill.Stream(json.loads((results / "manifest.json").read_text())["config"] | {"output_dir": str(run.results)})


def test_all_folds_are_verified(run, capsys):
    assert main(["verify", str(run.results), "--inputs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [str(run.results / fold) for fold in FOLDS]
    path = run.results / "fold_2/hdf5/val/part_0000.h5"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1])
        assert main(["verify", str(run.results), "--quick"]) == 1
    finally:
        path.write_bytes(content)
    assert f"{path}: size is" in capsys.readouterr().out


def test_other_samples_are_not_replaced(run, ntuples):
    config = runs.changed(ntuples.config, {"split": {"folds": N}, "samples": {"top": ntuples.config["samples"]["jj"]}})
    refused = runs.snakemake(run.directory, "-n", config=config)
    assert refused.code == 1
    assert (
        "holds results of other samples: jj" in refused.output
        or "holds results of other samples: top" in refused.output
    )
