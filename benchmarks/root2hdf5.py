"""Time the conversion of flat jet trees with constituents to shuffled training files.

    python benchmarks/root2hdf5.py --directory bench

Makes a signal and a background file of toy jets with about 50 clusters each, as ZSTD-compressed trees, and
runs the workflow with `config/root2hdf5.yaml` (logarithms, rotated angles, 80 slots, float32). Prints jets
per second from the trees to the finished files, all of Snakemake included, and the peak memory of each rule.
docs/benchmarks.md has the time of Root2HDF5 itself for the same trees.
"""

import argparse
import re
import subprocess
import sys
import time
from math import ceil
from pathlib import Path

import awkward as ak
import numpy as np
import uproot
import yaml

from jetmill.randomness import generator

ROOT = Path(__file__).resolve().parents[1]
JETS_AT_A_TIME = 20_000
JETS_PER_PART = 200_000


def main() -> None:
    """Make the jets, run the workflow, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--jets", type=int, default=200_000, help="of each of two samples")
    parser.add_argument("--files", type=int, default=1, help="of each sample; a clean job reads one")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    samples = {}
    for sample in ("top", "qcd"):
        paths = [directory / f"{sample}_{number}.root" for number in range(arguments.files)]
        for number, path in enumerate(paths):
            if not path.exists():
                write_tree(path, sample, arguments.jets // arguments.files, number)
        samples[sample] = {"files": [str(path) for path in paths]}
    size = sum(path.stat().st_size for path in directory.glob("*.root"))
    print(f"{2 * arguments.jets} jets, {size / 1e6:.0f} MB of trees")
    config = yaml.safe_load((ROOT / "config/root2hdf5.yaml").read_text())
    config |= {"samples": samples, "output_dir": "results", "report": {"plots": False}}
    config["input"]["files_per_batch"] = 1
    config["write"]["parts"]["train"] = arguments.cores * ceil(2 * arguments.jets / arguments.cores / JETS_PER_PART)
    (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--quiet", "all"]
    command += ["--cores", str(arguments.cores), "--configfile", "config.yaml", "--forceall"]
    seconds = []
    for _ in range(arguments.repeat):
        start = time.perf_counter()
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    median = float(np.median(seconds))
    span = f"{min(seconds):.1f} to {max(seconds):.1f}"
    print(f"{median:.1f} s ({span}), {2 * arguments.jets / median:.0f} jets/s")
    for rule, (jobs, wall, memory) in usage(directory / "results/logs").items():
        print(f"{rule:<14} {jobs:3d} jobs {wall:6.1f} s, peak {memory:.0f} MB")


def usage(logs: Path) -> dict[str, tuple[int, float, float]]:
    """Return jobs, seconds and peak memory of each rule, from the last lines of the logs."""
    found: dict[str, tuple[int, float, float]] = {}
    for path in sorted(logs.rglob("*.log")):
        last = re.search(r"done in ([\d.]+) s, .* peak memory (\d+) MB", path.read_text())
        if last:
            rule = path.relative_to(logs).parts[0].removesuffix(".log")
            jobs, wall, memory = found.get(rule, (0, 0.0, 0.0))
            found[rule] = (jobs + 1, wall + float(last[1]), max(memory, float(last[2])))
    return found


def write_tree(path: Path, sample: str, n_jets: int, number: int, clusters: int = 50) -> None:
    """Write a tree of toy jets with clusters, so many on average, in MeV, clusters not sorted."""
    rng = generator(1, "clusters", sample, number)
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        for start in range(0, n_jets, JETS_AT_A_TIME):
            jets = toy_clusters(min(JETS_AT_A_TIME, n_jets - start), sample, rng, clusters)
            jets["EventInfo_mcEventNumber"] += np.uint64(start + n_jets * number)
            if not start:
                types = {name: x.type if isinstance(x, ak.Array) else x.dtype for name, x in jets.items()}
                file.mktree("FlatSubstructureJetTree", types)
            file["FlatSubstructureJetTree"].extend(jets)


def toy_clusters(n: int, sample: str, rng: np.random.Generator, clusters_per_jet: int) -> dict:
    """Return columns of jets and jagged clusters around two (qcd) or three (top) axes."""
    pt = 350e3 + rng.exponential(250e3 if sample == "qcd" else 400e3, n)
    eta, phi = rng.uniform(-2, 2, n), rng.uniform(-np.pi, np.pi, n)
    counts = np.clip(rng.poisson(clusters_per_jet, n), 3, 3 * clusters_per_jet)
    jet = np.repeat(np.arange(n), counts)
    prongs = 3 if sample == "top" else 2
    axis = rng.normal(0, 0.25, (n, prongs, 2))
    prong = rng.integers(0, prongs, len(jet))
    cluster_eta = eta[jet] + axis[jet, prong, 0] + rng.normal(0, 0.08, len(jet))
    cluster_phi = phi[jet] + axis[jet, prong, 1] + rng.normal(0, 0.08, len(jet))
    share = rng.exponential(1.0, len(jet)) ** 2
    cluster_pt = pt[jet] * share / np.bincount(jet, share, n)[jet]
    clusters = {
        "pt": cluster_pt,
        "eta": cluster_eta,
        "phi": (cluster_phi + np.pi) % (2 * np.pi) - np.pi,
        "E": cluster_pt * np.cosh(cluster_eta),
    }
    jagged = {name: ak.unflatten(values.astype(np.float32), counts) for name, values in clusters.items()}
    jagged["taste"] = ak.unflatten(rng.integers(0, 3, len(jet)).astype(np.int32), counts)
    flat = {"fjet_pt": pt, "fjet_eta": eta, "fjet_phi": phi, "fjet_m": 0.3 * pt * rng.uniform(0.3, 1, n)}
    flat |= {"fjet_true_pt": pt * rng.normal(1, 0.05, n), "fjet_true_eta": eta}
    return {
        "EventInfo_mcEventNumber": np.arange(n, dtype=np.uint64) + np.uint64(322_000_000),
        **{name: values.astype(np.float32) for name, values in flat.items()},
        "fjet_clus": ak.zip(jagged),
    }


if __name__ == "__main__":
    main()
