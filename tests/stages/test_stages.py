import hashlib
import json
import sys
from dataclasses import replace

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from batches import at, clean_batch, cleaned, write_batch
from scipy import stats
from sklearn.preprocessing import StandardScaler
from written_files import write_part

from jetmill.balancing.binning import axes_of
from jetmill.balancing.selection import PartSpec, read_bins
from jetmill.columns.batch_file import Batch
from jetmill.columns.batch_list import write_batch_lists
from jetmill.config.load import adapter, as_json
from jetmill.config.load import load as load_config
from jetmill.errors import JetmillError
from jetmill.files import read_json, write_json
from jetmill.formats.content import scaled
from jetmill.formats.files import layout
from jetmill.formats.files.joining import join
from jetmill.formats.registry import FORMATS
from jetmill.formats.torch import write as write_torch
from jetmill.loading.jets import load
from jetmill.randomness import selection_key
from jetmill.settings.balance import Resampling
from jetmill.settings.scaling import ScalingRules
from jetmill.settings.stages import BalanceSettings, BinSettings, FitSettings, MergeSettings
from jetmill.splitting import SPLITS, TRAIN
from jetmill.stages import fit_scalers as fit_scalers_module
from jetmill.stages import plot_closure as plot_closure_module
from jetmill.stages.balance import balance
from jetmill.stages.bin_jets import bin_jets
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.stages.make_toy import write_toy_file
from jetmill.stages.merge_scalers import merge_scalers
from jetmill.stages.plot_closure import plot_closure
from jetmill.stages.write_manifest import class_counts, write_manifest

BINS = {"eta": [(-2.5, 2.5, 4)], "pt": [(20, 60, 3), (60, 1000, 2)]}
BIN_SETTINGS = BinSettings(bins=BINS, n_classes=4, outside="error")
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
        "spectators": ["btagDeepB_b", "btagDeepL"],
    },
    "classes": {
        "b": "hadronFlavour == 5 & nBHadrons <= 1",
        "bb": "hadronFlavour == 5 & nBHadrons > 1",
        "c": "hadronFlavour == 4",
        "light": "rest",
    },
    "balance": {"bins": {"eta": [-2.5, 2.5, 4], "pt": [[20, 60, 3], [60, 1000, 2]]}},
}


MODULO = {"by": "modulo", "modulo": 10, "test": [0, 1], "val": [2]}
PROCESSES = {"tt": "ttbar", "qcd": "qcd"}


