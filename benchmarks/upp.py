"""Compare with umami-preprocessing (UPP): time, memory, shapes and repeats, from the same TDD files.

    python benchmarks/upp.py --directory bench --upp-python upp/bin/python

Makes a ttbar and a Z' file of toy jets with tracks in the layout of the training-dataset-dumper,
asks for the same training, validation and test jets (events modulo 10; ttbar below 250 GeV and Z'
above, resampled in pT and |eta| to the spectrum of c jets), times each tool as one process, and
measures what it wrote: jets of each class, how far each class is from the target, and how many
jets are repeats. The shape is the total variation distance to the c jets available for training,
0 if equal and 1 if disjoint, beside what as many jets drawn at random from the target would have.

jetmill runs what `jetmill import-upp` makes of the configuration of UPP, so both do the same; classes are flavours of
atlas-ftag-tools. UPP runs in an environment of its own (umami-preprocessing 0.3.3); its files need hdf5plugin here.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import yaml

from jetmill.compression import know_all_filters
from jetmill.randomness import generator
from jetmill.toys.dumps import toy_dump
from jetmill.upp.translation import translate

ROOT = Path(__file__).resolve().parents[1]
JETS_AT_A_TIME = 50_000
PROCESSES = ("ttbar", "zprime")
LAST_DIGITS = {"train": range(8), "val": range(8, 9), "test": range(9, 10)}  # of event numbers
CLASSES = {"bjets": 5, "cjets": 4, "ujets": 0, "taujets": 15}  # in the order of flavour_label
TARGET = "cjets"

# In MeV. A region is a sample and a range of pT, and its edges are among those of the bins.
REGIONS = {"lowpt": ("ttbar", 20e3, 250e3), "highpt": ("zprime", 250e3, 6000e3)}
PT_BINS = [(20e3, 250e3, 46), (250e3, 1000e3, 30), (1000e3, 6000e3, 20)]
ETA_BINS = [(0.0, 2.5, 10)]
EDGES = [
    np.unique(np.concatenate([np.linspace(low, high, n + 1) for low, high, n in ranges]))
    for ranges in (PT_BINS, ETA_BINS)
]

# Of the target jets available in a region and split 90 % are asked for. The other classes are in
# this ratio to them, exactly, as UPP insists on the same ratio in each region.
SHARE = 0.9
TENTHS = {"bjets": 10, "cjets": 10, "ujets": 10, "taujets": 1}

IDENTITY = ["eventNumber", "jetPtRank", "pt_btagJes"]
JET_INPUTS = ["pt_btagJes", "eta_btagJes"]
JET_LABELS = ["HadronConeExclTruthLabelID", "HadronConeExclTruthLabelPt", "eventNumber", "jetPtRank"]
TRACK_INPUTS = [
    "d0",
    "z0SinTheta",
    "dphi",
    "deta",
    "qOverP",
    "qOverPUncertainty",
    "thetaUncertainty",
    "phiUncertainty",
    "IP3D_signed_d0_significance",
    "IP3D_signed_z0_significance",
    "lifetimeSignedD0Significance",
    "lifetimeSignedZ0SinThetaSignificance",
    "numberOfPixelHits",
    "numberOfSCTHits",
    "numberOfInnermostPixelLayerHits",
    "numberOfNextToInnermostPixelLayerHits",
    "numberOfInnermostPixelLayerSharedHits",
    "numberOfInnermostPixelLayerSplitHits",
    "numberOfPixelSharedHits",
    "numberOfPixelSplitHits",
    "numberOfSCTSharedHits",
]
TRACK_LABELS = ["ftagTruthOriginLabel", "ftagTruthVertexIndex"]

Counts = dict[tuple[str, str], dict[str, int]]  # by split and region, then class
Outputs = dict[str, list[Path]]  # files by split


class Usage(NamedTuple):
    """What a process and those it waited for took; memory is that of the largest of them."""

    wall: float
    cpu: float
    peak: float


def main() -> None:
    """Make the jets, run what was asked for, print the figures."""
    arguments = _arguments()
    know_all_filters()
    directory = arguments.directory.resolve()
    write_dumps(directory, arguments.jets)
    fields = [*IDENTITY, "absEta_btagJes", "HadronConeExclTruthLabelID"]
    available = {process: _read(directory / f"{process}.h5", fields) for process in PROCESSES}
    wanted = wanted_jets(available)
    target = target_histogram(available)
    upp = upp_config(directory, wanted, arguments.method)
    tools: dict[str, Callable[[], tuple[Usage, Outputs]]] = {}
    if arguments.jetmill:
        tools["jetmill"] = lambda: run_jetmill(directory, upp, arguments.cores)
    if arguments.upp_python:
        tools["UPP"] = lambda: run_upp(directory, upp, arguments.upp_python)
    outputs: dict[str, Outputs] = {}
    for _ in range(arguments.repeat):
        for name, run in tools.items():
            usage, outputs[name] = run()
            print(f"{name:<8} {usage.wall:6.1f} s wall {usage.cpu:6.1f} s CPU, peak {usage.peak:.0f} MB")
    for name, files in outputs.items():
        # With the parts that a file points to.
        every = [p for paths in files.values() for path in paths for p in (path, *path.with_suffix("").glob("*.h5"))]
        size = sum(path.stat().st_size for path in every)
        print(f"\n{name}, {size / 1e6:.0f} MB")
        print_measures({split: _read_all(paths) for split, paths in files.items()}, target)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jets", type=int, default=250_000, help="in each of two files")
    parser.add_argument("--method", choices=("pdf", "countup"), default="pdf", help="of resampling")
    parser.add_argument("--cores", type=int, default=2, help="for jetmill; UPP uses one")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--directory", type=Path, required=True, help="where to work; some GB")
    parser.add_argument("--upp-python", type=Path, help="interpreter with umami-preprocessing; else UPP is left out")
    parser.add_argument("--jetmill", action="store_true", help="run jetmill")
    return parser.parse_args()


# ---- what goes in


def write_dumps(directory: Path, n_jets: int) -> None:
    """Write ttbar.h5 and zprime.h5 with `n_jets` each: contiguous, uncompressed, as ftag's mock files."""
    directory.mkdir(parents=True, exist_ok=True)
    for process in PROCESSES:
        path = directory / f"{process}.h5"
        if path.exists():
            continue
        with h5py.File(path, "w") as file:
            for start in range(0, n_jets, JETS_AT_A_TIME):
                stop = min(start + JETS_AT_A_TIME, n_jets)
                for name, rows in toy_dump(stop - start, process, generator(1, "dump", process, start)).items():
                    if name not in file:
                        file.create_dataset(name, (n_jets, *rows.shape[1:]), rows.dtype)
                    file[name][start:stop] = rows
        print(f"{path}: {n_jets} jets, {path.stat().st_size / 1e6:.0f} MB")


