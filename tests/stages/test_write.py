"""Parts of outputs: which jets, their values, their order."""

import json
import sys

import h5py
import numpy as np
import pytest
from scipy import stats
from stage_batches import BINS, CLASSES, EDGES, IDENTITY, METHODS, SAMPLES, histogram, rows, truth

from jetmill.errors import JetmillError
from jetmill.files import read_json, write_json
from jetmill.formats.content import scaled
from jetmill.formats.files.joining import join
from jetmill.formats.torch import write as write_torch
from jetmill.loading.jets import load
from jetmill.splitting import SPLITS


def test_every_selected_jet_of_root_is_written_once(stages, tmp_path):
    paths = [
        stages.write(tmp_path / f"{split}{part}.h5", split=split, part=part, n_parts=n)
        for split, n in (("train", 3), ("val", 1), ("test", 2))
        for part in range(n)
    ]
    assert rows(paths, *IDENTITY) == truth(stages)


@pytest.mark.parametrize("balance_name", ["balance", "resampled", "repeated"])
@pytest.mark.parametrize("n_parts", [2, 7])
def test_the_number_of_parts_changes_no_jet(stages, tmp_path, n_parts, balance_name):
    table = getattr(stages, balance_name)
    names = (*IDENTITY, "jets/inputs", "jets/weight", "jets/weight_flat", "jets/bins", "jets/is_default")
    whole = rows(stages.write(tmp_path / "whole.h5", balance_path=table), *names)
    parts = [
        stages.write(tmp_path / f"{part}.h5", part=part, n_parts=n_parts, balance_path=table) for part in range(n_parts)
    ]
    assert rows(parts, *names) == whole
    sizes = [len(rows(path, "jets/labels")) for path in parts]
    assert stats.chisquare(sizes).pvalue > 1e-3


def test_a_part_of_one_batch(stages, tmp_path):
    paths = [stages.write(tmp_path / f"{split}.h5", split=split, names=["qcd/0001"]) for split in SPLITS]
    assert rows(paths, *IDENTITY) == truth(stages, ["qcd/0001"])


