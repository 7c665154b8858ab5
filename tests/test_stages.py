import hashlib
import json
import sys

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
import yaml
from scipy import stats
from sklearn.preprocessing import StandardScaler

from jetmill import balancing
from jetmill.columns import Batch, write_batch
from jetmill.config import load as load_config
from jetmill.errors import JetmillError
from jetmill.loading import load
from jetmill.splitting import SPLITS, TRAIN
from jetmill.stages import write as write_module
from jetmill.stages.balance import balance
from jetmill.stages.bin_jets import bin_jets
from jetmill.stages.clean import clean_batch
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.stages.index import write_index
from jetmill.stages.make_toy import write_toy_file
from jetmill.stages.merge_scalers import merge_scalers
from jetmill.stages.write import PartOf, write_part
from jetmill.stages.write_manifest import write_manifest
from jetmill.stages.write_torch import write_torch

BINS = {"eta": [(-2.5, 2.5, 4)], "pt": [(20, 60, 3), (60, 1000, 2)]}
SHAPE = (4, 5)
EDGES = [np.linspace(-2.5, 2.5, 5), np.array([20, 20 + 40 / 3, 20 + 80 / 3, 60, 530, 1000])]
CLASSES = ["b", "bb", "c", "light"]
WEIGHTS = {
    "average": {"method": "average"},
    "flat": {"method": "flat"},
    "reference_c": {"method": "reference", "reference": "c"},
}
SAMPLES = ["tt", "qcd"]
RAW = {
    "samples": {"tt": {"toy": {"process": "ttbar"}}, "qcd": {"toy": {"process": "qcd"}}},
    "jets": {
        "missing": {"values": [-999], "slots": {"DeepCSV_jetNSelectedTracks": ["DeepCSV_trackSip3dSig"]}},
        "select": ["pt >= 20", "pt <= 1000", "abs(eta) <= 2.5"],
        "variables": ["eta", "pt", "DeepCSV_vertexMass", "DeepCSV_trackSip3dSig_{0..5}", "DeepCSV_jetNSelectedTracks"],
        "reference": ["btagDeepB_b", "btagDeepL"],
    },
    "classes": {
        "b": "hadronFlavour == 5 & nBHadrons <= 1",
        "bb": "hadronFlavour == 5 & nBHadrons > 1",
        "c": "hadronFlavour == 4",
        "light": "rest",
    },
    "balance": {"bins": {"eta": [-2.5, 2.5, 4], "pt": [[20, 60, 3], [60, 1000, 2]]}},
}


class Run:
    """Cleaned and binned batches of two samples, and what is made of them."""

    def __init__(self, directory):
        self.directory = directory
        self.settings = load_config(RAW).cleaning
        self.variables = self.settings.jets.variables
        self.batches, self.bins, self.roots = {}, {}, {}
        for sample, process in zip(SAMPLES, ("ttbar", "qcd"), strict=True):
            for number in range(2):
                name, root = f"{sample}/000{number}", directory / f"{sample}{number}.root"
                write_toy_file(root, process=process, n_jets=2500, seed=1, sample=sample, number=number)
                self.roots[name] = root
                self.batches[name] = directory / f"clean/{name}.h5"
                self.bins[name] = directory / f"bins/{name}.h5"
                clean_batch([root], self.batches[name], settings=self.settings, sample=sample, first_file=number)
                self.bin(name, self.bins[name])
        self.scalers = directory / "scalers.json"
        self.scale(self.scalers, width=4)
        self.balance = self.balanced("none")
        self.resampled = self.balanced("count")

    def bin(self, name, output, seed=1):
        sample, number = name.split("/")
        bin_jets(self.batches[name], output, bins=BINS, n_classes=4, seed=seed, sample=sample, number=number)

    def scale(self, output, *, width, order=1):
        paths = []
        for start in range(0, len(self.variables), width):
            paths.append(output.with_name(f"{output.stem}_{width}_{order}_{start}.json"))
            names = self.variables[start : start + width]
            fit_scalers(list(self.batches.values())[::order], paths[-1], variables=names)
        merge_scalers(
            *(paths, output, output.with_suffix(".dict"), output.with_suffix(".yaml")),
            default_offset=0.001,
            defaults={},
            strict=True,
        )

    def balanced(self, resampling, output=None, **changes):
        output = output or self.directory / f"balance_{resampling}.h5"
        options = {"bins": BINS, "classes": CLASSES, "weights": WEIGHTS, "strict": True, "seed": 1} | changes
        balance(self.bins, output, resampling=resampling, **options)
        return output

    def write(self, output, *, split="train", part=0, n_parts=1, names=None, balance_path=None, precision="float32"):
        batches = [(n, self.batches[n], self.bins[n]) for n in names or self.batches]
        write_part(
            PartOf(split, part, n_parts, batches),
            *(balance_path or self.balance, self.scalers, output),
            samples=SAMPLES,
            precision=precision,
        )
        return output

    def column(self, name, split=TRAIN):
        """Return a column of all batches joined."""
        found = []
        for path in self.batches.values():
            with Batch(path) as batch:
                found.append(batch.read(name, batch.rows(split)))
        return np.concatenate(found)

    def counts(self, split=TRAIN):
        """Return the histogram by class, from numpy."""
        rows = np.stack([self.column(f"variables/{v}", split).astype(float) for v in BINS], axis=1)
        label = self.column("label", split)
        return np.stack([np.histogramdd(rows[label == c], EDGES)[0] for c in range(4)]).astype(int)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("run"))


