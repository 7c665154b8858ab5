"""What is in the finished files, jet by jet, against the ntuples read without jetmill."""

import shutil
from math import sqrt

import h5py
import numpy as np
import pytest
import workflow_runs as runs
from scipy.stats import kstest
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import jetmill
from jetmill.errors import JetmillError

pytestmark = pytest.mark.workflow

VARIABLES = runs.CONFIG["jets"]["variables"]
BY_JET = {"split": {"by": "jet", "test": 0.2, "val": 0.1}, "write": {"shuffle": "batch", "parts": None}}
BY_MODULO = {"by": "modulo", "modulo": 10, "test": [0, 5], "val": [7]}
EDGES = [np.linspace(-2.5, 2.5, 4), np.array([20.0, 40.0, 60.0, 1000.0])]


@pytest.fixture(scope="module")
def base(finished):
    return finished()


def histogram(labels: np.ndarray, bins: np.ndarray) -> np.ndarray:
    counts = np.zeros((4, 3, 3), dtype=np.int64)
    np.add.at(counts, (labels, bins[:, 0], bins[:, 1]), 1)
    return counts


def events_of(jets, rows: np.ndarray) -> set[tuple[int, ...]]:
    return set(zip(*(jets[k][rows].tolist() for k in ("sample", "run", "luminosityBlock", "event")), strict=True))


# --- splits ---


def test_every_kept_jet_is_in_one_split(base, ntuples):
    found = np.concatenate([runs.numbers(base / f"{split}.h5") for split in runs.SPLITS])
    assert np.array_equal(np.sort(found), ntuples.kept)


def test_no_event_is_in_two_splits(base, ntuples):
    train, val, test = (events_of(ntuples.jets, runs.numbers(base / f"{split}.h5")) for split in runs.SPLITS)
    assert not train & val
    assert not train & test
    assert not val & test
    # The shares are those of events: 72 %, 8 %, 20 %, within five standard deviations.
    n = len(train) + len(val) + len(test)
    for part, share in ((train, 0.72), (val, 0.08), (test, 0.2)):
        assert len(part) == pytest.approx(share * n, abs=5 * sqrt(n * share * (1 - share)))
    # It is events that are kept together: most have several jets.
    assert n < 0.7 * len(ntuples.kept)


def test_modulo_takes_the_remainder_of_the_event_number(finished, ntuples):
    results, kept = finished(split=BY_MODULO), ntuples.kept
    remainder = ntuples.jets["event"][kept] % np.uint64(10)
    expected = {"test": np.isin(remainder, [0, 5]), "val": remainder == 7}
    expected["train"] = ~expected["test"] & ~expected["val"]
    for split, rows in expected.items():
        assert np.array_equal(np.sort(runs.numbers(results / f"{split}.h5")), kept[rows])


def test_by_jet_is_train_test_split_of_each_batch(finished, ntuples):
    results = finished(**BY_JET)
    for part, (sample, files) in enumerate([(0, (0, 1)), (0, (2,)), (1, (0, 1)), (1, (2,))]):
        kept = ntuples.kept
        cleaned = kept[(ntuples.jets["sample"][kept] == sample) & np.isin(ntuples.jets["file"][kept], files)]
        rest, test = train_test_split(cleaned, test_size=0.2, random_state=1)
        train, val = train_test_split(rest, test_size=0.1, random_state=1)
        for split, expected in (("train", train), ("val", val), ("test", test)):
            found = runs.numbers(results / f"hdf5/{split}/part_{part:04d}.h5")
            assert np.array_equal(np.sort(found), np.sort(expected)), (split, part)


# --- shuffles ---


def test_shuffle_batch_leaves_a_batch_in_its_own_part(finished, ntuples):
    results = finished(**BY_JET)
    for split in runs.SPLITS:
        assert len(list((results / f"hdf5/{split}").iterdir())) == 4
        for part, (sample, files) in enumerate([(0, {0, 1}), (0, {2}), (1, {0, 1}), (1, {2})]):
            rows = runs.numbers(results / f"hdf5/{split}/part_{part:04d}.h5")
            assert set(ntuples.jets["sample"][rows]) == {sample}
            assert set(ntuples.jets["file"][rows]) == files
            assert len(rows) > 50
            # Inside the part they are shuffled: those from the beginning of the files are everywhere.
            places = np.flatnonzero(rows < np.median(rows)) / len(rows)
            assert kstest(places, "uniform").pvalue > 1e-5


