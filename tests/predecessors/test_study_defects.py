"""The defects B1 to B16 of the CMS study AI_Safety_2021, each shown to be one, each absent here.

A test says what the study does, does it, and asserts that the result is wrong and ours is right.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import uproot
from batches import cleaned
from scipy.stats import binned_statistic_2d
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from written_files import write_part

import jetmill
from jetmill.balancing.binning import Axis
from jetmill.balancing.selection import PartSpec
from jetmill.balancing.weights import mean_one, weight_table
from jetmill.columns.batch_list import CleanedBatch
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.plan import Plan
from jetmill.splitting import SPLITS
from jetmill.stages.balance import balance
from jetmill.stages.bin_jets import bin_jets
from jetmill.stages.clean import clean_batch
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.stages.merge_scalers import merge_scalers

# An entry is a jet; the remainder of the event number by 5 says the split: 0 test, 1 val, others train.
CONFIG: dict[str, Any] = {
    "input": {"level": "jet", "jets": "", "event_id": ["event"], "files_per_batch": 1},
    "jets": {"variables": ["eta", "pt"], "spectators": ["number"], "missing": {"values": [-999]}},
    "classes": {"b": "flavour == 5", "c": "flavour == 4", "udsg": "rest"},
    "split": {"by": "modulo", "modulo": 5, "test": [0], "val": [1]},
    "balance": {"bins": {"eta": [-2.5, 2.5, 2], "pt": [[20, 100, 2], [100, 1000, 1]]}, "weights": ["average", "flat"]},
}

Columns = Mapping[str, np.ndarray]


def toy(n: int = 600, seed: int = 1, *, shares: Sequence[float] = (0.2, 0.2, 0.6), **columns: np.ndarray) -> Columns:
    """Return jets, two per event, with the shares of b, c and light jets and further or other columns."""
    rng = np.random.default_rng(seed)
    return {
        "eta": rng.uniform(-2.5, 2.5, n).astype(np.float32),
        "pt": (20 + rng.gamma(1.5, 60, n).clip(0, 900)).astype(np.float32),
        "flavour": rng.choice([5, 4, 0], n, p=shares).astype(np.int32),
        "event": (1_000_000 * seed + np.arange(n) // 2).astype(np.uint64),
        "number": (10_000 * seed + np.arange(n)).astype(np.float32),
        **columns,
    }


def is_training(jets: Columns) -> np.ndarray:
    return jets["event"] % np.uint64(5) > 1


class Mill:
    """All stages on some files, in this process; every stage reads only what the one before wrote."""

    def __init__(self, directory: Path, samples: Mapping[str, Sequence[Columns]], **changes: Any):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        files = {}
        for name, contents in samples.items():
            paths = [directory / f"{name}_{number}.root" for number in range(len(contents))]
            for path, jets in zip(paths, contents, strict=True):
                with uproot.recreate(path) as file:
                    file.mktree("Events", {column: values.dtype for column, values in jets.items()})
                    file["Events"].extend(dict(jets))
            files[name] = {"files": [str(path) for path in paths]}
        sections = {key: {**CONFIG.get(key, {}), **value} for key, value in changes.items() if isinstance(value, dict)}
        plain = {key: value for key, value in changes.items() if not isinstance(value, dict)}
        self.config = load({**CONFIG, **sections, **plain, "samples": files})
        self.plan = Plan(self.config)

    @property
    def batch_files(self) -> list[Path]:
        return [self.directory / "clean" / b.sample / f"{b.number}.h5" for b in self.plan.batches]

    @property
    def sources(self) -> list[CleanedBatch]:
        return [cleaned(batch.sample, path) for batch, path in zip(self.plan.batches, self.batch_files, strict=True)]

    def clean(self) -> None:
        for batch, path in zip(self.plan.batches, self.batch_files, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            clean_batch(batch, path, self.config.cleaning)

    def scale(self) -> dict[str, dict[str, float]]:
        ranges = [self.directory / f"range_{number}.json" for number in self.plan.range_numbers]
        for settings, path in zip(self.plan.fit_settings, ranges, strict=True):
            fit_scalers(self.sources, path, settings)
        output = self.directory / "scalers.json"
        merge_scalers(ranges, output, self.plan.merge_settings)
        return json.loads(output.read_text())["jets"]

    def balance(self) -> None:
        binned = self.directory / "bins.h5"
        bin_jets(self.sources, binned, self.plan.bin_settings["0000"])
        balance(self.sources, [binned], self.directory / "balance.h5", self.plan.balance_settings)

    def write(self) -> None:
        for output in self.plan.outputs:
            for part in self.plan.parts(output):
                write_part(
                    PartSpec(output, self.plan.slice_of_keys(output, part), self.sources[self.plan.sources(part)]),
                    self.directory / "balance.h5",
                    self.directory / "scalers.json",
                    self.directory / output / f"{part}.h5",
                    content=self.config.content,
                    compression=self.config.write.compression,
                )

    def run(self) -> "Mill":
        self.clean()
        self.scale()
        self.balance()
        self.write()
        return self

    def jets(self, split: str) -> list[jetmill.Jets]:
        """Return the finished jets of a split, part by part."""
        return [jetmill.load(path) for path in sorted((self.directory / split).iterdir())]


def numbers(parts: Sequence[jetmill.Jets]) -> list[int]:
    return np.concatenate([part.spectators["number"] for part in parts]).astype(int).tolist()


def joined(parts: Sequence[jetmill.Jets], table: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, bins and weights of all parts."""
    return (
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.bins for part in parts]),
        np.concatenate([part.weights[table] for part in parts]).astype(np.float64),
    )