def rows(file_or_files, *names):
    """Return the rows of some datasets of all files, sorted, as tuples; NaN cannot be among them."""
    found = []
    for path in file_or_files if isinstance(file_or_files, list) else [file_or_files]:
        with h5py.File(path) as file:
            columns = [c for name in names for c in np.atleast_2d(file[name][()].T)]
        found += zip(*(c.tolist() for c in columns), strict=True)
    return sorted(found)


# bin_jets


def test_cells_counts_and_ranks(run):
    for name, path in run.bins.items():
        with h5py.File(path) as file, Batch(run.batches[name]) as batch:
            cell, rank, counts = file["cell"][()], file["rank"][()], file["counts"][()]
            eta, pt = batch.read("variables/eta").astype(float), batch.read("variables/pt").astype(float)
            split, label = batch.split_codes(), batch.read("label")
        expected = stats.binned_statistic_dd([eta, pt], None, "count", bins=EDGES, expand_binnumbers=True).binnumber - 1
        np.testing.assert_array_equal(np.unravel_index(cell, SHAPE), expected)
        sample = np.stack([split, label, *expected], axis=1)
        edges = [np.arange(n + 1) - 0.5 for n in (3, 4, *SHAPE)]
        np.testing.assert_array_equal(counts, np.histogramdd(sample, edges)[0])
        for group in np.unique(sample, axis=0):
            members = rank[(sample == group).all(axis=1)]
            np.testing.assert_array_equal(np.sort(members), np.arange(len(members)))


def test_ranks_are_independent_of_the_order_of_rows(run):
    # Otherwise resampling would take its jets from the first parts.
    for name, path in run.bins.items():
        with h5py.File(path) as file, Batch(run.batches[name]) as batch:
            rows_ = batch.rows(TRAIN)
            rank, count = file["rank"][rows_], file["counts"][TRAIN]
            place = (batch.read("label", rows_), *np.unravel_index(file["cell"][rows_], SHAPE))
        share = (rank + 0.5) / count[place]
        assert abs(stats.spearmanr(share, np.arange(len(share))).statistic) < 0.08


def test_bins_depend_on_seed_and_name_alone(run, tmp_path):
    name = "tt/0001"
    for seed, same in ((1, True), (2, False)):
        run.bin(name, tmp_path / "b.h5", seed=seed)
        with h5py.File(tmp_path / "b.h5") as a, h5py.File(run.bins[name]) as b:
            assert np.array_equal(a["rank"][()], b["rank"][()]) == same
            np.testing.assert_array_equal(a["cell"][()], b["cell"][()])


@pytest.mark.parametrize("spoil", [np.nan, 19.0, 2000.0])
def test_jets_outside_the_bins_name_the_batch(tmp_path, spoil):
    columns = {"label": np.zeros(3, np.uint8), "variables/eta": np.zeros(3), "variables/pt": np.array([30, spoil, 40])}
    write_batch(tmp_path / "b.h5", iter(columns.items()), {"splits": np.array([3, 0, 0])})
    with pytest.raises(JetmillError, match="sample 'tt', batch 0007: 1 of 3 jets are outside the bins of 'pt'"):
        bin_jets(tmp_path / "b.h5", tmp_path / "o.h5", bins=BINS, n_classes=4, seed=1, sample="tt", number="0007")
    assert not (tmp_path / "o.h5").exists()