class Run:
    """Cleaned and binned batches of two samples, and what is made of them."""

    def __init__(self, directory, files_per_batch=1, raw=RAW):
        self.directory, self.config = directory, load_config(raw)
        self.variables = list(self.config.jets.variables)
        self.batches, self.roots = {}, {}
        for sample, process in PROCESSES.items():
            roots = [directory / f"{sample}{number}.root" for number in range(2)]
            for number, root in enumerate(roots):
                write_toy_file(root, "root", process=process, n_jets=2500, seed=1, sample=sample, number=number)
            for start in range(0, 2, files_per_batch):
                name = f"{sample}/{start // files_per_batch:04d}"
                self.roots[name] = roots[start : start + files_per_batch]
                self.batches[name] = directory / f"clean/{name}.h5"
                where = {"sample": sample, "first_file": start}
                clean_batch(self.roots[name], self.batches[name], settings=self.config.cleaning, **where)
        # Two groups, the second one of both samples.
        sources, self.bins = self.sources(), [directory / f"bins/{k}.h5" for k in range(2)]
        bin_jets(sources[:1], self.bins[0], BIN_SETTINGS)
        bin_jets(sources[1:], self.bins[1], BIN_SETTINGS)
        self.scalers = directory / "scalers.json"
        self.scale(self.scalers, width=4)
        self.balance = self.balanced()
        self.resampled = self.balanced(method="count")
        self.repeated = self.balanced(method="pdf", target="flat", max_upsampling=3)

    def sources(self, names=None):
        """Return some batches, or all."""
        return [cleaned(name.split("/")[0], self.batches[name]) for name in names or list(self.batches)]

    def scale(self, output, *, width, order=1, settings=ScalingRules(), balance_path=None):  # noqa: B008
        paths = []
        for start in range(0, len(self.variables), width):
            paths.append(output.with_name(f"{output.stem}_{width}_{order}_{start}.json"))
            names = self.variables[start : start + width]
            of_range = FitSettings.from_rules("jets", names, settings)
            fit_scalers(self.sources()[::order], paths[-1], of_range, balance_path=balance_path)
        merge_scalers(paths, output, MergeSettings(rules={"jets": settings}, strict=True))

    def balanced(self, output=None, *, order=1, weights=WEIGHTS, **resampling):
        output = output or self.directory / f"balance_{resampling.get('method', 'none')}.h5"
        options = {"bins": BINS, "classes": CLASSES, "samples": SAMPLES, "weights": weights, "strict": True}
        settings = BalanceSettings(resampling=adapter(Resampling).validate_python(resampling), **options)
        balance(self.sources()[::order], self.bins[::order], output, settings)
        return output

    def write(
        self, output, *, split="train", part=0, n_parts=1, names=None, balance_path=None, scalers=None, **content
    ):
        write_part(
            PartSpec(split, (part, n_parts), self.sources(names)),
            *(balance_path or self.balance, scalers or self.scalers, output),
            content=replace(self.config.content, **content),
            compression="none",
        )
        return output

    def column(self, name, split=TRAIN, sample=""):
        """Return a column of all batches joined, or of those of a sample."""
        found = []
        for path in [path for key, path in self.batches.items() if key.startswith(sample)]:
            with Batch(path) as batch:
                found.append(batch.read(at(name), *batch.rows(split)))
        return np.concatenate(found)

    def counts(self, split=TRAIN, sample=""):
        """Return the histogram by class, from numpy, of all samples or one."""
        rows = np.stack([self.column(f"variables/{v}", split, sample).astype(float) for v in BINS], axis=1)
        label = self.column("label", split, sample)
        return np.stack([np.histogramdd(rows[label == c], EDGES)[0] for c in range(4)]).astype(int)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same jets in one batch for each sample."""
    return Run(tmp_path_factory.mktemp("whole"), files_per_batch=2)


def rows(file_or_files, *names):
    """Return the rows of some datasets of all files, sorted, as tuples; NaN cannot be among them."""
    found = []
    for path in file_or_files if isinstance(file_or_files, list) else [file_or_files]:
        with h5py.File(path) as file:
            columns = [c for name in names for c in np.atleast_2d(file[name][()].T)]
        found += zip(*(c.tolist() for c in columns), strict=True)
    return sorted(found)


# bin_jets


def test_cells_and_counts(run):
    expected = {}
    edges = [np.arange(n + 1) - 0.5 for n in (3, 4, *SHAPE)]
    for number, listed in enumerate(run.sources()):
        with listed.open() as batch:
            eta, pt = batch.read(at("variables/eta")).astype(float), batch.read(at("variables/pt")).astype(float)
            split, label = batch.split_codes(), batch.read(at("label"))
            bin_index = read_bins(batch, axes_of(BINS))
        assert bin_index.dtype == np.int32
        bins = stats.binned_statistic_dd([eta, pt], None, "count", bins=EDGES, expand_binnumbers=True).binnumber - 1
        np.testing.assert_array_equal(np.unravel_index(bin_index, SHAPE), bins)
        group = expected.setdefault(min(number, 1), {})
        group[listed.sample] = (
            group.get(listed.sample, 0) + np.histogramdd(np.stack([split, label, *bins], axis=1), edges)[0]
        )
    assert [set(group) for group in expected.values()][-1] == {"tt", "qcd"}
    for path, group in zip(run.bins, expected.values(), strict=True):
        with h5py.File(path) as file:
            assert set(file) == {"counts", "outside"}
            assert set(file["outside"]) == set(group)
            assert not any(table[()].any() for table in file["outside"].values())
            assert set(file["counts"]) == set(group)
            for sample, counts in group.items():
                np.testing.assert_array_equal(file["counts"][sample][()], counts)


@pytest.mark.parametrize("spoil", [np.nan, 19.0, 2000.0])
def test_jets_outside_the_bins_name_the_batch(tmp_path, spoil):
    columns = {"label": np.zeros(3, np.uint8), "variables/eta": np.zeros(3), "variables/pt": np.array([30, spoil, 40])}
    write_batch(tmp_path / "b.h5", iter(columns.items()), {"splits": np.array([3, 0, 0])})
    with pytest.raises(JetmillError, match=rf"^{tmp_path / 'b.h5'}: 1 of 3 training jets are outside the bins of 'pt'"):
        bin_jets([cleaned("tt", tmp_path / "b.h5")], tmp_path / "o.h5", BIN_SETTINGS)
    assert not (tmp_path / "o.h5").exists()


def test_a_batch_without_jets(tmp_path):
    columns = {"label": np.zeros(0, np.uint8), "variables/eta": np.zeros(0), "variables/pt": np.zeros(0)}
    write_batch(tmp_path / "b.h5", iter(columns.items()), {"splits": np.array([0, 0, 0])})
    bin_jets([cleaned("tt", tmp_path / "b.h5")], tmp_path / "o.h5", BIN_SETTINGS)
    with h5py.File(tmp_path / "o.h5") as file:
        assert file["counts/tt"].shape == (3, 4, *SHAPE)
        assert not file["counts/tt"][()].any()


# fit_scalers, merge_scalers


@pytest.mark.parametrize(("width", "order"), [(1, 1), (3, -1), (100, 1), (100, -1)])
def test_scalers_are_those_of_standard_scaler(run, tmp_path, width, order):
    run.scale(tmp_path / "s.json", width=width, order=order)
    ours = json.loads((tmp_path / "s.json").read_text())["jets"]
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


@pytest.mark.parametrize("method", ["standard", "robust"])
def test_width_order_and_blocks_do_not_reach_what_is_applied(run, tmp_path, monkeypatch, method):
    settings = ScalingRules(method=method, log=["pt"], unscaled=["eta"])

    def applied(name, **options):
        run.scale(tmp_path / f"{name}.json", settings=settings, **options)
        rows_ = json.loads((tmp_path / f"{name}.json").read_text())["jets"]
        return {name: {key: row[key] for key in ("shift", "scale", "default", "log")} for name, row in rows_.items()}

    found = applied("a", width=1)
    assert found == applied("b", width=4, order=-1) == applied("c", width=100)
    assert (found["pt"]["log"], found["eta"]["shift"]) == (True, 0)
    monkeypatch.setattr(fit_scalers_module, "BLOCK_ROWS", 100)
    assert found == applied("d", width=4)


@pytest.fixture
def bad_ranges(tmp_path):
    columns = {
        "variables/gone": np.full(4, np.nan),
        "variables/same": np.full(4, 2.0),
        "variables/good": np.arange(4.0),
    }
    write_batch(tmp_path / "b.h5", iter(columns.items()), {"splits": np.array([3, 0, 1])})
    names = ["gone", "same", "good"]
    settings = FitSettings.from_rules("jets", names, ScalingRules())
    fit_scalers([cleaned("tt", tmp_path / "b.h5")], tmp_path / "r.json", settings)
    return [tmp_path / "r.json"], tmp_path / "s.json"


def test_variables_that_cannot_be_scaled(bad_ranges):
    message = "'gone' of jets is missing everywhere in the training split; variable 'same' of jets is 2 wherever"
    with pytest.raises(JetmillError, match=message):
        merge_scalers(*bad_ranges, MergeSettings(rules={"jets": ScalingRules()}, strict=True))
    assert not bad_ranges[1].exists()


def test_variables_that_cannot_be_scaled_are_a_warning_if_not_strict(bad_ranges, caplog):
    merge_scalers(*bad_ranges, MergeSettings(rules={"jets": ScalingRules(defaults={"gone": -3})}, strict=False))
    assert [r.message.split("'")[1] for r in caplog.records if r.levelname == "WARNING"] == ["gone", "same"]
    ours = json.loads(bad_ranges[1].read_text())["jets"]
    assert (ours["gone"]["scale"], ours["same"]["scale"], ours["gone"]["default"]) == (1, 1, -3)
    assert ours["good"]["mean"] == 1


# balance


def test_counts_and_tables(run):
    with h5py.File(run.balance) as file:
        for split in range(3):
            by_sample = [file[f"counts/{sample}"][split] for sample in SAMPLES]
            np.testing.assert_array_equal(sum(by_sample), run.counts(split))
            for sample, table in zip(SAMPLES, by_sample, strict=True):
                np.testing.assert_array_equal(table, run.counts(split, sample))
        n = run.counts()
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


def taken(run, path, output="train"):
    """Return what is taken by the keys in the batches: jets (n_classes, *bins), and how many 1, 2, ... times."""
    table, times = np.zeros((4, *SHAPE), dtype=int), np.zeros((4, 1000), dtype=int)
    split = {"train": 0, "val_resampled": 1}[output]
    with h5py.File(path) as file:
        for listed in run.sources():
            with listed.open() as batch:
                (rows_,) = batch.rows(split)
                key, label = batch.read(at("key"), rows_), batch.read(at("label"), rows_)
                columns = [batch.read(at(f"variables/{name}"), rows_).astype(float) for name in ("eta", "pt")]
            bins = stats.binned_statistic_dd(columns, None, "count", bins=EDGES, expand_binnumbers=True).binnumber - 1
            place = (label, *bins)
            copies, threshold = (
                file[f"{name}/{output}/{listed.sample}"][()][place] for name in ("repeats", "threshold")
            )
            copies = copies + (selection_key(key) < threshold)
            np.add.at(table, place, copies)
            np.add.at(times, (label, copies), 1)
    return table, times[:, 1:]


def test_undersampled_tables(run):
    n = run.counts()
    with h5py.File(run.resampled) as file:
        kept = np.broadcast_to(n.min(axis=0), n.shape)
        np.testing.assert_array_equal(file["kept/train"], kept)
        np.testing.assert_array_equal(file["repeat_histogram/train"], np.stack([n - kept, kept]).sum(axis=(2, 3)).T)
        np.testing.assert_array_equal(sum(table[TRAIN] for table in file["counts"].values()), n)
        # Classes are equal already, so the table that makes them so is one.
        np.testing.assert_allclose(file["weights/average"][()][kept > 0], 1, rtol=1e-12)
    np.testing.assert_array_equal(taken(run, run.resampled)[0], kept)


HALVES = [{"samples": ["tt"], "bins": {"pt": [20, 60]}}, {"samples": ["tt", "qcd"], "bins": {"pt": [60, 1000]}}]
METHODS = {
    "count": {"method": "count"},
    "importance": {"method": "importance", "target": "average", "num_jets": 200},
    "pdf": {"method": "pdf", "target": "flat", "max_upsampling": 3, "shares": {"b": 2}},
    "few repeats": {"method": "pdf", "target": "flat", "max_upsampling": 3, "max_repeats": 2},
    "countup": {"method": "countup", "target": "light", "components": HALVES},
    "fewer": {"num_jets": 1000},
    "one sample": {"method": "count", "components": [{"samples": ["tt"]}]},
    "components": {"components": [HALVES[0] | {"fraction": 3}, HALVES[1] | {"fraction": 1}]},
}


@pytest.mark.parametrize("resampling", METHODS.values(), ids=METHODS.keys())
def test_quotas_are_filled_exactly(run, tmp_path, resampling):
    validation = resampling.get("method") in ("count", "pdf")
    path = run.balanced(tmp_path / "b.h5", validation=validation, **resampling)
    for output in ("train", "val_resampled") if validation else ("train",):
        table, times = taken(run, path, output)
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
def test_tables_do_not_depend_on_the_batches(run, whole, tmp_path, resampling):
    paths = [
        run.balanced(tmp_path / "a.h5", **resampling),
        run.balanced(tmp_path / "b.h5", order=-1, **resampling),
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
    return [("tt", directory / "batch.h5")], [directory / "bins.h5"]


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


# write


def truth(run, names=None):
    """Return the jets of some batches from the ROOT files, selected by hand: sample, run, event, pt, labels."""
    found = []
    for name in names or run.batches:
        branches = ["event", *(f"Jet_{v}" for v in ("pt", "eta", "hadronFlavour", "nBHadrons", "btagDeepL"))]
        tree = uproot.concatenate([f"{root}:Events" for root in run.roots[name]], branches)
        jets = {k: ak.to_numpy(ak.flatten(tree[k])) for k in tree.fields if k != "event"}
        event = np.repeat(ak.to_numpy(tree["event"]), ak.to_numpy(ak.num(tree["Jet_pt"])))
        pt, eta, flavour = jets["Jet_pt"], jets["Jet_eta"], jets["Jet_hadronFlavour"]
        keep = (pt >= 20) & (pt <= 1000) & (abs(eta) <= 2.5)
        label = np.select([(flavour == 5) & (jets["Jet_nBHadrons"] <= 1), flavour == 5, flavour == 4], [0, 1, 2], 3)
        sample = np.full(len(pt), SAMPLES.index(name.split("/")[0]))
        columns = (sample[keep], event[keep], label[keep], jets["Jet_btagDeepL"][keep])
        found += zip(*(c.tolist() for c in columns), strict=True)
    return sorted(found)


IDENTITY = ("jets/sample", "jets/event/event", "jets/labels", "jets/spectators/btagDeepL")


def test_every_selected_jet_of_root_is_written_once(run, tmp_path):
    paths = [
        run.write(tmp_path / f"{split}{part}.h5", split=split, part=part, n_parts=n)
        for split, n in (("train", 3), ("val", 1), ("test", 2))
        for part in range(n)
    ]
    assert rows(paths, *IDENTITY) == truth(run)


@pytest.mark.parametrize("balance_name", ["balance", "resampled", "repeated"])
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
    scalers = json.loads(run.scalers.read_text())["jets"]
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
            np.testing.assert_array_equal(jets.spectators[name], run.column(f"spectators/{name}")[place])
        assert list(file["jets/sample"].attrs["samples"]) == SAMPLES
        assert list(file["jets/is_default"].attrs["jet_variables"]) == run.variables
        types = {
            name: file[f"jets/{name}"].dtype for name in ("inputs", "labels", "bins", "weight", "sample", "event/event")
        }
    assert types == {"inputs": "f4", "labels": "u1", "bins": "i1", "weight": "f4", "sample": "u1", "event/event": "u8"}
    assert (jets.variables, jets.classes, jets.bin_variables) == (tuple(run.variables), tuple(CLASSES), tuple(BINS))


@pytest.mark.parametrize("balance_name", ["balance", "resampled", "repeated"])
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


def test_small_blocks_change_nothing(run, tmp_path, monkeypatch):
    names = ("jets/inputs", "jets/is_default", "jets/labels")
    before = run.write(tmp_path / "a.h5")
    monkeypatch.setattr(scaled, "BLOCK_ROWS", 17)
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
    found = rows(paths, *IDENTITY, "jets/inputs")
    assert len(set(found)) == len(found)
    assert set(found) <= set(rows(run.write(tmp_path / "all.h5"), *IDENTITY, "jets/inputs"))


def test_repeats_are_exact(run, tmp_path):
    paths = [run.write(tmp_path / f"{i}.h5", part=i, n_parts=3, balance_path=run.repeated) for i in range(3)]
    with h5py.File(run.repeated) as file:
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


def test_resampled_validation(run, tmp_path):
    table = run.balanced(tmp_path / "b.h5", method="count", validation=True)
    paths = [
        run.write(tmp_path / f"{i}.h5", split="val_resampled", part=i, n_parts=2, balance_path=table) for i in range(2)
    ]
    n = run.counts(1)
    np.testing.assert_array_equal(histogram(paths), np.broadcast_to(n.min(axis=0), n.shape))
    found = rows(paths, *IDENTITY, "jets/inputs")
    assert len(set(found)) == len(found)
    assert set(found) < set(
        rows(run.write(tmp_path / "v.h5", split="val", balance_path=table), *IDENTITY, "jets/inputs")
    )


@pytest.mark.parametrize("resampling", [{}, *METHODS.values()], ids=["none", *METHODS])
@pytest.mark.parametrize("split", SPLITS)
def test_parts_do_not_depend_on_the_batches(run, whole, tmp_path, split, resampling):
    paths = []
    for name, r in (("a", run), ("b", whole)):
        table = r.balanced(tmp_path / f"{name}_balance.h5", **resampling)
        paths.append(r.write(tmp_path / f"{name}.h5", split=split, part=1, n_parts=3, balance_path=table))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert len(load(paths[0])) > 20


def test_another_seed_takes_other_jets(run, tmp_path):
    (tmp_path / "other").mkdir()
    other = Run(tmp_path / "other", raw=RAW | {"seed": 2, "split": MODULO})
    same = Run(tmp_path, raw=RAW | {"split": MODULO})
    found = [set(rows(r.write(tmp_path / "p.h5", balance_path=r.resampled), *IDENTITY)) for r in (same, other)]
    np.testing.assert_array_equal(same.counts(), other.counts())
    assert len(found[0] & found[1]) < 0.8 * len(found[0])


def test_only_training_is_resampled(run, tmp_path):
    for split in ("val", "test"):
        a, b = (
            run.write(tmp_path / f"{split}{i}.h5", split=split, balance_path=table)
            for i, table in enumerate((run.balance, run.resampled))
        )
        assert rows(a, *IDENTITY) == rows(b, *IDENTITY)


def test_float16(run, tmp_path):
    a, b = load(run.write(tmp_path / "a.h5")), load(run.write(tmp_path / "b.h5", precision="float16"))
    assert b.inputs.dtype == np.float16
    np.testing.assert_array_equal(b.inputs, a.inputs.astype(np.float16))
    np.testing.assert_array_equal(b.is_default, a.is_default)
    np.testing.assert_array_equal(b.weight, a.weight)


def test_float16_overflow_names_the_variables(run, tmp_path):
    scalers = read_json(run.scalers)
    scalers["jets"]["pt"]["scale"], scalers["jets"]["DeepCSV_vertexMass"]["default"] = 1e-4, 1e9
    write_json(tmp_path / "s.json", scalers)

    with pytest.raises(JetmillError, match=r"2 scaled variable\(s\) do not fit into float16.*65504") as error:
        run.write(tmp_path / "o.h5", scalers=tmp_path / "s.json", precision="float16")
    assert "'pt' (" in str(error.value)
    assert "'DeepCSV_vertexMass' (" in str(error.value)
    assert "'eta'" not in str(error.value)
    assert "write.precision: float32" in str(error.value)
    assert not (tmp_path / "o.h5").exists()
    run.write(tmp_path / "o.h5", scalers=tmp_path / "s.json")


@pytest.mark.parametrize("value", [65520, -65520, np.inf])
def test_what_float16_rounds_to_infinity_is_an_overflow(value):
    inputs = np.array([[1, 0], [2, value]], dtype=np.float32)
    with pytest.raises(JetmillError, match=r"^1 scaled variable.*'y'"):
        scaled._check_float16(inputs, ["x", "y"])


def test_the_largest_float16_is_no_overflow():
    scaled._check_float16(np.array([[65504.0], [-65504.0]], dtype=np.float32), ["x"])
    scaled._check_float16(np.zeros((0, 1), dtype=np.float32), ["x"])


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_part_without_jets(run, tmp_path, split):
    # The last of very many ranges of keys.
    path = run.write(tmp_path / "p.h5", split=split, part=10**9 - 1, n_parts=10**9)
    jets = load(path)
    assert len(jets) == 0
    assert jets.inputs.shape == jets.is_default.shape == (0, len(run.variables))
    assert jets.bins.shape == (0, 2)
    full = run.write(tmp_path / "q.h5", split=split)
    join([path, full, path], tmp_path / "i.h5", merge=False)
    assert len(load(tmp_path / "i.h5")) == len(load(full))


def test_without_weight_tables_weights_are_one(run, tmp_path):
    table = run.balanced(tmp_path / "b.h5", weights={})
    jets = load(run.write(tmp_path / "p.h5", balance_path=table))
    assert list(jets.weights) == ["weight"]
    np.testing.assert_array_equal(jets.weight, 1)


# plot_closure


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": "robust"}, {"log": ["pt", "DeepCSV_vertexMass", "DeepCSV_trackSip3dSig_0"]}, {"clip": 1}],
    ids=["standard", "robust", "log", "clip"],
)
def test_the_closure_is_that_of_single_precision(run, tmp_path, monkeypatch, settings):
    drawn = {}
    monkeypatch.setattr(plot_closure_module, "draw_closure", lambda *arguments: drawn.update(enumerate(arguments)))
    monkeypatch.setattr(plot_closure_module, "save", lambda *arguments: None)
    scalers = tmp_path / "s.json"
    run.scale(scalers, width=100, settings=ScalingRules(**settings))
    part = run.write(tmp_path / "p.h5", scalers=scalers, part=1, n_parts=2, balance_path=run.repeated)
    plot_closure(PartSpec("train", (1, 2), run.sources()), run.repeated, part, tmp_path / "c.png")
    assert drawn[0] == tuple(run.variables)
    assert len(drawn[1]) == len(run.variables)
    assert 0 < drawn[1].max() < 1e-5
    # A part of other jets does not pass.
    other = run.write(tmp_path / "o.h5", scalers=scalers, part=0, n_parts=2, balance_path=run.repeated)
    with pytest.raises((JetmillError, ValueError)):
        plot_closure(PartSpec("train", (1, 2), run.sources()), run.repeated, other, tmp_path / "c.png")


# manifest


def test_manifest(run, tmp_path):
    n = {"train": 2, "val": 1, "test": 1}
    parts = [
        run.write(tmp_path / f"hdf5/{s}/part_{i}.h5", split=s, part=i, n_parts=n[s], balance_path=run.resampled)
        for s in SPLITS
        for i in range(n[s])
    ]
    config = as_json(load_config(RAW))
    (tmp_path / "tfrecords").mkdir()
    others = [tmp_path / "tfrecords" / name for name in "ab"]
    for other in others:
        other.write_text(other.name)
    (tmp_path / "tfrecords/.snakemake_timestamp").touch()  # as Snakemake does in directories it makes
    written = [*parts, tmp_path / "tfrecords"]
    join(parts[:2], tmp_path / "train.h5", merge=False)
    join(parts[:2], tmp_path / "val.h5", merge=True)
    write_json(tmp_path / "scalers.json", {"jets": {"pt": {"warnings": ["pt is -999 for 7 jets"]}}})
    batches = write_batch_lists(list(run.batches.values()), {tmp_path / "batches.json": {}})
    batches[1].warnings.append("a file was skipped")
    more = {
        "scalers": tmp_path / "scalers.json",
        "joined": [tmp_path / "train.h5", tmp_path / "val.h5"],
        "tables": [tmp_path / "scalers.json"],
        "user_files": {"plugin.py": "12ab", "maps.root": "34cd"},
    }
    write_manifest(batches, run.resampled, written, tmp_path / "manifest.json", config=config, **more)
    content = (tmp_path / "manifest.json").read_bytes()
    write_manifest(batches, run.resampled, written, tmp_path / "manifest.json", config=config, **more, threads=3)
    assert (tmp_path / "manifest.json").read_bytes() == content
    manifest = json.loads(content)
    assert manifest["config"] == config
    assert manifest["user_files"] == [{"path": "maps.root", "sha256": "34cd"}, {"path": "plugin.py", "sha256": "12ab"}]
    with h5py.File(run.resampled) as file:
        of_balance = json.loads(file.attrs["warnings"])
    assert manifest["warnings"] == ["a file was skipped", *of_balance, "pt is -999 for 7 jets"]
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["python"] == sys.version.split()[0]
    for split, name in enumerate(SPLITS):
        counts = run.counts(split).sum(axis=(1, 2)).tolist()
        assert manifest["jets"]["cleaned"][name] == dict(zip(CLASSES, counts, strict=True))
    kept = run.counts().min(axis=0).sum()
    assert manifest["jets"]["training after resampling"] == dict.fromkeys(CLASSES, kept)
    assert manifest["jets"]["unique training jets"] == 4 * kept
    cutflow = manifest["jets"]["cutflow"]
    assert [step for step, _ in cutflow] == ["read", *RAW["jets"]["select"], "in a class"]
    assert cutflow[-1][1] == len(truth(run))
    assert manifest["jets"]["read"] == cutflow[0][1] == sum(entry["jets"] for entry in manifest["inputs"])
    roots = [(name[:-5], str(path)) for name, paths in run.roots.items() for path in paths]
    assert [(e["sample"], e["path"]) for e in manifest["inputs"]] == roots
    *of_parts, first, second = manifest["outputs"]
    assert [first, second] == [
        {"path": f"tfrecords/{p.name}", "size": 1, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()} for p in others
    ]
    for path, entry in zip(parts, of_parts, strict=True):
        assert entry["path"] == str(path.relative_to(tmp_path))
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["size"] == path.stat().st_size
        labels = load(path).labels
        assert entry["classes"] == dict(zip(CLASSES, np.bincount(labels, minlength=4).tolist(), strict=True))
        assert entry["jets"] == len(labels)
    for path, entry in zip(more["joined"] + more["tables"], manifest["joined"] + manifest["tables"], strict=True):
        assert entry["path"] == path.name
        assert entry["size"] == path.stat().st_size
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    virtual, merged = manifest["joined"]
    labels = np.concatenate([load(path).labels for path in parts[:2]])
    assert virtual["jets"] == merged["jets"] == len(labels)
    assert virtual["parts"] == ["hdf5/train/part_0.h5", "hdf5/train/part_1.h5"]
    assert "parts" not in merged
    assert merged["classes"] == dict(zip(CLASSES, np.bincount(labels, minlength=4).tolist(), strict=True))


def test_classes_are_counted_in_blocks(run, tmp_path, monkeypatch):
    part = run.write(tmp_path / "p.h5")
    monkeypatch.setattr(layout, "CHUNK_BYTES", 10)  # 80 jets at a time
    with h5py.File(part) as file:
        assert (
            class_counts(file, FORMATS["hdf5"].check, len(CLASSES)).tolist()
            == np.bincount(file["jets/labels"], minlength=4).tolist()
        )


def test_a_label_without_class_is_not_counted(run, tmp_path):
    part = run.write(tmp_path / "p.h5")
    with h5py.File(part, "r+") as file:
        file["jets/labels"][3] = len(CLASSES)
    with h5py.File(part) as file, pytest.raises(JetmillError, match=r"p\.h5: labels are 0 to 4, of 4 classes"):
        class_counts(file, FORMATS["hdf5"].check, len(CLASSES))


# write_torch


def test_torch_that_is_not_installed(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(JetmillError, match=r"write\.formats: torch needs PyTorch"):
        write_torch(run.write(tmp_path / "p.h5"), tmp_path / "p.pt")


@pytest.mark.readers
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
    np.testing.assert_array_equal(tensors["spectators"].numpy(), np.stack(list(jets.spectators.values()), axis=1))
    assert tensors["variables"] == list(jets.variables)
    assert tensors["spectator_names"] == list(jets.spectators)


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