@pytest.mark.parametrize("part", [0, 1])
def test_shuffle_global_fills_every_part_from_every_file(base, ntuples, part):
    train = runs.numbers(base / "train.h5")
    rows = runs.numbers(base / f"hdf5/train/part_{part:04d}.h5")
    for sample in range(2):
        for file in range(3):

            def of_file(numbers, sample=sample, file=file):
                return (ntuples.jets["sample"][numbers] == sample) & (ntuples.jets["file"][numbers] == file)

            n = int(of_file(train).sum())
            # A jet is in one of the two parts by the toss of a coin.
            assert of_file(rows).sum() == pytest.approx(n / 2, abs=5 * sqrt(n) / 2)
            places = np.flatnonzero(of_file(rows)) / len(rows)
            assert kstest(places, "uniform").pvalue > 1e-5


def test_parts_share_no_jet(base):
    parts = [runs.numbers(base / f"hdf5/train/part_{n:04d}.h5") for n in range(2)]
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == len(together)
    assert np.array_equal(together, runs.numbers(base / "train.h5"))


# --- columns ---


@pytest.mark.parametrize("split", runs.SPLITS)
def test_every_column_is_that_of_the_jet(base, ntuples, split):
    found, rows = runs.datasets(base / f"{split}.h5"), runs.numbers(base / f"{split}.h5")
    jets = {name: values[rows] for name, values in ntuples.jets.items()}
    labels = runs.labels(jets)
    assert np.array_equal(found["jets/labels"], labels)
    assert np.array_equal(found["jets/labels_one_hot"], np.eye(4)[labels])
    for name in ("run", "luminosityBlock", "event"):
        values = found[f"jets/event/{name}"]
        assert values.dtype == jets[name].dtype
        assert np.array_equal(values, jets[name])
    assert np.array_equal(found["jets/sample"], jets["sample"])
    assert np.array_equal(found["jets/spectators/btagDeepL"], jets["btagDeepL"])
    missing = np.stack([runs.is_missing(jets, name) for name in VARIABLES], axis=1)
    assert np.array_equal(found["jets/is_default"], missing)
    assert missing.any(axis=0).sum() == 5
    bins = [np.digitize(jets[name].astype(float), e) - 1 for name, e in zip(("eta", "pt"), EDGES, strict=True)]
    assert np.array_equal(found["jets/bins"], np.stack(bins, axis=1))


def test_inputs_are_scaled_by_the_training_jets_that_have_the_variable(base, ntuples):
    train = runs.numbers(base / "train.h5")
    for split in runs.SPLITS:
        rows = runs.numbers(base / f"{split}.h5")
        inputs = runs.datasets(base / f"{split}.h5")["jets/inputs"]
        assert inputs.dtype == np.float32
        for i, name in enumerate(VARIABLES):
            x, missing = ntuples.jets[name].astype(np.float64), runs.is_missing(ntuples.jets, name)
            fitted = x[train][~missing[train]]
            scaler = StandardScaler().fit(fitted[:, None])
            filled = np.where(missing[rows], fitted.min() - 0.001, x[rows])
            expected = scaler.transform(filled[:, None])[:, 0]
            assert inputs[:, i] == pytest.approx(expected, rel=2e-6, abs=2e-6), name


@pytest.mark.parametrize(("table", "flat"), [("weight", False), ("weight_flat", True)])
def test_weights_are_those_of_the_formula(base, table, flat):
    found = runs.datasets(base / "train.h5")
    counts = histogram(found["jets/labels"], found["jets/bins"])
    shapes = counts / counts.sum(axis=(1, 2), keepdims=True)
    expected = runs.balanced_weights(counts, np.ones((3, 3)) if flat else shapes.mean(axis=0))
    for split in runs.SPLITS:
        found = runs.datasets(base / f"{split}.h5")
        place = found["jets/labels"], found["jets/bins"][:, 0], found["jets/bins"][:, 1]
        assert found[f"jets/{table}"] == pytest.approx(expected[place], rel=1e-6)


# --- resampling ---


@pytest.fixture(scope="module")
def resampled(finished):
    return finished(balance={"resampling": {"method": "count"}})


def test_count_leaves_the_minimum_over_classes_in_every_cell(base, resampled):
    before, after = (runs.datasets(path / "train.h5") for path in (base, resampled))
    available = histogram(before["jets/labels"], before["jets/bins"])
    kept = histogram(after["jets/labels"], after["jets/bins"])
    assert np.array_equal(kept, np.broadcast_to(available.min(axis=0), available.shape))
    assert 0 < kept.sum() < 0.5 * available.sum()
    # Equal spectra need no weights.
    assert after["jets/weight"] == pytest.approx(1, abs=1e-6)