def test_values_of_a_part(stages, tmp_path):
    """Every dataset of a row belongs to the same jet, which is found by its event and pT."""
    path = stages.write(tmp_path / "train.h5")
    jets = load(path)
    scalers = json.loads(stages.scalers.read_text())["jets"]
    columns = {v: stages.column(f"variables/{v}") for v in stages.variables}
    of_event = {}
    for i, (event, pt) in enumerate(zip(stages.column("event/event").tolist(), columns["pt"].tolist(), strict=True)):
        of_event.setdefault(event, []).append((pt, i))
    written = zip(jets.event["event"].tolist(), jets.variable("pt").tolist(), strict=True)
    place = [min(of_event[event], key=lambda jet, pt=pt: abs(jet[0] - pt))[1] for event, pt in written]
    assert sorted(place) == list(range(len(jets)))
    label = stages.column("label")[place]
    np.testing.assert_array_equal(jets.labels, label)
    for i, name in enumerate(stages.variables):
        values, row = columns[name][place].astype(np.float64), scalers[name]
        missing = np.isnan(values)
        np.testing.assert_array_equal(jets.is_default[:, i], missing)
        expected = (np.where(missing, row["default"], values) - row["shift"]) / row["scale"]
        np.testing.assert_allclose(jets.inputs[:, i], expected, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(jets.variable(name)[~missing], values[~missing], rtol=1e-5, atol=1e-5 * row["scale"])
    bins = [np.digitize(columns[v][place].astype(float), e[1:-1]) for v, e in zip(BINS, EDGES, strict=True)]
    np.testing.assert_array_equal(jets.bins, np.stack(bins, axis=1))
    with h5py.File(stages.balance) as tables, h5py.File(path) as file:
        for dataset, table in (("weight", "average"), ("weight_flat", "flat"), ("weight_reference_c", "reference_c")):
            expected = tables[f"weights/{table}"][()][label, bins[0], bins[1]]
            np.testing.assert_array_equal(jets.weights[dataset], expected.astype(np.float32))
            assert jets.weights[dataset].mean(dtype=np.float64) == pytest.approx(1, rel=1e-6, abs=0)
        np.testing.assert_array_equal(file["jets/labels_one_hot"], np.eye(4)[label])
        for name in ("btagDeepB_b", "btagDeepL"):
            np.testing.assert_array_equal(jets.spectators[name], stages.column(f"spectators/{name}")[place])
        assert list(file["jets/sample"].attrs["samples"]) == SAMPLES
        assert list(file["jets/is_default"].attrs["jet_variables"]) == stages.variables
        types = {
            name: file[f"jets/{name}"].dtype for name in ("inputs", "labels", "bins", "weight", "sample", "event/event")
        }
    assert types == {"inputs": "f4", "labels": "u1", "bins": "i1", "weight": "f4", "sample": "u1", "event/event": "u8"}
    assert (jets.variables, jets.classes, jets.bin_variables) == (tuple(stages.variables), tuple(CLASSES), tuple(BINS))


@pytest.mark.parametrize("balance_name", ["balance", "resampled", "repeated"])
def test_a_part_is_shuffled(stages, tmp_path, balance_name):
    jets = load(stages.write(tmp_path / "train.h5", balance_path=getattr(stages, balance_name)))
    with h5py.File(tmp_path / "train.h5") as file:
        batch = file["jets/sample"][()] * 2 + (jets.event["event"] >= 310_000_000)
    place = (np.arange(len(jets)) + 0.5) / len(jets)
    for group in (batch, jets.labels):
        for value in np.unique(group):
            assert stats.kstest(place[group == value], "uniform").pvalue > 1e-4
    for values in (jets.variable("pt"), jets.variable("eta"), jets.event["event"].astype(float)):
        assert stats.spearmanr(place, values).pvalue > 1e-4
    assert abs(np.corrcoef(batch[1:], batch[:-1])[0, 1]) < 4 / np.sqrt(len(jets))


def test_small_blocks_change_nothing(stages, tmp_path, monkeypatch):
    names = ("jets/inputs", "jets/is_default", "jets/labels")
    before = stages.write(tmp_path / "a.h5")
    monkeypatch.setattr(scaled, "BLOCK_ROWS", 17)
    after = stages.write(tmp_path / "b.h5")
    with h5py.File(before) as a, h5py.File(after) as b:
        for name in names:
            np.testing.assert_array_equal(a[name], b[name])


def test_undersampling_is_exact(stages, tmp_path):
    paths = [stages.write(tmp_path / f"{i}.h5", part=i, n_parts=3, balance_path=stages.resampled) for i in range(3)]
    n = stages.counts()
    np.testing.assert_array_equal(histogram(paths), np.broadcast_to(n.min(axis=0), n.shape))
    found = rows(paths, *IDENTITY, "jets/inputs")
    assert len(set(found)) == len(found)
    assert set(found) <= set(rows(stages.write(tmp_path / "all.h5"), *IDENTITY, "jets/inputs"))


def test_repeats_are_exact(stages, tmp_path):
    paths = [stages.write(tmp_path / f"{i}.h5", part=i, n_parts=3, balance_path=stages.repeated) for i in range(3)]
    with h5py.File(stages.repeated) as file:
        kept, repeat_histogram = file["kept/train"][()], file["repeat_histogram/train"][()]
    np.testing.assert_array_equal(histogram(paths), kept)
    found, times = np.unique(np.array(rows(paths, *IDENTITY, "jets/inputs")), axis=0, return_counts=True)
    for label, histogram_of_class in enumerate(repeat_histogram):
        observed = np.bincount(times[found[:, 2] == label], minlength=len(histogram_of_class))
        np.testing.assert_array_equal(observed[1:], histogram_of_class[1:])
    assert times.max() > 2
    # In each class and bin, the numbers of times differ by one at most.
    jets = [load(path) for path in paths]
    pt = np.concatenate([j.variable("pt") for j in jets])
    place = np.column_stack([np.concatenate([j.labels for j in jets]), np.concatenate([j.bins for j in jets])])
    for bin_index in np.unique(place, axis=0):
        copies = np.unique(pt[(place == bin_index).all(axis=1)], return_counts=True)[1]
        assert copies.max() - copies.min() <= 1
    # Copies are apart from each other.
    assert (jets[0].inputs[1:] == jets[0].inputs[:-1]).all(axis=1).mean() < 0.01


def test_resampled_validation(stages, tmp_path):
    table = stages.balanced(tmp_path / "b.h5", method="count", validation=True)
    paths = [
        stages.write(tmp_path / f"{i}.h5", split="val_resampled", part=i, n_parts=2, balance_path=table)
        for i in range(2)
    ]
    n = stages.counts(1)
    np.testing.assert_array_equal(histogram(paths), np.broadcast_to(n.min(axis=0), n.shape))
    found = rows(paths, *IDENTITY, "jets/inputs")
    assert len(set(found)) == len(found)
    assert set(found) < set(
        rows(stages.write(tmp_path / "v.h5", split="val", balance_path=table), *IDENTITY, "jets/inputs")
    )


@pytest.mark.parametrize("resampling", [{}, *METHODS.values()], ids=["none", *METHODS])
@pytest.mark.parametrize("split", SPLITS)
def test_parts_do_not_depend_on_the_batches(stages, whole, tmp_path, split, resampling):
    paths = []
    for name, r in (("a", stages), ("b", whole)):
        table = r.balanced(tmp_path / f"{name}_balance.h5", **resampling)
        paths.append(r.write(tmp_path / f"{name}.h5", split=split, part=1, n_parts=3, balance_path=table))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(load(paths[0])) > 20


def test_float16_overflow_names_the_variables(stages, tmp_path):
    scalers = read_json(stages.scalers)
    scalers["jets"]["pt"]["scale"], scalers["jets"]["DeepCSV_vertexMass"]["default"] = 1e-4, 1e9
    write_json(tmp_path / "s.json", scalers)

    with pytest.raises(JetmillError, match=r"2 scaled variable\(s\) do not fit into float16.*65504") as error:
        stages.write(tmp_path / "o.h5", scalers=tmp_path / "s.json", precision="float16")
    assert "'pt' (" in str(error.value)
    assert "'DeepCSV_vertexMass' (" in str(error.value)
    assert "'eta'" not in str(error.value)
    assert "write.precision: float32" in str(error.value)
    assert not (tmp_path / "o.h5").exists()
    stages.write(tmp_path / "o.h5", scalers=tmp_path / "s.json")


@pytest.mark.parametrize("value", [65520, -65520, np.inf, 65504, -65504])
def test_what_float16_rounds_to_infinity_is_an_overflow(stages, tmp_path, value):
    scalers = read_json(stages.scalers)
    scalers["jets"]["DeepCSV_vertexMass"] |= {"default": value, "shift": 0, "scale": 1}
    write_json(tmp_path / "s.json", scalers)
    options = {"scalers": tmp_path / "s.json", "precision": "float16"}
    if abs(value) == 65504:
        assert value in load(stages.write(tmp_path / "o.h5", **options)).inputs
    else:
        with pytest.raises(JetmillError, match=r"^1 scaled variable.*'DeepCSV_vertexMass'"):
            stages.write(tmp_path / "o.h5", **options)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_part_without_jets(stages, tmp_path, split):
    # The last of very many ranges of keys.
    path = stages.write(tmp_path / "p.h5", split=split, part=10**9 - 1, n_parts=10**9)
    jets = load(path)
    assert len(jets) == 0
    assert jets.inputs.shape == jets.is_default.shape == (0, len(stages.variables))
    assert jets.bins.shape == (0, 2)
    full = stages.write(tmp_path / "q.h5", split=split)
    join([path, full, path], tmp_path / "i.h5", merge=False)
    assert len(load(tmp_path / "i.h5")) == len(load(full))


def test_without_weight_tables_weights_are_one(stages, tmp_path):
    table = stages.balanced(tmp_path / "b.h5", weights={})
    jets = load(stages.write(tmp_path / "p.h5", balance_path=table))
    assert list(jets.weights) == ["weight"]
    np.testing.assert_array_equal(jets.weight, 1)


def test_torch_that_is_not_installed(stages, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(JetmillError, match=r"write\.formats: torch needs PyTorch"):
        write_torch(stages.write(tmp_path / "p.h5"), tmp_path / "p.pt")


@pytest.mark.parametrize("merge", [False, True])
def test_parts_may_store_a_number_in_different_types(tmp_path, merge):
    # As those of different samples, or of a batch whose files could not be read.
    columns = [np.zeros(0, dtype=bool), np.array([1, 2**40], dtype=np.uint64), np.array([3], dtype=np.uint32)]
    parts = [tmp_path / f"part_{number}.h5" for number in range(3)]
    for path, values in zip(parts, columns, strict=True):
        with h5py.File(path, "w") as file:
            file["jets/event"] = values
    join(parts, tmp_path / "all.h5", merge=merge)
    with h5py.File(tmp_path / "all.h5") as file:
        assert file["jets/event"].dtype == np.uint64
        assert file["jets/event"][()].tolist() == [1, 2**40, 3]