def counts_of(labels: np.ndarray, bins: np.ndarray) -> np.ndarray:
    table = np.zeros((3, 2, 3))
    np.add.at(table, (labels, *bins.T), 1)
    return table


def test_b1_scalers_of_every_range_leave_out_the_defaults_of_their_own_columns(tmp_path):
    """The study masks column i of a range by `defaults[i]`, which belongs to column i of the first range."""
    rng = np.random.default_rng(2)
    names, holes = ["first", "second", "third", "fourth"], [0, 0.3, 0.5, 0.7]
    columns = {
        name: np.where(rng.random(600) < hole, -999, rng.normal(3 * k, 1 + k, 600)).astype(np.float32)
        for k, (name, hole) in enumerate(zip(names, holes, strict=True))
    }
    jets = toy(**columns)
    train = is_training(jets)
    mill = Mill(tmp_path, {"top": [jets]}, jets={"variables": names}, scaling={"variables_per_range": 2})
    mill.clean()
    scalers = mill.scale()
    minima = [columns[name][columns[name] != -999].min() for name in names]
    defaults = [minimum - 0.001 for minimum in minima]
    for k, name in enumerate(names):
        x = columns[name][train].astype(np.float64)
        right = StandardScaler().fit(x[x != -999][:, None])
        assert scalers[name]["shift"] == pytest.approx(right.mean_[0], rel=1e-6)
        assert scalers[name]["scale"] == pytest.approx(right.scale_[0], rel=1e-6)
        filled = np.where(x == -999, defaults[k], x)
        study = StandardScaler().fit(filled[filled != defaults[k % 2]][:, None])
        assert (abs(study.mean_[0] - right.mean_[0]) > 1) == (k >= 2)


def test_b2_no_nan_survives_cleaning(tmp_path):
    """The study looks for NaN by `x == np.nan`, which is never true, so NaN goes into the inputs."""
    d0 = np.linspace(0, 1, 600, dtype=np.float32)
    d0[::7], d0[1::7], d0[2::7] = np.nan, np.inf, -np.inf
    missing = ~np.isfinite(d0)
    study = np.where((d0 == np.nan) | np.isinf(d0), -0.001, d0)
    assert np.isnan(study).sum() == len(d0[::7])
    mill = Mill(tmp_path, {"top": [toy(d0=d0)]}, jets={"variables": ["d0"]}).run()
    for split in SPLITS:
        for part in mill.jets(split):
            rows = part.spectators["number"].astype(int) - 10_000
            assert np.isfinite(part.inputs).all()
            assert np.array_equal(part.is_default[:, 0], missing[rows])
            assert len(set(part.inputs[missing[rows], 0].tolist())) == 1


