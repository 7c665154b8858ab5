"""Run the real snakemake on small files, and know without jetmill what must come out."""

import fcntl
import hashlib
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import awkward as ak
import forked
import h5py
import numpy as np
import pytest
import uproot
import yaml

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
SPLITS = ("train", "val", "test")
# All that can be written here: READERS=no does without PyTorch.
FORMATS = ["hdf5", "structured", "tfrecords", "parquet", *(["torch"] if find_spec("torch") else [])]
FINISHED = [f"results/{split}.h5" for split in SPLITS]

# A small configuration with every kind of variable and every rule for missing values.
CONFIG: dict[str, Any] = {
    "input": {"files_per_batch": 2},
    "jets": {
        "missing": {
            "values": [-999],
            "values_of": {"DeepCSV_trackSip2dSigAboveCharm": [-1]},
            "slots": {"DeepCSV_jetNSelectedTracks": ["DeepCSV_trackSip2dSig"]},
        },
        "select": [
            "abs(eta) <= 2.5",
            "pt >= 20",
            "pt <= 1000",
            {"cut": "DeepCSV_trackSumJetDeltaR <= 0.3", "missing": "keep"},
        ],
        "variables": [
            "eta",
            "pt",
            "DeepCSV_flightDistance2dSig",
            "DeepCSV_trackSip2dSig_0",
            "DeepCSV_trackSip2dSig_3",
            "DeepCSV_trackSip2dSigAboveCharm",
            "DeepCSV_trackSumJetDeltaR",
            "DeepCSV_jetNSelectedTracks",
        ],
        "spectators": ["number", "btagDeepL"],
    },
    "classes": {
        "b": "hadronFlavour == 5 & nBHadrons <= 1",
        "bb": "hadronFlavour == 5 & nBHadrons > 1",
        "c": "hadronFlavour == 4",
        "udsg": "rest",
    },
    "scaling": {"variables_per_range": 3},
    "balance": {"bins": {"eta": [-2.5, 2.5, 3], "pt": [[20, 60, 2], [60, 1000, 1]]}, "weights": ["average", "flat"]},
    "write": {"parts": {"train": 2, "val": 1, "test": 1}},
}

# Dumps of ATLAS with tracks.
ATLAS: dict[str, Any] = {
    "samples": {name: {"toy": {"process": name, "files": 2, "jets": 1000}} for name in ("ttbar", "zprime")},
    "input": {"format": "hdf5", "files_per_batch": 1},
    "jets": {
        "select": ["pt_btagJes >= 20e3", "pt_btagJes < 6000e3", "absEta_btagJes < 2.5"],
        "variables": ["pt_btagJes", "eta_btagJes"],
    },
    "constituents": {
        "tracks": {
            "variables": ["d0", "dr"],
            "labels": ["ftagTruthOriginLabel"],
            "label_classes": {"ftagTruthOriginLabel": list("abcdefgh")},
            "scaling": {"method": "robust"},
            "max": 10,
        }
    },
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
    "split": {"by": "modulo", "modulo": 10, "val": [8], "test": [9]},
}


@dataclass(frozen=True)
class Run:
    """A snakemake that has ended."""

    directory: Path
    code: int
    output: str
    log: str = ""  # its log file: Snakemake's own words, which the terminal does not show

    @property
    def results(self) -> Path:
        return self.directory / "results"

    @property
    def jobs(self) -> dict[str, int]:
        """The first job table, rule to number of jobs: on the terminal for a dry run, in the log otherwise."""
        found = re.search(r"^job +count\n[- ]+\n", text := f"{self.output}\n{self.log}", flags=re.MULTILINE)
        if not found:
            return {}
        table = text[found.end() :].split("\n\n")[0]
        return {rule: int(n) for rule, n in (line.split() for line in table.strip().splitlines())}