def wanted_jets(available: dict[str, np.ndarray]) -> Counts:
    """Return how many jets of each class to ask for in each split and region, or -1 for all test jets."""
    wanted: Counts = {}
    for region in REGIONS:
        for split in ("train", "val"):
            n_target = int(_selected(available, region, split, TARGET).sum())
            tenth = int(SHARE * n_target) // 10
            wanted[split, region] = {name: tenths * tenth for name, tenths in TENTHS.items()}
        wanted["test", region] = dict.fromkeys(CLASSES, -1)
    return wanted


def target_histogram(available: dict[str, np.ndarray]) -> np.ndarray:
    """Count the target jets available for training in bins of pT and |eta|, each region from its sample."""
    total = np.zeros([len(edges) - 1 for edges in EDGES])
    for region, (process, _, _) in REGIONS.items():
        jets = available[process][_selected(available, region, "train", TARGET)]
        total += histogram(jets["pt_btagJes"], jets["absEta_btagJes"])
    return total


def _selected(available: dict[str, np.ndarray], region: str, split: str, name: str) -> np.ndarray:
    process, low, high = REGIONS[region]
    jets = available[process]
    in_range = (jets["pt_btagJes"] > low) & (jets["pt_btagJes"] < high) & (jets["absEta_btagJes"] < ETA_BINS[-1][1])
    in_split = np.isin(jets["eventNumber"] % 10, list(LAST_DIGITS[split]))
    return in_range & in_split & (jets["HadronConeExclTruthLabelID"] == CLASSES[name])


