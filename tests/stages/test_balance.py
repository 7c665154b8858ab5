"""Balance tables, and which jets they take."""

import json

import h5py
import numpy as np
import pytest
from batches import cleaned, write_batch
from stage_batches import (
    BINS,
    CLASSES,
    EDGES,
    METHODS,
    SAMPLES,
    WEIGHTS,
    taken,
)

from jetmill.config.load import adapter
from jetmill.errors import JetmillError
from jetmill.settings.balance import Resampling
from jetmill.settings.stages import BalanceSettings
from jetmill.splitting import TRAIN
from jetmill.stages.balance import balance


def test_counts_and_tables(stages):
    with h5py.File(stages.balance) as file:
        for split in range(3):
            by_sample = [file[f"counts/{sample}"][split] for sample in SAMPLES]
            np.testing.assert_array_equal(sum(by_sample), stages.counts(split))
            for sample, table in zip(SAMPLES, by_sample, strict=True):
                np.testing.assert_array_equal(table, stages.counts(split, sample))
        n = stages.counts()
        np.testing.assert_array_equal(file["kept/train"], n)
        assert not {"repeats", "threshold", "repeat_histogram", "target"} & set(file)
        assert list(file.attrs["classes"]) == CLASSES
        assert list(file.attrs["variables"]) == list(BINS)
        assert list(file.attrs["weights"]) == list(WEIGHTS)
        for variable, edges in zip(BINS, EDGES, strict=True):
            np.testing.assert_allclose(file[f"edges/{variable}"], edges, rtol=1e-15)
        for name in WEIGHTS:
            table = file[f"weights/{name}"][()]
            assert np.isfinite(table).all()
            assert not table[n == 0].any()
            assert (n * table).sum() == pytest.approx(n.sum(), rel=1e-12)
            totals = (n * table).sum(axis=(1, 2))
            np.testing.assert_allclose(totals, totals[0], rtol=1e-12)


def test_undersampled_tables(stages):
    n = stages.counts()
    with h5py.File(stages.resampled) as file:
        kept = np.broadcast_to(n.min(axis=0), n.shape)
        np.testing.assert_array_equal(file["kept/train"], kept)
        np.testing.assert_array_equal(file["repeat_histogram/train"], np.stack([n - kept, kept]).sum(axis=(2, 3)).T)
        np.testing.assert_array_equal(sum(table[TRAIN] for table in file["counts"].values()), n)
        # Classes are equal already, so the table that makes them so is one.
        np.testing.assert_allclose(file["weights/average"][()][kept > 0], 1, rtol=1e-12)
    np.testing.assert_array_equal(taken(stages, stages.resampled)[0], kept)


@pytest.mark.parametrize("resampling", METHODS.values(), ids=METHODS.keys())
def test_quotas_are_filled_exactly(stages, tmp_path, resampling):
    validation = resampling.get("method") in ("count", "pdf")
    path = stages.balanced(tmp_path / "b.h5", validation=validation, **resampling)
    for output in ("train", "val_resampled") if validation else ("train",):
        table, times = taken(stages, path, output)
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file[f"kept/{output}"], table)
            repeat_histogram = file[f"repeat_histogram/{output}"][:, 1:]
            np.testing.assert_array_equal(repeat_histogram, times[:, : repeat_histogram.shape[1]])
            assert not times[:, repeat_histogram.shape[1] :].any()
            assert (f"target/{output}" in file) == ("target" in resampling)
            if "target" in resampling:
                assert file[f"target/{output}"][()].sum() == pytest.approx(table.sum())
        if "max_repeats" in resampling:
            assert np.flatnonzero(times.any(axis=0))[-1] + 1 == resampling["max_repeats"]
        if "num_jets" in resampling:
            assert table.sum() == resampling["num_jets"]


@pytest.mark.parametrize("resampling", METHODS.values(), ids=METHODS.keys())
def test_tables_do_not_depend_on_the_batches(stages, whole, tmp_path, resampling):
    paths = [
        stages.balanced(tmp_path / "a.h5", **resampling),
        stages.balanced(tmp_path / "b.h5", order=-1, **resampling),
        whole.balanced(tmp_path / "c.h5", **resampling),
    ]
    contents = {path.read_bytes() for path in paths}
    assert len(contents) == 1