@pytest.mark.parametrize(("eta", "pt", "axis"), [(-2.6, 50, "eta"), (0, 19, "pt"), (2.6, 50, "eta"), (0, 1001, "pt")])
def test_b3_a_jet_outside_the_bins_is_an_error(tmp_path, eta, pt, axis):
    """The study subtracts 1 from the bins of scipy, so underflow becomes -1, the last bin, and overflow crashes."""
    limits = ((-2.5, 2.5), (20, 1000))
    study = binned_statistic_2d([eta], [pt], None, "count", (50, 50), limits, expand_binnumbers=True).binnumber - 1
    assert study.min() == -1 or study.max() == 50  # -1 reads the last row of a table, 50 is an IndexError
    jets = toy()
    jets["eta"][4], jets["pt"][4] = eta, pt
    mill, n_train = Mill(tmp_path, {"top": [jets]}), np.count_nonzero(is_training(jets))
    mill.clean()
    with pytest.raises(JetmillError, match=f"1 of {n_train} training jets are outside the bins of '{axis}'"):
        mill.balance()


@pytest.mark.parametrize(("low", "high", "n"), [(-2.5, 2.5, 50), (20, 1000, 50)])
def test_b3_the_edges_belong_to_the_outer_bins(low, high, n):
    """As in the study, where the right edge is closed; numpy.histogram agrees."""
    axis = Axis.from_segments("pt", [(low, high, n)])
    assert axis.index(np.array([low, high], dtype=np.float32)).tolist() == [0, n - 1]