def test_count_takes_training_jets_once_and_from_all_files(base, resampled, ntuples):
    before, after = runs.numbers(base / "train.h5"), runs.numbers(resampled / "train.h5")
    assert len(set(after.tolist())) == len(after)
    assert set(after.tolist()) < set(before.tolist())
    found = runs.datasets(resampled / "train.h5")
    identity = set(zip(found["jets/event/event"].tolist(), ntuples.jets["pt"][after].tolist(), strict=True))
    assert len(identity) == len(after)
    for n in range(2):
        rows = runs.numbers(resampled / f"hdf5/train/part_{n:04d}.h5")
        assert len(rows) == pytest.approx(len(after) / 2, abs=5 * sqrt(len(after)) / 2)
        assert len(set(zip(ntuples.jets["sample"][rows], ntuples.jets["file"][rows], strict=True))) == 6


@pytest.mark.parametrize("split", ["val", "test"])
def test_count_leaves_validation_and_test_alone(base, resampled, split):
    before, after = (runs.datasets(path / f"{split}.h5") for path in (base, resampled))
    for name, values in before.items():
        # Weights and scalers are those of the resampled training jets.
        if not name.startswith(("jets/weight", "jets/inputs")):
            assert np.array_equal(after[name], values), name
    plain, same = (jetmill.load(path / f"{split}.h5").unscaled() for path in (base, resampled))
    np.testing.assert_allclose(same, plain, rtol=1e-5, atol=1e-4)


# --- forms of output ---


def test_merged_equals_virtual(base, finished, tmp_path):
    results = finished(write={"merge": True})
    for split in runs.SPLITS:
        merged, pointing = runs.datasets(results / f"{split}.h5"), runs.datasets(base / f"{split}.h5")
        assert set(merged) == set(pointing)
        with h5py.File(results / f"{split}.h5") as plain, h5py.File(base / f"{split}.h5") as virtual:
            for name, values in pointing.items():
                assert merged[name].dtype == values.dtype
                assert merged[name].tobytes() == values.tobytes(), name
                assert virtual[name].is_virtual
                assert not plain[name].is_virtual
                assert set(plain[name].attrs) == set(virtual[name].attrs)
    # It stands without the parts.
    shutil.copy(results / "val.h5", tmp_path)
    assert len(jetmill.load(tmp_path / "val.h5")) == len(jetmill.load(base / "val.h5"))


def test_results_can_be_moved_as_a_whole(base, tmp_path, monkeypatch):
    expected = jetmill.load(base / "train.h5")
    shutil.copytree(base, tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "second")
    monkeypatch.chdir(tmp_path)
    moved = jetmill.load("second/train.h5")
    assert np.array_equal(moved.inputs, expected.inputs)
    with h5py.File("second/train.h5") as file:
        assert {s.file_name for s in file["jets/inputs"].virtual_sources()} == {
            f"hdf5/train/part_{n:04d}.h5" for n in range(2)
        }


def test_a_joined_file_without_its_parts_is_refused(base, tmp_path):
    shutil.copy(base / "train.h5", tmp_path / "train.h5")
    with pytest.raises(JetmillError, match=r"hdf5/train/part_0000\.h5"):
        jetmill.load(tmp_path / "train.h5")


def test_half_precision_rounds_the_inputs_and_nothing_else(base, finished):
    results = finished(write={"precision": "float16"})
    for split in runs.SPLITS:
        single, half = runs.datasets(base / f"{split}.h5"), runs.datasets(results / f"{split}.h5")
        assert half["jets/inputs"].dtype == np.float16
        assert np.array_equal(half["jets/inputs"], single["jets/inputs"].astype(np.float16))
        for name in set(single) - {"jets/inputs"}:
            assert half[name].tobytes() == single[name].tobytes(), name


@pytest.mark.readers
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_tensors_equal_the_part(finished, precision):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    results = finished("torch", write={"precision": precision})
    tensors = torch.load(results / "torch/train/part_0000.pt", weights_only=True)
    part = runs.datasets(results / "hdf5/train/part_0000.h5")
    for key in ("inputs", "is_default", "labels", "bins", "weight", "weight_flat"):
        assert np.array_equal(tensors[key].numpy(), part[f"jets/{key}"]), key
    assert tensors["inputs"].dtype == getattr(torch, precision)
    assert tensors["labels"].dtype == torch.int64
    assert tensors["variables"] == VARIABLES
    for i, name in enumerate(tensors["spectator_names"]):
        assert np.array_equal(tensors["spectators"][:, i].numpy(), part[f"jets/spectators/{name}"])
