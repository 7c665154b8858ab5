"""Time the CMS study: jetmill against a plain numpy and scikit-learn rendering of its algorithm.

    python benchmarks/cms_study.py --jets 2000000 --directory bench

Makes toy ntuples, runs the workflow from ROOT to finished parts with config/cms-deepcsv.yaml and
prints CPU time, wall time and peak memory of each rule. Then the algorithm of the study runs on
the same cleaned jets: one pass over complete float64 files for each range of six variables with
train_test_split and StandardScaler, then one pass that splits, bins, weights, scales and writes,
each a process of its own, one after the other. The wall times from cleaned jets to finished files are
compared; jetmill's includes all of Snakemake and a shuffle across batches, which the study does not do.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np
import yaml

REPOSITORY = Path(__file__).parents[1]
SHARE_KEPT = 0.72  # of toy jets pass the cuts of the study
JETS_PER_FILE = 50_000
BATCHES_PER_SAMPLE = 4
RANGE = 6  # variables in a pass of the study


def main() -> None:
    """Make the jets, time both, print the figures."""
    arguments = _arguments()
    directory = arguments.directory.resolve()
    if arguments.study:
        call, *first = arguments.study
        _study_scalers(directory, int(first[0])) if call == "scalers" else _study_apply(directory)
        return
    directory.mkdir(parents=True, exist_ok=True)
    config = _configure(directory, arguments)
    toys = [f"results/toy/{s}_{i:04d}.root" for s in ("tt", "qcd") for i in range(_files_per_sample(arguments.jets))]
    _snakemake(directory, toys, arguments.cores)
    cleaned = [
        f"{config['output_dir']}/clean/{sample}/batch_{i:04d}.h5"
        for sample in ("tt", "qcd")
        for i in range(BATCHES_PER_SAMPLE)
    ]
    start = time.perf_counter()
    _snakemake(directory, cleaned, arguments.cores)
    clean_wall = time.perf_counter() - start
    n_jets = _export(directory, cleaned)
    print(
        f"{n_jets} cleaned jets in {len(cleaned)} batches; clean took {clean_wall:.1f} s on {arguments.cores} cores\n"
    )
    walls: dict[str, list[float]] = {"jetmill": [], "study": []}
    for _ in range(arguments.repeat):
        start = time.perf_counter()
        targets = [f"{config['output_dir']}/{split}.h5" for split in ("train", "val", "test")]
        _snakemake(directory, targets, arguments.cores, "--forcerun", "fit_scalers", "bin_jets")
        walls["jetmill"].append(time.perf_counter() - start)
        walls["study"].append(_study(directory))
    _print_rules(directory / "results/logs")
    print(f"\nfrom cleaned jets to finished files, median of {arguments.repeat}, {arguments.cores} cores:")
    for name, seconds in walls.items():
        print(f"{name:8}{median(seconds):6.1f} s   (min {min(seconds):.1f}, max {max(seconds):.1f})")
    print(f"ratio   {median(walls['study']) / median(walls['jetmill']):6.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jets", type=int, default=2_000_000, help="cleaned jets, about")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--variables-per-range", type=int, default=24, help="of jetmill; the study has 6")
    parser.add_argument("--directory", type=Path, required=True, help="where to work; some GB")
    parser.add_argument("--study", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def _files_per_sample(jets: int) -> int:
    return max(BATCHES_PER_SAMPLE, round(jets / SHARE_KEPT / JETS_PER_FILE / 2))


def _configure(directory: Path, arguments: argparse.Namespace) -> dict:
    config = yaml.safe_load((REPOSITORY / "config/cms-deepcsv.yaml").read_text())
    n_files = _files_per_sample(arguments.jets)
    config["output_dir"] = "results"
    config["samples"] = {
        "tt": {"toy": {"process": "ttbar", "files": n_files, "jets": JETS_PER_FILE}},
        "qcd": {"toy": {"process": "qcd", "files": n_files, "jets": JETS_PER_FILE}},
    }
    config["input"]["files_per_batch"] = -(-n_files // BATCHES_PER_SAMPLE)
    config["write"] = {"shuffle": "global", "parts": {"train": 4, "val": 1, "test": 1}, "precision": "float16"}
    config["scaling"]["variables_per_range"] = arguments.variables_per_range
    (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return config


def _snakemake(directory: Path, targets: list[str], cores: int, *options: str) -> None:
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--quiet", "all"]
    command += ["--configfile", "config.yaml", "--cores", str(cores), *targets, *options]
    subprocess.run(command, cwd=directory, check=True)


def _export(directory: Path, cleaned: list[str]) -> int:
    """Write the cleaned jets as the study kept them: float64 rows, defaults in place, label last."""
    from jetmill.columns.batch_file import Batch
    from jetmill.columns.schema import LABEL, Kind, variable

    variables = yaml.safe_load((directory / "config.yaml").read_text())
    names = _expanded(variables)
    defaults = np.full(len(names), np.inf)
    n_jets = 0
    for path in cleaned:
        with Batch(directory / path) as batch:
            for i, name in enumerate(names):
                values = batch.read(variable(name))
                if not np.isnan(values).all():
                    defaults[i] = min(defaults[i], np.nanmin(values) - 0.001)
    for number, path in enumerate(cleaned):
        with Batch(directory / path) as batch:
            columns = [batch.read(variable(name)).astype(np.float64) for name in names]
            rows = np.stack([np.where(np.isnan(c), d, c) for c, d in zip(columns, defaults, strict=True)], axis=1)
            rows = np.concatenate([rows, batch.read(LABEL)[:, None]], axis=1)
            outputs = [batch.read(column) for column in batch.columns(Kind.SPECTATOR)]
        np.save(directory / f"inputs_{number}.npy", rows)
        np.save(directory / f"deepcsv_{number}.npy", np.stack(outputs, axis=1).astype(np.float64))
        n_jets += len(rows)
    np.save(directory / "defaults.npy", defaults)
    return n_jets


def _expanded(config: dict) -> tuple[str, ...]:
    from jetmill.config.load import load

    return load(config).jets.variables


def _study(directory: Path) -> float:
    """Run the study's algorithm as it was run, one process for each call, and return the wall time of all."""
    n_variables = len(np.load(directory / "defaults.npy"))
    calls = [["scalers", str(first)] for first in range(0, n_variables, RANGE)] + [["apply"]]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for call in calls:
        subprocess.run([sys.executable, __file__, "--directory", str(directory), "--study", *call], check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Not its peak memory: a child starts with the memory of its parent.
    print(f"study: {wall:.1f} s wall, {cpu:.1f} s CPU in {len(calls)} calls")
    return wall


def _split(*arrays: np.ndarray) -> list[np.ndarray]:
    """Return training, validation and test rows of each array, as the study drew them."""
    from sklearn.model_selection import train_test_split

    first = train_test_split(*arrays, test_size=0.2, random_state=1)
    second = train_test_split(*first[::2], test_size=0.1, random_state=1)
    return [second[::2], second[1::2], first[1::2]]


def _study_scalers(directory: Path, first: int) -> None:
    from sklearn.preprocessing import StandardScaler

    defaults = np.load(directory / "defaults.npy")
    last = min(first + RANGE, len(defaults))
    files = sorted(directory.glob("inputs_*.npy"))
    train = np.concatenate([_split(np.load(path)[:, first:last])[0][0] for path in files])
    for i in range(last - first):
        column = train[:, i]
        # With the right default for the column, which the study had for its first range only.
        scaler = StandardScaler().fit(column[column != defaults[first + i]].reshape(-1, 1))
        np.save(directory / f"scaler_{first + i}.npy", [scaler.mean_[0], scaler.scale_[0]])


def _study_apply(directory: Path) -> None:
    from scipy.stats import binned_statistic_2d

    ranges = {"bins": (50, 50), "range": ((-2.5, 2.5), (20, 1000)), "expand_binnumbers": True}
    table = np.ones((4, 50, 50))
    for path in sorted(directory.glob("inputs_*.npy")):
        number = path.stem.split("_")[1]
        splits = _split(np.load(path), np.load(directory / f"deepcsv_{number}.npy"))
        for name, (rows, deepcsv) in zip(("train", "val", "test"), splits, strict=True):
            targets = rows[:, -1].astype(np.int64)
            bins = binned_statistic_2d(rows[:, 0], rows[:, 1], None, "count", **ranges)[3]
            for kind in ("weights", "weights_flat"):
                weights = table[targets, bins[0] - 1, bins[1] - 1]
                np.save(directory / f"study_{name}_{kind}_{number}.npy", weights / sum(weights))
            inputs = rows[:, :-1].astype(np.float32)
            scaled = inputs.copy()
            for i in range(inputs.shape[1]):
                mean, scale = np.load(directory / f"scaler_{i}.npy")
                scaled[:, i] = (inputs[:, i].astype(np.float64) - mean) / scale
            np.save(directory / f"study_{name}_inputs_{number}.npy", scaled.astype(np.float16))
            np.save(directory / f"study_{name}_targets_{number}.npy", targets)
            np.save(directory / f"study_{name}_bins_{number}.npy", bins.astype(np.uint8))
            if name == "test":
                np.save(directory / f"study_deepcsv_{number}.npy", deepcsv)


def _print_rules(logs: Path) -> None:
    """Print what the last line of each job's log says, summed by rule."""
    rules: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for path in logs.rglob("*.log"):
        found = re.search(r"done in ([\d.]+) s, ([\d.]+) s of CPU, peak memory ([\d.]+) MB", path.read_text())
        if found:
            rule = path.relative_to(logs).parts[0].removesuffix(".log")
            rules[rule].append((float(found[1]), float(found[2]), float(found[3])))
    print(f"\n{'rule':<16}{'jobs':>6}{'wall sum':>10}{'CPU sum':>10}{'peak MB':>9}")
    for rule, jobs in rules.items():
        wall, cpu, memory = zip(*jobs, strict=True)
        print(f"{rule:<16}{len(jobs):>6}{sum(wall):>10.1f}{sum(cpu):>10.1f}{max(memory):>9.0f}")
    print(json.dumps({"numpy": np.__version__, "python": sys.version.split()[0]}))


if __name__ == "__main__":
    main()