def counted(directory, counts):
    """Write a batch with these counts, (n_splits, 2, 3), in three bins of x from 0 to 1, and the counts."""
    place = np.repeat(np.arange(counts.size), counts.reshape(-1))
    split, label, bin_index = np.unravel_index(place, counts.shape)
    key = np.random.default_rng(1).integers(0, 2**64, size=len(place), dtype=np.uint64)
    columns = {"key": key, "label": label.astype(np.uint8), "variables/x": (bin_index + 0.5) / 3}
    write_batch(directory / "batch.h5", iter(columns.items()), {"splits": np.bincount(split, minlength=3)})
    with h5py.File(directory / "bins.h5", "w") as file:
        file["counts/tt"], file["outside/tt"] = counts, np.zeros(counts.shape[:2], dtype=int)
    return [cleaned("tt", directory / "batch.h5")], [directory / "bins.h5"]


def balance_small(tmp_path, counts, *, table="average", strict=False, reference="b", **resampling):
    weights = {table: {"method": table} | ({"reference": reference} if table == "reference" else {})}
    balance(
        *counted(tmp_path, counts),
        tmp_path / "o.h5",
        BalanceSettings(
            bins={"x": [(0, 1, 3)]},
            classes=("b", "c"),
            samples=("tt",),
            weights=weights,
            resampling=adapter(Resampling).validate_python(resampling),
            strict=strict,
        ),
    )
    with h5py.File(tmp_path / "o.h5") as file:
        return file["kept/train"][()], file[f"weights/{table}"][()]


EMPTY_CLASS = np.array([[[0, 0, 0], [1, 2, 3]], [[4, 0, 0], [0, 0, 0]], [[0, 0, 0], [1, 1, 1]]])


def test_a_class_without_training_jets_is_an_error(tmp_path):
    with pytest.raises(JetmillError, match=r"no training jets of class b \(found: b 0, c 6\)") as error:
        balance_small(tmp_path, EMPTY_CLASS, strict=True)
    assert "strict: false" in str(error.value)
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize("method", ["none", "count"])
@pytest.mark.parametrize("table", ["average", "flat"])
def test_a_class_without_training_jets_is_a_warning_if_not_strict(tmp_path, caplog, table, method):
    kept, weights = balance_small(tmp_path, EMPTY_CLASS, table=table, method=method)
    np.testing.assert_array_equal(kept, [[0, 0, 0], [1, 2, 3]])
    assert np.isfinite(weights).all()
    assert (kept * weights).sum() == pytest.approx(6)
    texts = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert any("no training jets of class b" in text for text in texts)
    with h5py.File(tmp_path / "o.h5") as file:
        assert json.loads(file.attrs["warnings"]) == texts


def test_a_reference_class_without_training_jets_is_an_error(tmp_path):
    with pytest.raises(JetmillError, match=r"weights 'reference' match all classes to 'b', which has no training jets"):
        balance_small(tmp_path, EMPTY_CLASS, table="reference")


LEFT_OUT = {"components": [{"samples": ["tt"], "bins": {"x": [1 / 3, 1]}}]}


IN_ONE_CELL = np.array([[[4, 0, 0], [2, 5, 3]], *np.ones((2, 2, 3), dtype=int)])


@pytest.mark.parametrize("method", ["none", "count"])
def test_a_class_without_jets_in_the_components_is_an_error(tmp_path, method):
    with pytest.raises(JetmillError, match="no training jets of class b"):
        balance_small(tmp_path, IN_ONE_CELL, strict=True, method=method, **LEFT_OUT)


@pytest.mark.parametrize("method", ["none", "count"])
def test_a_reference_class_without_jets_in_the_components_is_an_error(tmp_path, method):
    with pytest.raises(JetmillError, match=r"weights 'reference' match all classes to 'b', which has no training jets"):
        balance_small(tmp_path, IN_ONE_CELL, table="reference", method=method, **LEFT_OUT)


@pytest.mark.parametrize("method", ["none", "count"])
def test_no_training_jet_at_all(tmp_path, method):
    counts = np.zeros((3, 2, 3), dtype=np.int64)
    with pytest.raises(JetmillError, match="no training jets are left after the cuts"):
        balance_small(tmp_path, counts, method=method)


@pytest.mark.parametrize("resampling", [{"method": "count"}, {"method": "importance", "target": "flat"}])
def test_classes_without_a_common_cell(tmp_path, resampling):
    counts = np.zeros((3, 2, 3), dtype=np.int64)
    counts[TRAIN] = [[4, 0, 0], [0, 5, 0]]
    message = (
        f"balance.resampling, train: no jets are left with resampling by '{resampling['method']}', limited by class"
    )
    with pytest.raises(JetmillError, match=message):
        balance_small(tmp_path, counts, **resampling)