def test_a_batch_without_jets(tmp_path):
    columns = {"label": np.zeros(0, np.uint8), "variables/eta": np.zeros(0), "variables/pt": np.zeros(0)}
    write_batch(tmp_path / "b.h5", iter(columns.items()), {"splits": np.array([0, 0, 0])})
    bin_jets(tmp_path / "b.h5", tmp_path / "o.h5", bins=BINS, n_classes=4, seed=1, sample="tt", number="0000")
    with h5py.File(tmp_path / "o.h5") as file:
        assert file["counts"].shape == (3, 4, *SHAPE)
        assert not file["counts"][()].any()


# fit_scalers, merge_scalers


@pytest.mark.parametrize(("width", "order"), [(1, 1), (3, -1), (100, 1), (100, -1)])
def test_scalers_are_those_of_standard_scaler(run, tmp_path, width, order):
    run.scale(tmp_path / "s.json", width=width, order=order)
    ours = json.loads((tmp_path / "s.json").read_text())
    assert list(ours) == run.variables
    columns = np.stack([run.column(f"variables/{v}") for v in run.variables], axis=1).astype(np.float64)
    theirs = StandardScaler().fit(columns)
    for i, row in enumerate(ours.values()):
        assert row["count"] == np.count_nonzero(~np.isnan(columns[:, i]))
        assert row["mean"] == pytest.approx(theirs.mean_[i], rel=1e-12, abs=0)
        assert row["variance"] == pytest.approx(theirs.var_[i], rel=1e-12, abs=0)
        assert row["minimum"] == np.nanmin(columns[:, i])
        assert row["maximum"] == np.nanmax(columns[:, i])
        assert row["shift"] == np.float32(theirs.mean_[i])
        assert row["scale"] == np.float32(theirs.scale_[i])
        assert row["default"] == np.float32(np.nanmin(columns[:, i]) - 0.001)


def test_width_and_order_do_not_reach_what_is_applied(run, tmp_path):
    def applied(name, **options):
        run.scale(tmp_path / f"{name}.json", **options)
        exports = (tmp_path / f"{name}.dict").read_text(), (tmp_path / f"{name}.yaml").read_text()
        rows_ = json.loads((tmp_path / f"{name}.json").read_text()).values()
        return [(r["shift"], r["scale"], r["default"]) for r in rows_], exports

    assert applied("a", width=1) == applied("b", width=4, order=-1) == applied("c", width=100)


def test_exports(run):
    ours = json.loads(run.scalers.read_text())
    umami = json.loads(run.scalers.with_suffix(".dict").read_text())["jets"]
    salt = yaml.safe_load(run.scalers.with_suffix(".yaml").read_text())["jets"]
    assert list(ours) == list(umami) == list(salt)
    for name, row in ours.items():
        assert umami[name] == {key: row[key] for key in ("shift", "scale", "default")}
        assert salt[name] == {"mean": row["shift"], "std": row["scale"]}


@pytest.fixture
def bad_ranges(tmp_path):
    columns = {
        "variables/gone": np.full(4, np.nan),
        "variables/same": np.full(4, 2.0),
        "variables/good": np.arange(4.0),
    }
    write_batch(tmp_path / "b.h5", iter(columns.items()), {"splits": np.array([3, 0, 1])})
    fit_scalers([tmp_path / "b.h5"], tmp_path / "r.json", variables=["gone", "same", "good"])
    return [tmp_path / "r.json"], tmp_path / "s.json", tmp_path / "d.json", tmp_path / "n.yaml"


def test_variables_that_cannot_be_scaled(bad_ranges):
    with pytest.raises(JetmillError, match="'gone' is missing in every training jet; variable 'same' is 2 in every"):
        merge_scalers(*bad_ranges, default_offset=0.001, defaults={}, strict=True)
    assert not bad_ranges[1].exists()


