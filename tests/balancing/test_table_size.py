"""Jobs that hold tables of bins stay within the memory that they ask for."""

import json
import subprocess
import sys

import numpy as np
import pytest
from batches import write_batch

from jetmill.balancing.table_size import balance_megabytes, bin_megabytes, lookup_megabytes, table_numbers
from jetmill.columns.batch_list import write_batch_lists

N_JETS, SAMPLES, CLASSES = 20_000, ["tt", "qcd"], ["b", "c", "light"]
SMALL, LARGE = [0, 1, 10], [0, 1, 600]
PARTS = [{"samples": [sample]} for sample in SAMPLES]
# The keys of the resampling, components, event weights, and steps. What is looked up takes most with all of these.
CASES = {
    "weights": ({}, 0, [], ["bin", "balance"]),
    "resampled": ({"method": "pdf", "target": "flat"}, 1, [], ["balance"]),
    "event weights": ({}, 0, ["w"], ["bin", "balance"]),
    "components": (
        {"method": "pdf", "target": "flat", "components": PARTS},
        2,
        ["w"],
        ["balance", "select", "plot"],
    ),
}

# Makes the tables of bins and what is looked up in them, each step in a fork of a process that has done nothing but
# import; prints the peak memory of each, in MB.
JOBS = """
import json, os, re, sys
from pathlib import Path

import h5py

from jetmill.columns.batch_list import read_batch_list
from jetmill.settings.balance import Component, Resampling
from jetmill.settings.stages import BalanceSettings, BinSettings
from jetmill.stages.balance import balance
from jetmill.stages.bin_jets import bin_jets
from jetmill.settings.figures import FigureSettings
from jetmill.stages.plot_balance import plot_balance
from jetmill.balancing.selection import PartSpec, select_jets

def do(step, directory, bins, resampling, columns):
    batches = read_batch_list(directory / "batches.json")
    tables, binned = directory / "balance.h5", directory / f"bins_{bins['pt'][0][2]}.h5"
    if step == "bin":
        settings = BinSettings(bins=bins, n_classes=3, outside="error", event_weights=columns)
        bin_jets(batches, binned, settings)
    if step == "balance":
        weights = {name: {"method": name} for name in ("average", "flat")}
        components = [Component(**component) for component in resampling.pop("components", [])]
        settings = BalanceSettings(
            bins=bins, classes=["b", "c", "light"], samples=["tt", "qcd"], weights=weights, event_weights=columns,
            resampling=Resampling(components=components, **resampling), strict=True)
        balance(batches, [binned], tables, settings)
    if step == "select":
        with h5py.File(tables) as file:
            weights = {name: table[()] for name, table in file["weights"].items()}
            list(select_jets(PartSpec("train", (0, 1), batches), file))
    if step == "plot":
        plot_balance(batches, tables, directory / f"figures_{bins['pt'][0][2]}", FigureSettings())
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1000, flush=True)

directory, cases = Path(sys.argv[1]), json.loads(sys.argv[2])
for *case, steps in cases:
    for step in steps:
        child = os.fork()
        if not child:
            try:
                do(step, directory, *case)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("batches")
    rng = np.random.default_rng(1)
    splits = np.array([N_JETS // 2, N_JETS // 4, N_JETS // 4])
    paths = []
    for sample in SAMPLES:
        columns = {
            "key": np.concatenate([np.sort(rng.integers(0, 2**64, n, dtype=np.uint64)) for n in splits]),
            "label": rng.integers(0, len(CLASSES), N_JETS).astype(np.uint8),
            **{f"variables/{name}": rng.random(N_JETS, dtype=np.float32) for name in ("pt", "eta")},
            "event_weights/w": (rng.choice([-1, 5], N_JETS) * rng.lognormal(9, 3, N_JETS)).astype(np.float32),
        }
        paths.append(path / f"{sample}.h5")
        attributes = {"sample": sample, "splits": splits, "cutflow": [("read", N_JETS)]}
        write_batch(paths[-1], iter(columns.items()), attributes | {"constituents": {}, "inputs": [], "warnings": []})
    write_batch_lists(paths, {path / "batches.json": {}})
    return path


@pytest.fixture(scope="module")
def peaks(directory):
    """Return the peak memory of each step, MB, by case, with few bins and with many."""
    cases = [
        [{"pt": [segment], "eta": [segment]}, resampling, columns, steps]
        for resampling, _, columns, steps in CASES.values()
        for segment in (SMALL, LARGE)
    ]
    command = [sys.executable, "-c", JOBS, str(directory), json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = map(float, done.stdout.split())
    return {
        case: [{step: next(found) for step in steps} for _ in (SMALL, LARGE)] for case, (*_, steps) in CASES.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_tables_take_no_more_memory_than_is_asked_for(peaks, case):
    (small, large), (_, n_components, columns, steps) = peaks[case], CASES[case]
    event_weights = bool(columns)
    numbers = table_numbers({"pt": [LARGE], "eta": [LARGE]}, len(CLASSES))
    assert numbers == 600 * 600 * 3
    asked = {
        "bin": bin_megabytes(numbers, len(SAMPLES), event_weights=event_weights),
        "balance": balance_megabytes(numbers, len(SAMPLES), n_components, event_weights=event_weights),
        "select": lookup_megabytes(numbers, 2),
        # Each map besides, of as many pixels whatever the bins.
        "plot": lookup_megabytes(numbers, 2) + 100,
    }
    more = {step: large[step] - small[step] for step in steps}
    assert all(more[step] < asked[step] for step in steps), (more, asked)
    # Nor is ten times as much asked for as is needed.
    assert 10 * more["balance"] > asked["balance"], (more, asked)
