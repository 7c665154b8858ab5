"""The same data from the same configuration, however it is run."""

import numpy as np
import pytest
import workflow_runs as runs

pytestmark = pytest.mark.workflow

# Splits that depend on the event alone, so not on which files a job reads together.
BY_EVENT = {"by": "event", "test": 0.2, "val": 0.1}
BY_MODULO = {"by": "modulo", "modulo": 10, "test": [0, 5], "val": [7]}
ALL_DATASETS = {
    *(f"jets/{name}" for name in ("inputs", "labels", "labels_one_hot", "weight", "weight_flat", "bins")),
    *(f"jets/{name}" for name in ("is_default", "sample", "event/run", "event/luminosityBlock", "event/event")),
    *("jets/spectators/number", "jets/spectators/btagDeepL"),
}


@pytest.fixture(scope="module")
def on_one_core(ntuples, tmp_path_factory):
    return runs.succeeds(tmp_path_factory.mktemp("one"), "--cores", "1", *runs.FINISHED, config=ntuples.config)


@pytest.mark.parametrize(
    ("pattern", "n_files"), [("hdf5/*/*.h5", 4), ("balance.h5", 1), ("scalers.json", 1), ("[tv]*.h5", 3)]
)
def test_one_core_and_two_write_the_same_bytes(on_one_core, finished_run, pattern, n_files):
    one, two = on_one_core.results, finished_run.results
    paths = [path.relative_to(two) for path in two.glob(pattern)]
    assert len(paths) == n_files
    for path in paths:
        assert runs.sha256(one / path) == runs.sha256(two / path), path


@pytest.mark.parametrize("name", runs.SPLITS)
def test_the_workflow_writes_what_its_stages_write_one_by_one(finished_run, finished, name):
    """Which is why other tests may do without Snakemake."""
    assert_same(finished_run.results / f"{name}.h5", finished() / f"{name}.h5")


def assert_same(one, other):
    expected, found = runs.datasets(one), runs.datasets(other)
    assert set(found) == set(expected) >= ALL_DATASETS
    for key, values in expected.items():
        assert found[key].dtype == values.dtype
        assert found[key].tobytes() == values.tobytes(), key


@pytest.mark.parametrize("files_per_batch", [1, 5])
@pytest.mark.parametrize("split", [BY_EVENT, BY_MODULO], ids=["event", "modulo"])
@pytest.mark.parametrize("name", runs.SPLITS)
def test_files_per_batch_do_not_change_the_data(finished, split, files_per_batch, name):
    # The count of batches is another: 4, or 6 and 2.
    two, other = finished(split=split), finished(split=split, input={"files_per_batch": files_per_batch})
    assert len(list((two / "clean").rglob("*.h5"))) != len(list((other / "clean").rglob("*.h5")))
    assert_same(two / f"{name}.h5", other / f"{name}.h5")


# The low bins of jj and the high ones of both, jets taken up to twice; and the minimum of all classes.
HALVES = [{"samples": ["jj"], "bins": {"pt": [20, 60]}}, {"samples": ["top", "jj"], "bins": {"pt": [60, 1000]}}]
RESAMPLING = {
    "pdf": {"method": "pdf", "target": "average", "max_upsampling": 2, "components": HALVES, "validation": True},
    "count": {"method": "count"},
}


@pytest.mark.parametrize("files_per_batch", [1, 5])
@pytest.mark.parametrize("method", RESAMPLING)
def test_files_per_batch_do_not_change_what_is_resampled(finished, method, files_per_batch):
    balance = {"resampling": RESAMPLING[method]}
    two, other = finished(balance=balance), finished(balance=balance, input={"files_per_batch": files_per_batch})
    outputs = (*runs.SPLITS, "val_resampled") if method == "pdf" else runs.SPLITS
    assert runs.sha256(two / "balance.h5") == runs.sha256(other / "balance.h5")
    for output in outputs:
        assert_same(two / f"{output}.h5", other / f"{output}.h5")


def test_jets_are_repeated_or_left_out(finished):
    """Or else the test above would say little."""
    results = finished(balance={"resampling": RESAMPLING["pdf"]})
    for output, split in (("train", "train"), ("val_resampled", "val")):
        plain = runs.numbers(finished() / f"{split}.h5")
        times = np.bincount(runs.numbers(results / f"{output}.h5"), minlength=plain.max() + 1)
        assert not np.delete(times, plain).any()
        assert {0, 1, 2} <= set(times[plain])


# With split by jet (train_test_split on each batch), which jets are drawn depends on what is in a
# batch. It is not promised that files_per_batch leaves the data alone there, and nothing is asserted.


def test_another_seed_is_another_order_of_the_same_jets(finished):
    one, two = finished(split=BY_MODULO), finished(split=BY_MODULO, seed=2)
    for split in runs.SPLITS:
        before, after = runs.numbers(one / f"{split}.h5"), runs.numbers(two / f"{split}.h5")
        assert np.array_equal(np.sort(before), np.sort(after))
        # Few jets stay where they were: 1 expected.
        assert (before == after).sum() < 10
