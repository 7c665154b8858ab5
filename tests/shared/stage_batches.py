"""Cleaned and binned batches of two samples of toys, and what the stages make of them."""

from dataclasses import replace

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs
from batches import at, clean_batch, cleaned
from scipy import stats
from written_files import write_part

from jetmill.balancing.selection import PartSpec
from jetmill.columns.batch_file import Batch
from jetmill.config.load import adapter
from jetmill.config.load import load as load_config
from jetmill.loading.jets import load
from jetmill.randomness import selection_key
from jetmill.settings.balance import Resampling
from jetmill.settings.scaling import ScalingRules
from jetmill.settings.stages import BalanceSettings, BinSettings, FitSettings, MergeSettings
from jetmill.splitting import TRAIN
from jetmill.stages.balance import balance
from jetmill.stages.bin_jets import bin_jets
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.stages.make_toy import write_toy_file
from jetmill.stages.merge_scalers import merge_scalers

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


PROCESSES = {"tt": "ttbar", "qcd": "qcd"}


class Stages:
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

    def scale(self, output, *, width, order=1, settings=ScalingRules(), **options):  # noqa: B008
        paths = []
        for start in range(0, len(self.variables), width):
            paths.append(output.with_name(f"{output.stem}_{width}_{order}_{start}.json"))
            names = self.variables[start : start + width]
            of_range = FitSettings.from_rules("jets", names, settings)
            fit_scalers(self.sources()[::order], paths[-1], of_range, **options)
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


@pytest.fixture(scope="session")
def stages(tmp_path_factory):
    return runs.once(tmp_path_factory, "stages", Stages)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The same jets in one batch for each sample."""
    return runs.once(tmp_path_factory, "whole", lambda directory: Stages(directory, files_per_batch=2))


def rows(file_or_files, *names):
    """Return the rows of some datasets of all files, sorted, as tuples; NaN cannot be among them."""
    found = []
    for path in file_or_files if isinstance(file_or_files, list) else [file_or_files]:
        with h5py.File(path) as file:
            columns = [c for name in names for c in np.atleast_2d(file[name][()].T)]
        found += zip(*(c.tolist() for c in columns), strict=True)
    return sorted(found)


def taken(stages, path, output="train"):
    """Return what is taken by the keys in the batches: jets (n_classes, *bins), and how many 1, 2, ... times."""
    table, times = np.zeros((4, *SHAPE), dtype=int), np.zeros((4, 1000), dtype=int)
    split = {"train": 0, "val_resampled": 1}[output]
    with h5py.File(path) as file:
        for listed in stages.sources():
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


def truth(stages, names=None):
    """Return the jets of some batches from the ROOT files, selected by hand: sample, stages, event, pt, labels."""
    found = []
    for name in names or stages.batches:
        branches = ["event", *(f"Jet_{v}" for v in ("pt", "eta", "hadronFlavour", "nBHadrons", "btagDeepL"))]
        tree = uproot.concatenate([f"{root}:Events" for root in stages.roots[name]], branches)
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


def histogram(paths):
    jets = [load(path) for path in paths]
    label, bins = np.concatenate([j.labels for j in jets]), np.concatenate([j.bins for j in jets])
    table = np.zeros((4, *SHAPE), dtype=int)
    np.add.at(table, (label, *bins.T), 1)
    return table