@pytest.mark.parametrize("method", ["average", "flat"])
def test_b4_empty_bins_leave_all_weights_finite(method):
    """The study divides by the counts as they are: an empty bin is inf, and after `w / sum(w)` all is 0 or NaN."""
    counts = np.array([[[3, 0, 5], [2, 4, 0]], [[1, 6, 2], [0, 3, 8]], [[50, 70, 20], [10, 40, 30]]])
    with np.errstate(all="ignore"):
        spectra = counts / counts.sum(axis=(1, 2), keepdims=True)
        study = (spectra.mean(axis=0) if method == "average" else 1 / 6) / spectra
        assert np.isinf(study).sum() == 3
        assert not np.nansum(np.where(np.isinf(study), 0, study / study.sum()))
    table = mean_one(weight_table(counts, method), counts, counts.sum())
    assert np.isfinite(table).all()
    assert ((table > 0) == (counts > 0)).all()
    assert (table * counts).sum(axis=(1, 2)) == pytest.approx(counts.sum() / 3, rel=1e-12)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Top with many b jets, jj with few and steeper in pT; two files each, two parts of training."""
    top = [toy(900, seed, shares=(0.5, 0.2, 0.3)) for seed in (1, 2)]
    jj = [toy(900, seed, shares=(0.05, 0.1, 0.85)) for seed in (3, 4)]
    for jets in jj:
        jets["pt"][:] = 20 + (jets["pt"] - 20) / 4
        jets["pt"][::10] = 500
    directory = tmp_path_factory.mktemp("two")
    return Mill(directory, {"top": top, "jj": jj}, write={"parts": {"train": 2}}).run()


@pytest.mark.parametrize("table", ["weight", "weight_flat"])
def test_b5_weights_are_normalised_over_all_training_jets(two_processes, table):
    """The study divides the weights by their sum in each file, which rescales files of different content."""
    labels, bins, weight = joined(two_processes.jets("train"), table)
    sample = np.concatenate([_sample(path) for path in sorted((two_processes.directory / "train").iterdir())])
    assert weight.mean() == pytest.approx(1, abs=1e-6)
    totals = np.bincount(labels, weights=weight)
    assert totals == pytest.approx(len(labels) / 3, rel=1e-5)
    # The weight of a jet is a function of its class and bin, whatever the process or part.
    weights = {}
    for place, w in zip(zip(labels, *bins.T, strict=True), weight, strict=True):
        assert weights.setdefault(place, w) == w
    study = weight / np.bincount(sample, weights=weight)[sample]
    study_totals = np.bincount(labels, weights=study / study.mean())
    assert study_totals.max() > 1.2 * study_totals.min()


def _sample(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file["jets/sample"][()]


def test_b6_small_weights_survive(two_processes):
    """The study casts weights of about 4e-7 to float16, whose smallest step is 6e-8: many become 0."""
    centres = np.linspace(30, 990, 50)
    spectra = np.outer(np.array([0.04, 0.003, 0.07, 1]), centres**-4.5)[:, None, :] * np.ones((1, 50, 1))
    counts = np.round(2.23e6 * spectra / spectra.sum()).astype(np.int64)
    # The first bins of light jets hold most of them.
    table = mean_one(weight_table(counts, "flat"), counts, counts.sum())
    study = (table / counts.sum()).astype(np.float16)
    assert counts[3][study[3] == 0].sum() > 0.4 * counts[3].sum()
    ours = table.astype(np.float32)
    assert (ours[counts > 0] > 0).all()
    assert (ours * counts).sum(axis=(1, 2), dtype=np.float64) == pytest.approx(counts.sum() / 4, rel=1e-6)
    for part in two_processes.jets("train"):
        assert {name: w.dtype for name, w in part.weights.items()} == {"weight": "float32", "weight_flat": "float32"}


@pytest.mark.parametrize(("table", "flat"), [("weight", False), ("weight_flat", True)])
def test_b7_one_table_weights_all_processes(two_processes, table, flat):
    """The study takes the average table for QCD and the flat one for top in the same training, or the reverse."""
    labels, bins, weight = joined(two_processes.jets("train"), table)
    counts = counts_of(labels, bins)
    assert (counts > 0).all()
    spectra = counts / counts.sum(axis=(1, 2), keepdims=True)
    target = np.full((2, 3), 1 / 6) if flat else spectra.mean(axis=0)
    weighted = np.zeros_like(counts)
    np.add.at(weighted, (labels, *bins.T), weight)
    for total in weighted:
        assert total == pytest.approx(target * len(labels) / 3, rel=1e-5)
    other = joined(two_processes.jets("train"), "weight" if flat else "weight_flat")[2]
    sample = np.concatenate([_sample(path) for path in sorted((two_processes.directory / "train").iterdir())])
    study = np.where(sample == 0, weight, other)
    np.add.at(study_weighted := np.zeros_like(counts), (labels, *bins.T), study)
    assert np.abs(study_weighted[0] / study_weighted[0].sum() - target).max() > 0.01


def test_b8_half_precision_neither_overflows_nor_hides_the_defaults(tmp_path):
    """In the study's float16, |z| > 65504 becomes inf, and the default, 0.001 below the minimum, the minimum."""
    rng = np.random.default_rng(3)
    significance = rng.normal(0, 50, 600).astype(np.float32)
    significance[::9] = -999
    jets = toy(significance=significance)
    settings = {"jets": {"variables": ["significance", "pt"]}, "write": {"precision": "float16"}}
    mill = Mill(tmp_path / "fits", {"top": [jets]}, **settings).run()
    fitted = significance[is_training(jets) & (significance != -999)]
    minimum, default = (np.float16((x - fitted.mean()) / fitted.std()) for x in (fitted.min(), fitted.min() - 0.001))
    assert minimum == default  # so a mask made by comparing with the default is wrong
    for split in SPLITS:
        for part in mill.jets(split):
            rows = part.spectators["number"].astype(int) - 10_000
            assert part.inputs.dtype == np.float16
            assert np.array_equal(part.is_default[:, 0], significance[rows] == -999)
    significance[np.flatnonzero(~is_training(jets))[0]] = 1e8
    with np.errstate(over="ignore"):
        assert np.isinf(np.float16((significance.max() - fitted.mean()) / fitted.std()))
    with pytest.raises(JetmillError, match=r"do not fit into float16.*'significance'"):
        Mill(tmp_path / "over", {"top": [jets]}, **settings).run()
    settings["write"] = {"precision": "float32"}
    mill = Mill(tmp_path / "single", {"top": [jets]}, **settings).run()
    assert all(np.isfinite(part.inputs).all() for split in SPLITS for part in mill.jets(split))


