"""Measure how time and memory of jobs grow with jets, files and constituents.

    python benchmarks/growth.py --directory bench

With config/root2hdf5.yaml, one process for the jobs of each rule up to `write`, without Snakemake:

- S8: the peak memory of any of them for a batch of 1, 8 and 50 files, with 50 and 200 constituents a jet;
- S9: CPU time of all and peak memory at 8 times the jets, files and constituents, against once.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import floors

RULES = ("clean", "list_batches", "bin_jets", "balance", "fit_scalers", "merge_scalers", "write")
# In each file; of each jet.
ONCE = {"jets": 20_000, "files": 5, "constituents": 25}
GROWTH, TIMES = tuple(ONCE), 8


@dataclass(frozen=True)
class Usage:
    """CPU seconds of all rules, and the peak memory in MB and its rule."""

    cpu: float
    memory: float
    rule: str


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True, help="where to work; some 20 GB")
    directory = parser.parse_args().directory.resolve()
    for what, found in memory(directory):
        print(f"S8 {what} | {found.cpu:.1f} s | {found.memory:.0f} MB ({found.rule})", flush=True)
    for what in GROWTH:
        once, more = growth(directory, what)
        print(
            f"S9 {TIMES} times the {what} | {once.cpu:.1f} to {more.cpu:.1f} s | {more.cpu / once.cpu:.1f}"
            f" | {once.memory:.0f} ({once.rule}) to {more.memory:.0f} MB ({more.rule})"
            f" | {more.memory / once.memory:.2f}",
            flush=True,
        )


def memory(directory: Path) -> Iterator[tuple[str, Usage]]:
    """S8."""
    for constituents in (50, 200):
        for files in (1, 8, 50):
            found = usage(directory, jets=ONCE["jets"], files=files, constituents=constituents)
            yield f"{files} files, {constituents} constituents", found


def growth(directory: Path, what: str) -> tuple[Usage, Usage]:
    """S9: the usage of all rules for once and for so many times the jets, files or constituents."""
    return usage(directory, **ONCE), usage(directory, **ONCE | {what: TIMES * ONCE[what]})


@cache
def usage(directory: Path, jets: int, files: int, constituents: int) -> Usage:
    """Run all rules for a batch of files of so many jets."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [floors.clusters(directory, number, constituents, jets) for number in range(files)]
    config = floors.clusters_config(directory, paths, constituents)
    found = {rule: floors.run("stage", config, rule) for rule in RULES}
    largest = max(found, key=lambda rule: found[rule][1])
    return Usage(sum(cpu for cpu, _ in found.values()), found[largest][1], largest)


if __name__ == "__main__":
    main()