def test_variables_that_cannot_be_scaled_are_a_warning_if_not_strict(bad_ranges, caplog):
    merge_scalers(*bad_ranges, default_offset=0.001, defaults={"gone": -3}, strict=False)
    assert [r.message.split("'")[1] for r in caplog.records if r.levelname == "WARNING"] == ["gone", "same"]
    ours = json.loads(bad_ranges[1].read_text())
    assert (ours["gone"]["scale"], ours["same"]["scale"], ours["gone"]["default"]) == (1, 1, -3)
    assert ours["good"]["mean"] == 1


# balance


def test_counts_and_tables(run):
    with h5py.File(run.balance) as file:
        for split in range(3):
            np.testing.assert_array_equal(file["counts"][split], run.counts(split))
        n = run.counts()
        np.testing.assert_array_equal(file["kept"], n)
        assert "quota" not in file
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


def test_resampled_tables_and_quotas(run):
    n = run.counts()
    with h5py.File(run.resampled) as file:
        kept = np.broadcast_to(n.min(axis=0), n.shape)
        np.testing.assert_array_equal(file["kept"], kept)
        np.testing.assert_array_equal(sum(file[f"quota/{name}"][()] for name in run.bins), kept)
        np.testing.assert_array_equal(file["counts"][TRAIN], n)
        # Classes are equal already, so the table that makes them so is one.
        np.testing.assert_allclose(file["weights/average"][()][kept > 0], 1, rtol=1e-12)


def test_the_same_seed_the_same_quota(run, tmp_path):
    def quota(seed):
        with h5py.File(run.balanced("count", tmp_path / f"{seed}.h5", seed=seed)) as file:
            return file["quota/tt/0000"][()]

    with h5py.File(run.resampled) as file:
        before = file["quota/tt/0000"][()]
    np.testing.assert_array_equal(quota(1), before)
    assert not np.array_equal(quota(2), before)


def counts_file(path, counts):
    with h5py.File(path, "w") as file:
        file["counts"] = counts
    return {"tt/0000": path}


def balance_small(tmp_path, counts, *, method="average", resampling="none", strict=False, reference="b"):
    weights = {method: {"method": method} | ({"reference": reference} if method == "reference" else {})}
    balance(
        counts_file(tmp_path / "bins.h5", counts),
        tmp_path / "o.h5",
        bins={"pt": [(0, 1, 3)]},
        classes=["b", "c"],
        weights=weights,
        resampling=resampling,
        strict=strict,
        seed=1,
    )
    with h5py.File(tmp_path / "o.h5") as file:
        return file["kept"][()], file[f"weights/{method}"][()]


EMPTY_CLASS = np.array([[[0, 0, 0], [1, 2, 3]], [[4, 0, 0], [0, 0, 0]], [[0, 0, 0], [1, 1, 1]]])


def test_a_class_without_training_jets_is_an_error(tmp_path):
    with pytest.raises(JetmillError, match=r"no training jets of class b \(found: b 0, c 6\)") as error:
        balance_small(tmp_path, EMPTY_CLASS, strict=True)
    assert "strict: false" in str(error.value)
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize("resampling", ["none", "count"])
@pytest.mark.parametrize("method", ["average", "flat"])
def test_a_class_without_training_jets_is_a_warning_if_not_strict(tmp_path, caplog, method, resampling):
    kept, table = balance_small(tmp_path, EMPTY_CLASS, method=method, resampling=resampling)
    np.testing.assert_array_equal(kept, [[0, 0, 0], [1, 2, 3]])
    assert np.isfinite(table).all()
    assert (kept * table).sum() == pytest.approx(6)
    assert any("no training jets of class b" in r.message for r in caplog.records if r.levelname == "WARNING")


def test_a_reference_class_without_training_jets_gives_no_nan(tmp_path):
    try:
        _, table = balance_small(tmp_path, EMPTY_CLASS, method="reference")
    except JetmillError as error:
        assert "b" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(table).all()


@pytest.mark.parametrize("resampling", ["none", "count"])
def test_no_training_jet_at_all(tmp_path, resampling):
    counts = np.zeros((3, 2, 3), dtype=np.int64)
    with pytest.raises(JetmillError, match="no training jet is left: 0 before resampling"):
        balance_small(tmp_path, counts, resampling=resampling)


def test_classes_without_a_common_cell(tmp_path):
    counts = np.zeros((3, 2, 3), dtype=np.int64)
    counts[TRAIN] = [[4, 0, 0], [0, 5, 0]]
    with pytest.raises(JetmillError, match="no training jet is left: 9 before resampling by 'count', 0 after"):
        balance_small(tmp_path, counts, resampling="count")