def test_b9_defaults_lie_below_the_minimum_of_all_files_and_the_mask_is_exact(tmp_path):
    """The study took minima from a few files, the sentinel -1 among them, and marks defaults by equality alone."""
    first, second = toy(seed=1), toy(seed=2)
    value = np.linspace(0.5, 2, 600, dtype=np.float32)
    for jets, lowest in ((first, 0.5), (second, -0.25)):
        x = value.copy()
        x[np.flatnonzero(is_training(jets))[0]] = lowest
        x[np.flatnonzero(is_training(jets))[1:20]] = -1
        jets["above_charm"] = x
    twin = np.flatnonzero(~is_training(second))[5]
    second["above_charm"][twin] = default = np.float32(-0.25 - 0.001)
    assert first["above_charm"].min() - 0.001 == pytest.approx(-1.001)  # the study's default
    missing = {"values_of": {"above_charm": [-1]}}
    mill = Mill(tmp_path, {"top": [first, second]}, jets={"variables": ["above_charm"], "missing": missing}).run()
    assert json.loads((tmp_path / "scalers.json").read_text())["jets"]["above_charm"]["default"] == default
    parts = [part for split in SPLITS for part in mill.jets(split)]
    number = np.array(numbers(parts))
    x = np.concatenate([first["above_charm"], second["above_charm"]])[number - 10_000 - 9_400 * (number >= 20_000)]
    is_default = np.concatenate([part.is_default[:, 0] for part in parts])
    assert np.array_equal(is_default, x == -1)
    scaled = np.concatenate([part.inputs[:, 0] for part in parts])
    # The study's marker, equality with the default, takes the twin for a default.
    assert (scaled == scaled[is_default][0]).sum() == is_default.sum() + 1
    assert not is_default[number == 20_000 + twin].any()


def test_b10_columns_are_found_by_name(tmp_path):
    """The study takes columns by position in the file, so a further or missing branch shifts all that follow."""
    jets = toy(DeepCSV_a=np.arange(600, dtype=np.float32), DeepCSV_b=np.arange(600, 0, -1, dtype=np.float32))
    shuffled = {"DeepCSV_0": np.full(600, 7, dtype=np.float32), **dict(sorted(jets.items(), reverse=True))}

    def study(columns):
        return np.stack([columns[k] for k in columns if k in ("eta", "pt") or "DeepCSV" in k], axis=1)

    assert not np.array_equal(study(jets), study(shuffled)[:, :4])
    variables = {"variables": ["DeepCSV_b", "pt", "DeepCSV_a"]}
    mills = [
        Mill(tmp_path / name, {"top": [columns]}, jets=variables).run()
        for name, columns in (("plain", jets), ("shuffled", shuffled))
    ]
    for split in SPLITS:
        (plain,), (other,) = (mill.jets(split) for mill in mills)
        assert plain.variables == other.variables == ("DeepCSV_b", "pt", "DeepCSV_a")
        assert np.array_equal(plain.inputs, other.inputs)
        assert np.array_equal(plain.labels, other.labels)
        rows = plain.spectators["number"].astype(int) - 10_000
        assert plain.variable("DeepCSV_b") == pytest.approx(600 - rows, abs=1e-3)
        assert plain.variable("DeepCSV_a") == pytest.approx(rows, abs=1e-3)