# ---- what came out


def histogram(pt: np.ndarray, abs_eta: np.ndarray) -> np.ndarray:
    """Count jets in the bins of pT and |eta| that they are resampled in."""
    return np.histogram2d(pt, abs_eta, bins=EDGES)[0]


def total_variation(counts: np.ndarray, target: np.ndarray) -> float:
    """Return half the sum of absolute differences of two histograms, each normalised."""
    return 0.5 * float(np.abs(counts / counts.sum() - target / target.sum()).sum())


def random_variation(n_jets: int, target: np.ndarray) -> float:
    """Return the mean distance to `target` of `n_jets` drawn from it at random."""
    share = target.ravel() / target.sum()
    draws = np.random.default_rng(0).multinomial(n_jets, share, size=20)
    return float(np.mean([total_variation(draw, share) for draw in draws]))


def repeats(*identity: np.ndarray) -> tuple[float, int]:
    """Return the share of rows that are different in these columns (n,), and how often the most frequent comes."""
    _, counts = np.unique(np.rec.fromarrays(identity), return_counts=True)
    return len(counts) / counts.sum(), counts.max()


def print_measures(splits: dict[str, np.ndarray], target: np.ndarray) -> None:
    """Print for each split, region and class the number of jets, how many are repeats, and their shape.

    Parameters
    ----------
    splits
        Structured arrays (n,) with the fields of `IDENTITY`, ``absEta_btagJes`` and ``flavour_label``.
    target
        Counts in bins of pT and |eta|.
    """
    print(f"{'split':<6} {'region':<7} {'class':<8} {'jets':>8} {'unique':>7} {'most':>5}", end="  ")
    print(f"{'pT, |eta|':>9} {'random':>7}  {'pT':>7} {'random':>7}")
    for split, jets in splits.items():
        for region, in_region, bins in _regions(split, jets["pt_btagJes"]):
            for label, name in enumerate(CLASSES):
                chosen = jets[in_region & (jets["flavour_label"] == label)]
                unique, most = repeats(*(chosen[column] for column in IDENTITY))
                line = f"{split:<6} {region:<7} {name:<8} {len(chosen):>8} {unique:>7.3f} {most:>5}"
                if split != "test":
                    counts = histogram(chosen["pt_btagJes"], chosen["absEta_btagJes"])[bins]
                    for width, axes in ((10, ()), (8, (1,))):
                        found, asked = counts.sum(axis=axes), target[bins].sum(axis=axes)
                        line += f" {total_variation(found, asked):>{width}.4f}"
                        line += f" {random_variation(len(chosen), asked):>7.4f}"
                print(line)


