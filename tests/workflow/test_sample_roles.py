"""Samples for training or testing alone, and test jets of each sample in a file of their own."""

import json

import numpy as np
import pytest
import workflow_runs as runs

import jetmill
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.verify import verify

pytestmark = pytest.mark.workflow


def with_splits(ntuples, **splits):
    return {
        name: {"files": of["files"], "splits": splits.get(name, [*runs.SPLITS])}
        for name, of in ntuples.config["samples"].items()
    }


@pytest.fixture(scope="module")
def plain(finished):
    """Numbers of the jets of each split without any roles."""
    return {split: runs.numbers(finished() / f"{split}.h5") for split in runs.SPLITS}


@pytest.fixture(scope="module")
def of_sample(ntuples):
    """From numbers to those of jets of a sample."""
    samples = [*ntuples.files]

    def chosen(numbers, sample):
        return set(numbers[ntuples.jets["sample"][numbers] == samples.index(sample)].tolist())

    return chosen


@pytest.fixture(scope="module")
def run(ntuples, tmp_path_factory):
    """A sample for testing alone, and none of the other's test jets; test jets in files of their own."""
    changes = {
        "samples": with_splits(ntuples, top=["test"]),
        "write": {"test_per_sample": True, "formats": ["hdf5", "structured"]},
    }
    config = runs.changed(ntuples.config, changes | {"report": {"plots": False}})
    return runs.succeeds(tmp_path_factory.mktemp("roles"), "--cores", "2", config=config)


def test_all_jets_of_a_sample_for_testing_are_in_its_test_file(run, plain, of_sample):
    results = run.results
    assert not (results / "test.h5").exists()
    train, val, top, jj = (runs.numbers(results / f"{name}.h5") for name in ("train", "val", "test_top", "test_jj"))
    assert set(top.tolist()) == set().union(*(of_sample(plain[split], "top") for split in runs.SPLITS))
    assert len(set(top.tolist())) == len(top)
    for found, split in ((train, "train"), (val, "val"), (jj, "test")):
        assert set(found.tolist()) == of_sample(plain[split], "jj")


def test_test_jets_are_scaled_by_the_training_jets_of_the_other_sample(run, ntuples):
    train, top = (jetmill.load(run.results / f"{name}.h5") for name in ("train", "test_top"))
    pt = ntuples.jets["pt"].astype(np.float64)
    fitted, rows = pt[runs.numbers(run.results / "train.h5")], runs.numbers(run.results / "test_top.h5")
    place = train.variables.index("pt")
    assert top.inputs[:, place] == pytest.approx((pt[rows] - fitted.mean()) / fitted.std(), rel=2e-6, abs=2e-6)


def test_the_manifest_and_other_formats_have_them(run):
    manifest = json.loads((run.results / "manifest.json").read_text())
    joined = {entry["path"]: entry["jets"] for entry in manifest["joined"]}
    names = ("train", "val", "test_top", "test_jj")
    assert set(joined) == {*(f"{name}.h5" for name in names), *(f"structured/{name}.h5" for name in names)}
    with runs.h5py.File(run.results / "structured/test_top.h5") as file:
        assert len(file["jets"]) == joined["test_top.h5"] == sum(json.loads(file.attrs["jet_counts"]).values())
    assert verify(run.results).warnings == []


def test_a_stream_of_the_test_jets_of_a_sample(run):
    jets = runs.datasets(run.results / "test_top.h5")["jets/spectators/number"]
    stream = jetmill.Stream(run.results, "test_top", batch_size=1000)
    assert stream.n_jets == len(jets)
    found = np.concatenate([batch["jets/spectators/number"] for batch in stream.epoch()])
    assert np.array_equal(np.sort(found), np.sort(jets))


def test_jets_of_a_split_that_a_sample_is_not_for_go_to_its_first(finished, ntuples, plain, of_sample):
    results = finished(samples=with_splits(ntuples, top=["train", "val"]))
    found = {split: runs.numbers(results / f"{split}.h5") for split in runs.SPLITS}
    assert of_sample(found["train"], "top") == of_sample(plain["train"], "top") | of_sample(plain["test"], "top")
    assert of_sample(found["val"], "top") == of_sample(plain["val"], "top")
    assert not of_sample(found["test"], "top")
    for split in runs.SPLITS:
        assert of_sample(found[split], "jj") == of_sample(plain[split], "jj")


def test_a_sample_for_testing_is_in_the_test_set_of_every_fold(finished, ntuples, of_sample):
    results = finished(samples=with_splits(ntuples, top=["test"]), split={"folds": 3})
    test = [runs.numbers(results / f"fold_{k}/test.h5") for k in range(3)]
    assert of_sample(test[0], "top") == of_sample(test[1], "top") == of_sample(ntuples.kept, "top")
    assert of_sample(np.concatenate(test), "jj") == of_sample(ntuples.kept, "jj")
    assert not of_sample(runs.numbers(results / "fold_0/train.h5"), "top")