@pytest.mark.parametrize("n_files", [1, 3, 4, 5, 8])
@pytest.mark.parametrize("files_per_batch", [1, 2, 4])
def test_b11_every_file_is_in_one_batch(tmp_path, n_files, files_per_batch):
    """The study mixes inclusive and exclusive ends: `clean.py 0 50` never reads file 50, nor the last of a sample."""
    paths = [tmp_path / f"{number}.root" for number in range(n_files)]
    for path in paths:
        path.touch()
    config = load(
        {
            **CONFIG,
            "samples": {"top": {"files": [str(path) for path in paths]}},
            "input": {**CONFIG["input"], "files_per_batch": files_per_batch},
        }
    )
    last = n_files - 1  # given to the study as an inclusive end, used as an exclusive one
    study = [paths[a : min(a + files_per_batch, last)] for a in range(0, last, files_per_batch)]
    assert [path for batch in study for path in batch] != paths
    batches = Plan(config).batches
    assert [path for batch in batches for path in batch.files] == [str(path) for path in paths]
    assert all(len(batch.files) == files_per_batch for batch in batches[:-1])
    assert [batch.first_file for batch in batches] == list(range(0, n_files, files_per_batch))


def test_b11_a_batch_says_which_files_it_holds(tmp_path):
    """The study names a file `inputs_0_to_49` whatever was read."""
    mill = Mill(tmp_path, {"top": [toy(100, seed) for seed in (1, 2, 3)]}, input={"files_per_batch": 2})
    mill.clean()
    held = []
    for path in mill.batch_files:
        with h5py.File(path) as file:
            inputs = json.loads(file.attrs["inputs"])
            assert sum(entry["kept"] for entry in inputs) == len(file["label"])
            held.append([Path(entry["path"]).name for entry in inputs])
    assert held == [["top_0.root", "top_1.root"], ["top_2.root"]]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"scaling": {"variable_per_range": 6}}, "Did you mean 'variables_per_range'?"),
        ({"write": {"shuffle": "globally"}}, "Did you mean 'global'?"),
        ({"balance": {**CONFIG["balance"], "weights": ["averge"]}}, "balance.weights"),
    ],
)
def test_b12_a_typo_is_reported_before_anything_is_read(wrong, expected):
    """A typo in the step of the study, or a missing -s or -e, is a NameError after all files were loaded."""
    with pytest.raises(JetmillError, match=expected.replace("?", r"\?")):
        load({**CONFIG, "samples": {"top": {"files": ["nowhere.root"]}}, **wrong})


def test_b12_a_variable_that_is_never_there_is_named(tmp_path):
    """In the study a column of defaults alone ends in a ValueError of scikit-learn that names no column."""
    with pytest.raises(ValueError, match="0 sample"):
        StandardScaler().fit(np.empty((0, 1)))
    jets = toy(absent=np.full(600, -999, dtype=np.float32))
    mill = Mill(tmp_path, {"top": [jets]}, jets={"variables": ["pt", "absent"]})
    mill.clean()
    with pytest.raises(JetmillError, match="variable 'absent' of jets is missing everywhere in the training split"):
        mill.scale()
    shutil.rmtree(tmp_path / "clean")
    mill = Mill(tmp_path, {"top": [jets]}, jets={"variables": ["pt", "absent"]}, strict=False).run()
    for part in mill.jets("train"):
        assert part.is_default[:, 1].all()
        assert (part.inputs[:, 1] == 0).all()


def test_b13_weights_come_from_training_jets_alone(two_processes):
    """The study fills its histograms with validation and test jets too."""
    labels, bins, _ = joined(two_processes.jets("train"), "weight")
    everything = [joined(two_processes.jets(split), "weight") for split in SPLITS]
    with h5py.File(two_processes.directory / "balance.h5") as file:
        table = file["weights/flat"][()]
    train = counts_of(labels, bins)
    study = sum(counts_of(*each[:2]) for each in everything)
    assert table * train / (table * train).sum() == pytest.approx(np.full((3, 2, 3), 1 / 18), rel=1e-9)
    leaked = train / study
    assert leaked.max() > 1.02 * leaked.min()


def test_b13_an_event_is_in_one_split(two_processes):
    """The study splits jet by jet, so jets of one event are in training and test."""
    train, val, test = (
        {e for part in two_processes.jets(split) for e in part.event["event"].tolist()} for split in SPLITS
    )
    assert train.isdisjoint(val | test)
    assert val.isdisjoint(test)
    n_jets = sum(len(part) for split in SPLITS for part in two_processes.jets(split))
    assert n_jets == 2 * len(train | val | test) == 3600
    events = np.repeat(np.arange(1800), 2)
    study_train, study_test = train_test_split(events, test_size=0.2, random_state=1)
    assert set(study_train.tolist()) & set(study_test.tolist())