# write


def truth(run, names=None):
    """Return the jets of some batches from the ROOT files, selected by hand: sample, run, event, pt, labels."""
    found = []
    for name in names or run.batches:
        with uproot.open(run.roots[name]) as file:
            tree = file["Events"].arrays(
                ["event", "Jet_pt", "Jet_eta", "Jet_hadronFlavour", "Jet_nBHadrons", "Jet_btagDeepL"]
            )
        jets = {k: ak.to_numpy(ak.flatten(tree[k])) for k in tree.fields if k != "event"}
        event = np.repeat(ak.to_numpy(tree["event"]), ak.to_numpy(ak.num(tree["Jet_pt"])))
        pt, eta, flavour = jets["Jet_pt"], jets["Jet_eta"], jets["Jet_hadronFlavour"]
        keep = (pt >= 20) & (pt <= 1000) & (abs(eta) <= 2.5)
        label = np.select([(flavour == 5) & (jets["Jet_nBHadrons"] <= 1), flavour == 5, flavour == 4], [0, 1, 2], 3)
        sample = np.full(len(pt), SAMPLES.index(name.split("/")[0]))
        columns = (sample[keep], event[keep], label[keep], jets["Jet_btagDeepL"][keep])
        found += zip(*(c.tolist() for c in columns), strict=True)
    return sorted(found)


IDENTITY = ("jets/sample", "jets/event/event", "jets/labels", "jets/reference/btagDeepL")


def test_every_selected_jet_of_root_is_written_once(run, tmp_path):
    paths = [
        run.write(tmp_path / f"{split}{part}.h5", split=split, part=part, n_parts=n)
        for split, n in (("train", 3), ("val", 1), ("test", 2))
        for part in range(n)
    ]
    assert rows(paths, *IDENTITY) == truth(run)


@pytest.mark.parametrize("balance_name", ["balance", "resampled"])
@pytest.mark.parametrize("n_parts", [2, 7])
def test_the_number_of_parts_changes_no_jet(run, tmp_path, n_parts, balance_name):
    table = getattr(run, balance_name)
    names = (*IDENTITY, "jets/inputs", "jets/weight", "jets/weight_flat", "jets/bins", "jets/is_default")
    whole = rows(run.write(tmp_path / "whole.h5", balance_path=table), *names)
    parts = [
        run.write(tmp_path / f"{part}.h5", part=part, n_parts=n_parts, balance_path=table) for part in range(n_parts)
    ]
    assert rows(parts, *names) == whole
    sizes = [len(rows(path, "jets/labels")) for path in parts]
    assert stats.chisquare(sizes).pvalue > 1e-3


def test_a_part_of_one_batch(run, tmp_path):
    paths = [run.write(tmp_path / f"{split}.h5", split=split, names=["qcd/0001"]) for split in SPLITS]
    assert rows(paths, *IDENTITY) == truth(run, ["qcd/0001"])