def test_parts_are_batches_of_the_sample(finished, ntuples, plain, of_sample):
    write = {"shuffle": "batch", "parts": None, "test_per_sample": True}
    results = finished(write=write)
    assert len(list((results / "hdf5/test_jj").iterdir())) == 2
    assert set(runs.numbers(results / "test_jj.h5").tolist()) == of_sample(plain["test"], "jj")


@pytest.mark.parametrize("files_per_batch", [1, 5])
def test_at_most_so_many_test_jets(finished, ntuples, plain, of_sample, files_per_batch):
    """The same whatever the batches, a fair choice, each jet as it is without the limit."""
    write = {"max_jets_test": 600, "test_per_sample": True}
    results = finished(write=write, input={"files_per_batch": files_per_batch})
    for sample in ("top", "jj"):
        found, all_jets = (runs.datasets(path / f"test_{sample}.h5") for path in (results, finished(write=write)))
        assert {name: x.tobytes() for name, x in found.items()} == {name: x.tobytes() for name, x in all_jets.items()}
        numbers = runs.numbers(results / f"test_{sample}.h5")
        assert len(numbers) == len(set(numbers.tolist())) == 600
        assert set(numbers.tolist()) < of_sample(plain["test"], sample)
        whole = runs.datasets(finished() / "test.h5")
        place = {n: i for i, n in enumerate(plain["test"].tolist())}
        rows = [place[n] for n in numbers.tolist()]
        for name in ("jets/inputs", "jets/weight", "jets/labels"):
            assert np.array_equal(found[name], whole[name][rows])
        # Early jets of the files as often as late ones.
        share = (numbers < np.median(sorted(of_sample(plain["test"], sample)))).mean()
        assert share == pytest.approx(0.5, abs=0.1)
        assert jetmill.Stream(ntuples.config | {"output_dir": str(results)}, f"test_{sample}").n_jets == 600


def test_at_most_so_many_of_a_sample_and_class(finished, ntuples, plain):
    most = {"top": {"b": 50, "udsg": 10**9}, "jj": 300}
    whole = runs.datasets(finished() / "test.h5")
    samples, classes = list(ntuples.config["samples"]), list(ntuples.config["classes"])
    merged = runs.datasets(finished(write={"max_jets_test": most}) / "test.h5")
    for sample in ("top", "jj"):
        number = samples.index(sample)
        alone = runs.datasets(finished(write={"max_jets_test": most, "test_per_sample": True}) / f"test_{sample}.h5")
        available = whole["jets/labels"][whole["jets/sample"] == number]
        found = merged["jets/labels"][merged["jets/sample"] == number]
        assert sorted(alone["jets/labels"]) == sorted(found)
        for label, name in enumerate(classes):
            there, n = np.sum(available == label), np.sum(found == label)
            assert sample == "jj" or n == min(there, most["top"].get(name, there))
        assert sample == "top" or len(found) == 300
    # Those with the smallest selection keys, as with one limit.
    assert set(runs.numbers(finished(write={"max_jets_test": most}) / "test.h5").tolist()) < set(plain["test"].tolist())


@pytest.mark.parametrize(
    ("most", "message"),
    [
        ({"tops": 3}, "write.max_jets_test: 'tops' is not in samples. Did you mean 'top'?"),
        ({"top": {"udsc": 3}}, "write.max_jets_test.top: 'udsc' is not in classes. Did you mean 'udsg'?"),
        ({"top": 0}, "write.max_jets_test.top: must be at least 1"),
    ],
)
def test_limits_of_what_is_not_there(ntuples, most, message):
    with pytest.raises(JetmillError) as error:
        load(ntuples.config | {"write": {"max_jets_test": most}})
    assert str(error.value).startswith(message)


def test_fewer_test_jets_than_the_limit_are_all_there(finished, plain):
    results = finished(write={"max_jets_test": 1_000_000})
    assert np.array_equal(runs.numbers(results / "test.h5"), plain["test"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"samples": {"top": ["test"], "jj": ["val"]}}, "samples: splits: no sample has jets for training"),
        (
            {
                "samples": {"top": ["test"]},
                "balance": {
                    "resampling": {"method": "count", "components": [{"samples": ["top"]}, {"samples": ["jj"]}]}
                },
            },
            "balance.resampling.components.0: 'top' has no jets for training",
        ),
        ({"samples": {"top": ["test", "test"]}}, "splits names test more than once"),
        ({"samples": {"top": []}}, "samples.top.splits: must have at least 1 entry"),
        ({"samples": {"top": ["tests"]}}, "Did you mean 'test'?"),
    ],
)
def test_roles_that_cannot_be(ntuples, changes, expected):
    changes = changes | {"samples": with_splits(ntuples, **changes["samples"])}
    with pytest.raises(JetmillError) as error:
        load(runs.changed(ntuples.config, changes))
    assert expected in str(error.value)