def test_b13_every_part_is_drawn_from_every_file(two_processes):
    """In the study the jets of a chunk of files stay together in one file."""
    for part in two_processes.jets("train"):
        files = part.spectators["number"].astype(int) // 10_000
        assert np.bincount(files, minlength=5)[1:] == pytest.approx(len(part) / 4, rel=0.2)
        # A run of jets from the same file is short.
        switches = np.count_nonzero(np.diff(files))
        assert switches == pytest.approx(0.75 * len(part), rel=0.1)


def test_b14_the_offset_of_the_default_says_nothing_about_the_scaler(tmp_path):
    """Asked for `default == 999`, the study masks -999, although its defaults are minimum - 999."""
    x = np.linspace(1, 2, 600, dtype=np.float32)
    x[::4] = -999
    jets = toy(x=x)
    found = {}
    for offset in (0.001, 999):
        directory = tmp_path / str(offset)
        changes = {"jets": {"variables": ["x"]}, "scaling": {"default_offset": offset}}
        mill = Mill(directory, {"top": [jets]}, **changes)
        mill.clean()
        found[offset] = mill.scale()["x"]
    for key in ("shift", "scale", "count", "minimum"):
        assert found[0.001][key] == found[999][key]
    train = x[is_training(jets)].astype(np.float64)
    minimum = train[train != -999].min()
    assert found[999]["default"] == pytest.approx(minimum - 999)
    assert found[999]["shift"] == pytest.approx(train[train != -999].mean())
    filled = np.where(train == -999, minimum - 999, train)
    assert filled[filled != -999].mean() < -200  # the study's mean


def test_b15_scalers_are_text_and_exact(tmp_path):
    """The study keeps scalers as pickles read by torch.load: bound to a version, and able to run code."""
    jets = toy(x=np.geomspace(1e-6, 3e4, 600).astype(np.float32))
    mill = Mill(tmp_path, {"top": [jets]}, jets={"variables": ["x"]}).run()
    (part,) = mill.jets("test")
    row = json.loads((tmp_path / "scalers.json").read_text())["jets"]["x"]
    rows = part.spectators["number"].astype(int) - 10_000
    again = (jets["x"][rows] - np.float32(row["shift"])) / np.float32(row["scale"])
    assert np.array_equal(part.inputs[:, 0], again)


def test_b16_a_range_reads_its_own_columns_and_root_is_read_once(tmp_path):
    """The study reads all of every file, in float64, once for each six of its columns."""
    names = [f"x{k}" for k in range(6)]
    rng = np.random.default_rng(4)
    jets = toy(**{name: rng.normal(k, 1, 600).astype(np.float32) for k, name in enumerate(names)})
    mill = Mill(tmp_path, {"top": [jets]}, jets={"variables": names}, scaling={"variables_per_range": 2})
    mill.clean()
    (tmp_path / "top_0.root").unlink()
    (path,) = mill.batch_files
    with h5py.File(path) as file:
        assert {file[f"variables/{name}"].dtype for name in names} == {np.dtype(np.float32)}
    for number, settings in enumerate(mill.plan.fit_settings):
        alone = tmp_path / f"alone_{number}.h5"
        shutil.copy(path, alone)
        with h5py.File(alone, "a") as file:
            for name in {*names, "eta", "pt"} - set(settings.variables):
                del file[f"variables/{name}"]
        fit_scalers([cleaned("top", alone)], tmp_path / f"alone_{number}.json", settings)
    scalers = mill.scale()
    alone = [json.loads((tmp_path / f"alone_{number}.json").read_text())["jets"] for number in range(3)]
    for (_, variables), found in zip(mill.plan.ranges, alone, strict=True):
        means = [found[name]["moments"]["mean"] for name in variables]
        assert means == [scalers[name]["mean"] for name in variables]
    mill.balance()
    mill.write()
    assert sum(len(part) for split in SPLITS for part in mill.jets(split)) == 600