def test_values_of_a_part(run, tmp_path):
    """Every dataset of a row belongs to the same jet, which is found by its event and pT."""
    path = run.write(tmp_path / "train.h5")
    jets = load(path)
    scalers = json.loads(run.scalers.read_text())
    columns = {v: run.column(f"variables/{v}") for v in run.variables}
    of_event = {}
    for i, (event, pt) in enumerate(zip(run.column("event/event").tolist(), columns["pt"].tolist(), strict=True)):
        of_event.setdefault(event, []).append((pt, i))
    written = zip(jets.event["event"].tolist(), jets.variable("pt").tolist(), strict=True)
    place = [min(of_event[event], key=lambda jet, pt=pt: abs(jet[0] - pt))[1] for event, pt in written]
    assert sorted(place) == list(range(len(jets)))
    label = run.column("label")[place]
    np.testing.assert_array_equal(jets.labels, label)
    for i, name in enumerate(run.variables):
        values, row = columns[name][place].astype(np.float64), scalers[name]
        missing = np.isnan(values)
        np.testing.assert_array_equal(jets.is_default[:, i], missing)
        expected = (np.where(missing, row["default"], values) - row["shift"]) / row["scale"]
        np.testing.assert_allclose(jets.inputs[:, i], expected, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(jets.variable(name)[~missing], values[~missing], rtol=1e-5, atol=1e-5 * row["scale"])
    bins = [np.digitize(columns[v][place].astype(float), e[1:-1]) for v, e in zip(BINS, EDGES, strict=True)]
    np.testing.assert_array_equal(jets.bins, np.stack(bins, axis=1))
    with h5py.File(run.balance) as tables, h5py.File(path) as file:
        for dataset, table in (("weight", "average"), ("weight_flat", "flat"), ("weight_reference_c", "reference_c")):
            expected = tables[f"weights/{table}"][()][label, bins[0], bins[1]]
            np.testing.assert_array_equal(jets.weights[dataset], expected.astype(np.float32))
            assert jets.weights[dataset].mean(dtype=np.float64) == pytest.approx(1, rel=1e-6, abs=0)
        np.testing.assert_array_equal(file["jets/labels_one_hot"], np.eye(4)[label])
        for name in ("btagDeepB_b", "btagDeepL"):
            np.testing.assert_array_equal(jets.reference[name], run.column(f"reference/{name}")[place])
        assert list(file["jets/sample"].attrs["samples"]) == SAMPLES
        assert list(file["jets/is_default"].attrs["jet_variables"]) == run.variables
        types = {
            name: file[f"jets/{name}"].dtype for name in ("inputs", "labels", "bins", "weight", "sample", "event/event")
        }
    assert types == {"inputs": "f4", "labels": "u1", "bins": "u1", "weight": "f4", "sample": "u1", "event/event": "u8"}
    assert (jets.variables, jets.classes, jets.bin_variables) == (tuple(run.variables), tuple(CLASSES), tuple(BINS))


@pytest.mark.parametrize("balance_name", ["balance", "resampled"])
def test_a_part_is_shuffled(run, tmp_path, balance_name):
    jets = load(run.write(tmp_path / "train.h5", balance_path=getattr(run, balance_name)))
    with h5py.File(tmp_path / "train.h5") as file:
        batch = file["jets/sample"][()] * 2 + (jets.event["event"] >= 310_000_000)
    place = (np.arange(len(jets)) + 0.5) / len(jets)
    for group in (batch, jets.labels):
        for value in np.unique(group):
            assert stats.kstest(place[group == value], "uniform").pvalue > 1e-4
    for values in (jets.variable("pt"), jets.variable("eta"), jets.event["event"].astype(float)):
        assert stats.spearmanr(place, values).pvalue > 1e-4
    assert abs(np.corrcoef(batch[1:], batch[:-1])[0, 1]) < 4 / np.sqrt(len(jets))


def test_as_many_jets_doubled_as_dropped_are_still_the_right_ones(run, tmp_path, monkeypatch):
    def doubled_for_dropped(counts):
        quota = counts.copy()
        quota[0] *= 2
        light = quota[3].reshape(-1)
        # Take as many light jets away as b jets are added, from the fullest cells first.
        for cell in np.argsort(-light):
            light[cell] -= min(light[cell], quota.sum() - counts.sum())
        return quota

    monkeypatch.setitem(balancing.QUOTAS, "swap", doubled_for_dropped)
    name = next(iter(run.bins))
    options = {"bins": BINS, "classes": CLASSES, "weights": WEIGHTS, "strict": True, "seed": 1}
    balance({name: run.bins[name]}, tmp_path / "b.h5", resampling="swap", **options)
    jets = load(run.write(tmp_path / "p.h5", names=[name], balance_path=tmp_path / "b.h5"))
    with Batch(run.batches[name]) as batch:
        rows = batch.rows(TRAIN)
        label, pt, eta = batch.read("label", rows), *(batch.read(f"variables/{v}", rows) for v in ("pt", "eta"))
    assert len(jets) == len(label)
    distance = np.abs(jets.variable("pt")[:, None] - pt) + np.abs(jets.variable("eta")[:, None] - eta)
    row = distance.argmin(axis=1)
    np.testing.assert_array_equal(label[row], jets.labels)
    times = np.bincount(row, minlength=len(label))
    assert set(times[label == 0]) == {2}
    assert set(times[label != 0]) == {0, 1}


def test_small_blocks_change_nothing(run, tmp_path, monkeypatch):
    names = ("jets/inputs", "jets/is_default", "jets/labels")
    before = run.write(tmp_path / "a.h5")
    monkeypatch.setattr(write_module, "BLOCK_ROWS", 17)
    after = run.write(tmp_path / "b.h5")
    with h5py.File(before) as a, h5py.File(after) as b:
        for name in names:
            np.testing.assert_array_equal(a[name], b[name])


def histogram(paths):
    jets = [load(path) for path in paths]
    label, bins = np.concatenate([j.labels for j in jets]), np.concatenate([j.bins for j in jets])
    table = np.zeros((4, *SHAPE), dtype=int)
    np.add.at(table, (label, *bins.T), 1)
    return table


def test_undersampling_is_exact(run, tmp_path):
    paths = [run.write(tmp_path / f"{i}.h5", part=i, n_parts=3, balance_path=run.resampled) for i in range(3)]
    n = run.counts()
    np.testing.assert_array_equal(histogram(paths), np.broadcast_to(n.min(axis=0), n.shape))
    taken = rows(paths, *IDENTITY, "jets/inputs")
    assert len(set(taken)) == len(taken)
    assert set(taken) <= set(rows(run.write(tmp_path / "all.h5"), *IDENTITY, "jets/inputs"))


def test_only_training_is_resampled(run, tmp_path):
    for split in ("val", "test"):
        a, b = (
            run.write(tmp_path / f"{split}{i}.h5", split=split, balance_path=table)
            for i, table in enumerate((run.balance, run.resampled))
        )
        assert rows(a, *IDENTITY) == rows(b, *IDENTITY)


def test_quotas_above_the_count_give_copies(run, tmp_path):
    table = tmp_path / "balance.h5"
    table.write_bytes(run.resampled.read_bytes())
    asked = np.zeros((4, *SHAPE), dtype=int)
    with h5py.File(table, "a") as file:
        for name, path in run.bins.items():
            with h5py.File(path) as binned:
                count = binned["counts"][TRAIN]
            file[f"quota/{name}"][...] = quota = 2 * count + count // 3
            asked += quota
    paths = [run.write(tmp_path / f"{i}.h5", part=i, n_parts=3, balance_path=table) for i in range(3)]
    np.testing.assert_array_equal(histogram(paths), asked)
    copies = np.unique(np.array(rows(paths, *IDENTITY, "jets/inputs")), axis=0, return_counts=True)[1]
    assert set(copies) == {2, 3}
    jets = load(paths[0])
    neighbours = (jets.inputs[1:] == jets.inputs[:-1]).all(axis=1).mean()
    assert neighbours < 0.01


def test_float16(run, tmp_path):
    a, b = load(run.write(tmp_path / "a.h5")), load(run.write(tmp_path / "b.h5", precision="float16"))
    assert b.inputs.dtype == np.float16
    np.testing.assert_array_equal(b.inputs, a.inputs.astype(np.float16))
    np.testing.assert_array_equal(b.is_default, a.is_default)
    np.testing.assert_array_equal(b.weight, a.weight)


def test_float16_overflow_names_the_variables(run, tmp_path):
    scalers = json.loads(run.scalers.read_text())
    scalers["pt"]["scale"], scalers["DeepCSV_vertexMass"]["default"] = 1e-4, 1e9
    (tmp_path / "s.json").write_text(json.dumps(scalers))
    batches = [(n, run.batches[n], run.bins[n]) for n in run.batches]
    options = {"samples": SAMPLES, "precision": "float16"}
    with pytest.raises(JetmillError, match=r"2 scaled variable\(s\) do not fit into float16.*65504") as error:
        write_part(PartOf("train", 0, 1, batches), run.balance, tmp_path / "s.json", tmp_path / "o.h5", **options)
    assert "'pt' (" in str(error.value)
    assert "'DeepCSV_vertexMass' (" in str(error.value)
    assert "'eta'" not in str(error.value)
    assert "write.precision: float32" in str(error.value)
    assert not (tmp_path / "o.h5").exists()
    write_part(
        PartOf("train", 0, 1, batches),
        run.balance,
        tmp_path / "s.json",
        tmp_path / "o.h5",
        samples=SAMPLES,
        precision="float32",
    )


@pytest.mark.parametrize("value", [65520, -65520, np.inf])
def test_what_float16_rounds_to_infinity_is_an_overflow(value):
    inputs = np.array([[1, 0], [2, value]], dtype=np.float32)
    with pytest.raises(JetmillError, match=r"^1 scaled variable.*'y'"):
        write_module._check_float16(inputs, ["x", "y"])


def test_the_largest_float16_is_no_overflow():
    write_module._check_float16(np.array([[65504.0], [-65504.0]], dtype=np.float32), ["x"])
    write_module._check_float16(np.zeros((0, 1), dtype=np.float32), ["x"])


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_part_without_jets(run, tmp_path, split):
    # The last of very many ranges of keys.
    path = run.write(tmp_path / "p.h5", split=split, part=10**9 - 1, n_parts=10**9)
    jets = load(path)
    assert len(jets) == 0
    assert jets.inputs.shape == jets.is_default.shape == (0, len(run.variables))
    assert jets.bins.shape == (0, 2)
    full = run.write(tmp_path / "q.h5", split=split)
    write_index([path, full, path], tmp_path / "i.h5", merge=False)
    assert len(load(tmp_path / "i.h5")) == len(load(full))


def test_without_weight_tables_weights_are_one(run, tmp_path):
    table = run.balanced("none", tmp_path / "b.h5", weights={})
    jets = load(run.write(tmp_path / "p.h5", balance_path=table))
    assert list(jets.weights) == ["weight"]
    np.testing.assert_array_equal(jets.weight, 1)


# manifest


def test_manifest(run, tmp_path):
    n = {"train": 2, "val": 1, "test": 1}
    parts = [
        run.write(tmp_path / f"parts/{s}/part_{i}.h5", split=s, part=i, n_parts=n[s], balance_path=run.resampled)
        for s in SPLITS
        for i in range(n[s])
    ]
    config = load_config(RAW).model_dump(mode="json")
    write_manifest(list(run.batches.values()), run.resampled, parts, tmp_path / "manifest.json", config=config)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["config"] == config
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["python"] == sys.version.split()[0]
    for split, name in enumerate(SPLITS):
        counts = run.counts(split).sum(axis=(1, 2)).tolist()
        assert manifest["jets"]["cleaned"][name] == dict(zip(CLASSES, counts, strict=True))
    kept = run.counts().min(axis=0).sum()
    assert manifest["jets"]["training after resampling"] == dict.fromkeys(CLASSES, kept)
    cutflow = manifest["jets"]["cutflow"]
    assert [step for step, _ in cutflow] == ["read", *RAW["jets"]["select"], "in a class"]
    assert cutflow[-1][1] == len(truth(run))
    assert manifest["jets"]["read"] == cutflow[0][1] == sum(entry["jets"] for entry in manifest["inputs"])
    assert [(e["sample"], e["path"]) for e in manifest["inputs"]] == [(n[:-5], str(p)) for n, p in run.roots.items()]
    for path, entry in zip(parts, manifest["outputs"], strict=True):
        assert entry["path"] == str(path.relative_to(tmp_path))
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["size"] == path.stat().st_size
        labels = load(path).labels
        assert entry["classes"] == dict(zip(CLASSES, np.bincount(labels, minlength=4).tolist(), strict=True))
        assert entry["jets"] == len(labels)
    assert manifest["jets"]["written"] == sum(len(load(path)) for path in parts)


# write_torch


def test_torch_that_is_not_installed(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(JetmillError, match=r"write\.formats: torch needs PyTorch"):
        write_torch(run.write(tmp_path / "p.h5"), tmp_path / "p.pt")


@pytest.mark.torch
def test_torch(run, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    jets = load(run.write(tmp_path / "p.h5"))
    write_torch(tmp_path / "p.h5", tmp_path / "p.pt")
    tensors = torch.load(tmp_path / "p.pt", weights_only=True)
    np.testing.assert_array_equal(tensors["inputs"].numpy(), jets.inputs)
    np.testing.assert_array_equal(tensors["labels"].numpy(), jets.labels)
    assert tensors["labels"].dtype == torch.int64
    np.testing.assert_array_equal(tensors["weight"].numpy(), jets.weight)
    np.testing.assert_array_equal(tensors["bins"].numpy(), jets.bins)
    np.testing.assert_array_equal(tensors["is_default"].numpy(), jets.is_default)
    np.testing.assert_array_equal(tensors["reference"].numpy(), np.stack(list(jets.reference.values()), axis=1))
    assert tensors["variables"] == list(jets.variables)
    assert tensors["reference_outputs"] == list(jets.reference)
