"""Time loading for training: streams of few and many batch files, finished files in blocks and by lists of rows.

    python benchmarks/streams.py --directory bench

Makes toy dumps (`config/atlas-tdd.yaml`, 40 tracks) and toy ntuples (the default, 67 variables), the same number of
jets in 4, 40 and 400 files with a batch file each, and times batches of 1000 jets with all datasets on both sides.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import jetmill
from jetmill.formats.files.names import Names
from jetmill.loading.torch import BlockSampler, FileDataset
from jetmill.workflow.in_process import run_in_process

ROOT = Path(__file__).resolve().parents[1]
BATCH = 1000
FILES = (4, 40, 400)
CONFIGS = {"atlas-tdd": 1, "config": 5}


def main() -> None:
    """Make the jets and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--jets", type=int, default=400_000, help="in all files")
    parser.add_argument("--repeats", type=int, default=3, help="of which the fastest counts")
    arguments = parser.parse_args()
    for name, more in CONFIGS.items():
        for n_files in FILES:
            results = arguments.directory.resolve() / f"{name}_{n_files}"
            if not (results / "manifest.json").exists():
                _run(name, results, n_files, arguments.jets * more)
            _time(name, results, n_files, arguments.repeats)


def _run(name: str, results: Path, n_files: int, n_jets: int) -> None:
    """Do a whole run with all jets in `n_files` files and as many batches."""
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    toy = {"files": n_files // 2, "jets": n_jets // n_files}
    processes = ("ttbar", "qcd" if name == "config" else "zprime")
    config["samples"] = {process: {"toy": {"process": process, **toy}} for process in processes}
    config |= {"output_dir": str(results), "strict": False}
    config["input"]["files_per_batch"] = 1
    config["write"] |= {"formats": ["hdf5"]}
    config["balance"] |= {"resampling": {"method": "none"}}
    run_in_process(config)


def _time(name: str, results: Path, n_files: int, repeats: int) -> None:
    stream = jetmill.Stream(results, batch_size=BATCH)
    data = FileDataset(results / "train.h5")
    n, rng = len(data), np.random.default_rng(0)
    few = [rng.choice(n, BATCH, replace=False).tolist() for _ in range(20)]
    rates = {
        "stream": _rate(stream.epoch, repeats),
        "file": _rate(lambda: (data[rows] for rows in BlockSampler(n, BATCH)), repeats),
        "in order": _rate(lambda: (data[start : start + BATCH] for start in range(0, n, BATCH)), repeats),
        "lists of rows": _rate(lambda: (data[rows] for rows in few), 1),
    }
    printed = ", ".join(f"{way} {rate:,.0f} jets/s" for way, rate in rates.items())
    print(f"{name}, {n_files} files, {n} jets: {printed}; stream / file {rates['stream'] / rates['file']:.2f}")


def _rate(epoch: Callable[[], Iterable[Mapping[str, Any]]], repeats: int) -> float:
    """Return jets per second of the fastest epoch."""
    best = 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        n_jets = sum(len(batch[Names().labels]) for batch in epoch())
        best = max(best, n_jets / (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    main()