def _regions(split: str, pt: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the name of each region, its jets and its bins of pT; test jets are not cut into regions."""
    lower_edges = EDGES[0][:-1]
    for region, (_, low, high) in {"all": ("", 0.0, np.inf)}.items() if split == "test" else REGIONS.items():
        yield region, (pt > low) & (pt < high), (lower_edges >= low) & (lower_edges < high)


def _read(path: Path, names: Iterable[str]) -> np.ndarray:
    with h5py.File(path) as file:
        return file["jets"].fields(list(dict.fromkeys(names)))[:]


def _read_all(paths: list[Path]) -> np.ndarray:
    return np.concatenate([_read(path, [*IDENTITY, "absEta_btagJes", "flavour_label"]) for path in paths])


# ---- the tools


def run_jetmill(directory: Path, upp: dict, cores: int) -> tuple[Usage, Outputs]:
    """Run the workflow and return what it took and the files of each split."""
    shutil.rmtree(directory / "jetmill", ignore_errors=True)
    (directory / "jetmill.yaml").write_text(yaml.safe_dump(jetmill_config(upp), sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)]
    command += ["--directory", str(directory), "--configfile", str(directory / "jetmill.yaml")]
    usage = _timed(command, directory, directory / "jetmill.log")
    output = directory / "jetmill/structured"
    return usage, {"train": [output / "train.h5"], "val": [output / "val_resampled.h5"], "test": [output / "test.h5"]}


def jetmill_config(upp: dict) -> dict:
    """Return the configuration of jetmill that ``jetmill import-upp`` makes of one of UPP."""
    return translate(upp).sections | {
        "output_dir": "jetmill",
        "scaling": {"variables_per_range": 25},
        # What UPP writes; the work on training jets is shared by the cores.
        "write": {"formats": ["structured"], "compression": "lz4", "outputs": ["train", "test"], "parts": {"train": 2}},
        "report": {"plots": False},
        "strict": False,
    }


def run_upp(directory: Path, upp: dict, python: Path) -> tuple[Usage, Outputs]:
    """Run UPP, without plots, and return what it took and the files of each split."""
    for made in ("upp", "upp.yaml"):
        path = directory / made
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (directory / "upp.yaml").write_text(yaml.safe_dump(upp, sort_keys=False))
    command = [str(python.absolute().parent / "preprocess"), "--config", "upp.yaml", "--split", "all", "--no-plot"]
    usage = _timed(command, directory, directory / "upp.log")
    output = directory / "upp/output"
    files = {split: [output / f"pp_output_{split}.h5"] for split in ("train", "val")}
    return usage, files | {"test": [output / f"pp_output_test_{process}.h5" for process in PROCESSES]}


def upp_config(directory: Path, wanted: Counts, method: str) -> dict:
    """Return a configuration of UPP 0.3.3."""
    components = []
    for region, (process, low, high) in REGIONS.items():
        cuts = [["pt_btagJes", ">", low], ["pt_btagJes", "<", high]]
        sample = {"name": process, "pattern": f"{process}.h5"}
        components += [
            {
                "region": {"name": region, "cuts": cuts},
                "sample": sample,
                "classes": [name],
                "num_global_objects": wanted["train", region][name],
                "num_global_objects_val": wanted["val", region][name],
                "num_global_objects_test": wanted["test", region][name],
            }
            for name in CLASSES
        ]
    digits = {
        split: [["eventNumber", "%10>=", last[0]], ["eventNumber", "%10<=", last[-1]]]
        for split, last in LAST_DIGITS.items()
    }
    bins = {"pt_btagJes": {"bins": [*map(list, PT_BINS)]}, "absEta_btagJes": {"bins": [*map(list, ETA_BINS)]}}
    return {
        "global_cuts": {"common": []} | digits,
        "components": components,
        "resampling": {"target": TARGET, "method": method, "sampling_fraction": "auto", "variables": bins},
        "variables": {
            "jets": {"inputs": JET_INPUTS, "labels": JET_LABELS},
            "tracks": {"inputs": TRACK_INPUTS, "labels": TRACK_LABELS},
        },
        "global": {"global_name": "jets", "base_dir": str(directory / "upp"), "ntuple_dir": str(directory)},
    }


def _timed(command: list[str], directory: Path, log: Path) -> Usage:
    """Run a command, its output in `log`, from a small process: a child begins with the peak of its parent."""
    os.sync()  # so that what was written before is not written back now
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        code, usage = pool.submit(_run, command, directory, log).result()
    if code:
        raise SystemExit(f"{' '.join(command)} failed, see {log}")
    return usage


def _run(command: list[str], directory: Path, log: Path) -> tuple[int, Usage]:
    start = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
