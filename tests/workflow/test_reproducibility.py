"""The same data from the same configuration, however it is run."""

import numpy as np
import pytest
import workflow_runs as runs

pytestmark = pytest.mark.workflow

# Splits that depend on the event alone, so not on which files a job reads together.
BY_EVENT = {"by": "event", "test": 0.2, "val": 0.1}
BY_MODULO = {"by": "modulo", "modulo": 10, "test": [0, 5], "val": [7]}


def test_one_core_and_two_write_the_same_bytes(finished):
    one, two = finished(cores=1).results, finished().results
    paths = [p.relative_to(two) for p in two.rglob("*.h5")]
    written = [p for p in paths if p.parts[0] == "parts" or len(p.parts) == 1]
    assert len(written) == 4 + 3 + 1  # parts, one file per split, balance.h5
    for path in written:
        assert runs.sha256(one / path) == runs.sha256(two / path), path
    assert (one / "scalers.json").read_text() == (two / "scalers.json").read_text()


@pytest.mark.parametrize("files_per_batch", [1, 5])
@pytest.mark.parametrize("split", [BY_EVENT, BY_MODULO], ids=["event", "modulo"])
@pytest.mark.parametrize("name", runs.SPLITS)
def test_files_per_batch_do_not_change_the_data(finished, split, files_per_batch, name):
    # The count of batches is another: 4, or 6 and 2.
    two = finished(split=split).results
    other = finished(split=split, input={"files_per_batch": files_per_batch}).results
    assert len(list((two / "clean").rglob("*.h5"))) != len(list((other / "clean").rglob("*.h5")))
    expected, found = runs.datasets(two / f"{name}.h5"), runs.datasets(other / f"{name}.h5")
    assert set(found) == set(expected) >= {
        *(f"jets/{x}" for x in ("inputs", "labels", "labels_one_hot", "weight", "weight_flat", "bins", "is_default")),
        *("jets/event/run", "jets/event/luminosityBlock", "jets/event/event", "jets/sample"),
        *("jets/reference/number", "jets/reference/btagDeepL"),
    }
    for key, values in expected.items():
        assert found[key].dtype == values.dtype
        assert found[key].tobytes() == values.tobytes(), key


# With split by jet (train_test_split on each batch) and with resampling (a quota for each batch),
# which jets are drawn depends on what is in a batch. It is not promised that files_per_batch leaves
# the data alone there, and nothing is asserted.


def test_another_seed_is_another_order_of_the_same_jets(finished):
    one, two = finished(split=BY_MODULO).results, finished(split=BY_MODULO, seed=2).results
    for split in runs.SPLITS:
        before, after = runs.numbers(one / f"{split}.h5"), runs.numbers(two / f"{split}.h5")
        assert np.array_equal(np.sort(before), np.sort(after))
        # Few jets stay where they were: 1 expected.
        assert (before == after).sum() < 10


def test_another_seed_is_another_split_by_event(finished):
    one, two = (set(runs.numbers(finished(split=BY_EVENT, seed=s).results / "test.h5").tolist()) for s in (1, 2))
    share = len(one & two) / len(one)
    assert share == pytest.approx(0.2, abs=0.05)