def snakemake(directory: Path, *arguments: str, config: Mapping[str, Any] | None = None) -> Run:
    """Run snakemake in a directory, with `config` as its only ``--configfile``."""
    directory.mkdir(parents=True, exist_ok=True)
    command = ["-s", str(ROOT / "Snakefile"), "--directory", str(directory)]
    if config is not None:
        (directory / "config.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
        arguments = (*arguments, "--configfile", str(directory / "config.yaml"))
    before = set((directory / ".snakemake/log").glob("*.log"))
    code, output = forked.snakemake([*command, *arguments], directory, environment())
    logs = set((directory / ".snakemake/log").glob("*.log")) - before
    return Run(directory, code, output, "".join(path.read_text() for path in logs))


def succeeds(directory: Path, *arguments: str, config: Mapping[str, Any] | None = None) -> Run:
    """Run snakemake, which must not fail."""
    run = snakemake(directory, *arguments, config=config)
    assert run.code == 0, run.output
    return run


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """Have a directory filled once, for all processes of pytest-xdist; nothing may be changed in it.

    Parameters
    ----------
    make
        Fills a directory and returns what tests need to know of it.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    made = base / f"{name}.pickle"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            (base / name).mkdir()
            made.write_bytes(pickle.dumps(make(base / name)))
        return pickle.loads(made.read_bytes())


def snakemake_in_repository(*arguments: str) -> Run:
    """Run snakemake as one who stands in the repository does. For what changes nothing: -n, --lint."""
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(), check=False, **both)
    return Run(ROOT, done.returncode, done.stdout)


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE_")}


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with other keys in some sections, or other samples or classes; None takes a key away."""
    new = dict(config)
    for section, value in changes.items():
        if isinstance(value, dict) and section not in ("samples", "classes"):
            value = {k: v for k, v in {**new.get(section, {}), **value}.items() if v is not None}
        new[section] = value
    return new


def write_ntuple(path: Path, jets: Mapping[str, np.ndarray], per_event: np.ndarray, *, tree: str = "Events") -> None:
    """Write jets (n,) as an event tree; run, luminosityBlock and event are counted from the name of the file."""
    number = int.from_bytes(hashlib.sha256(path.stem.encode()).digest()[:4], "little")
    n_events = len(per_event)
    events = {
        "run": np.full(n_events, 300_000 + number % 7, dtype=np.uint32),
        "luminosityBlock": np.arange(n_events, dtype=np.uint32) // 100,
        # Beyond 2**53, where a float64 cannot tell neighbours apart.
        "event": np.uint64(2**60 + number * 10_000) + np.arange(n_events, dtype=np.uint64),
    }
    jagged = ak.zip({name: ak.unflatten(values, per_event) for name, values in jets.items()})
    types = {name: values.dtype for name, values in events.items()} | {"Jet": jagged.type}
    with uproot.recreate(path) as file:
        file.mktree(tree, types)
        file[tree].extend(events | {"Jet": jagged})


def read_ntuples(samples: Mapping[str, Iterable[Path]], names: Iterable[str]) -> dict[str, np.ndarray]:
    """Read the jets of all files with uproot alone, flat and in order, with the place each came from."""
    columns: dict[str, list[np.ndarray]] = {}
    for number, paths in enumerate(samples.values()):
        for file_number, path in enumerate(paths):
            with uproot.open(path) as file:
                events = file["Events"].arrays(["run", "luminosityBlock", "event", *(f"Jet_{name}" for name in names)])
            per_event = ak.num(events["Jet_pt"])
            n = int(ak.sum(per_event))
            found = {name: ak.to_numpy(ak.flatten(events[f"Jet_{name}"])) for name in names}
            for name in ("run", "luminosityBlock", "event"):
                found[name] = np.repeat(ak.to_numpy(events[name]), per_event)
            found |= {"sample": np.full(n, number), "file": np.full(n, file_number)}
            for name, values in found.items():
                columns.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in columns.items()}


def is_missing(jets: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Say by the rules of CONFIG, written out, which jets miss a variable."""
    x = jets[name].astype(np.float64)
    missing = ~np.isfinite(x) | (x == -999)
    if name == "DeepCSV_trackSip2dSigAboveCharm":
        missing |= x == -1
    if name.startswith("DeepCSV_trackSip2dSig_"):
        missing |= jets["DeepCSV_jetNSelectedTracks"] <= int(name[-1])
    return missing


def passes(jets: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Say which jets are left after each cut of CONFIG."""
    eta, pt, delta_r = (jets[name].astype(np.float64) for name in ("eta", "pt", "DeepCSV_trackSumJetDeltaR"))
    cuts = [np.abs(eta) <= 2.5, pt >= 20, pt <= 1000, (delta_r <= 0.3) | is_missing(jets, "DeepCSV_trackSumJetDeltaR")]
    return list(np.logical_and.accumulate(cuts))


def labels(jets: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the class of each jet: b, bb, c, udsg."""
    flavour, hadrons = jets["hadronFlavour"], jets["nBHadrons"]
    return np.where(flavour == 5, np.where(hadrons > 1, 1, 0), np.where(flavour == 4, 2, 3))


def balanced_weights(counts: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return weights (n_classes, *bins) of mean 1 that give every class the same total and the shape of `target`."""
    weights = np.zeros(counts.shape)
    present = [n for n in range(len(counts)) if counts[n].sum()]
    for n in present:
        filled = counts[n] > 0
        share = target[filled] / target[filled].sum()
        weights[n][filled] = share / counts[n][filled] * counts.sum() / len(present)
    return weights


def datasets(path: Path) -> dict[str, np.ndarray]:
    """Read all datasets of an HDF5 file."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:

        def read(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = item[()]

        file.visititems(read)
    return found


def content(path: Path) -> dict[str, Any]:
    """Return all of an HDF5 file to the byte, but for what it says about its origin."""
    found: dict[str, Any] = {name: (values.dtype, values.tobytes()) for name, values in datasets(path).items()}
    with h5py.File(path) as file:

        def read(name: str, item: h5py.Dataset | h5py.Group) -> None:
            found[f"attributes of {name}"] = {key: repr(value) for key, value in item.attrs.items()}

        read("file", file)
        file.visititems(read)
    of_file = found["attributes of file"]
    of_file.pop("made_from", None)
    of_file.pop("sha256", None)  # of the attributes, that one among them
    return found


def numbers(path: Path) -> np.ndarray:
    """Return the number of each jet of a finished file, which is its row in `read_ntuples`."""
    with h5py.File(path) as file:
        return file["jets/spectators/number"][()].astype(np.int64)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def half_made(directory: Path) -> list[Path]:
    """Return the files of unfinished jobs."""
    return [path for path in directory.rglob("*") if "partial" in path.name]
