"""Print a line for each goal of speed, and fail if one is clearly worse than recorded.

    python benchmarks/bench.py --directory bench           # `make bench`, minutes
    python benchmarks/bench.py --directory bench --full    # `make bench-full`, with 5 million jets and peers

Ratios are of CPU time where a job is compared with the least that its work takes (benchmarks/floors.py), and of wall
time where runs are compared; so nothing else should run on the machine.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import floors
import growth

ROOT = Path(__file__).resolve().parents[1]
# By how much a figure may be worse than recorded, as a share of it.
NOISE = 0.2


@dataclass(frozen=True)
class Figure:
    """What was measured.

    Attributes
    ----------
    ours, other
        Seconds of jetmill, and of its floor or peer; None if there is none.
    value
        What the goal is about: a ratio, or seconds.
    memory
        Peak memory in MB; None where it was not measured.
    """

    ours: float
    other: float | None
    value: float
    memory: float | None = None


@dataclass(frozen=True)
class Goal:
    """A goal: how it is measured, what is wanted, and what was measured last, if it was. More is better of a peer."""

    name: str
    measure: Callable[[Path], Figure]
    wanted: float
    recorded: float | None
    of_peer: bool = False
    full: bool = False

    def line(self, found: Figure) -> str:
        """Return the line of the table."""
        reached = found.value >= self.wanted if self.of_peer else found.value <= self.wanted
        other, memory = (f"{x:.1f}" if x is not None else "" for x in (found.other, found.memory))
        words = "ok" if reached else "short"
        if self.worse(found):
            words += f", worse than recorded ({self.recorded:g})"
        return f"{self.name} | {found.ours:.1f} | {other} | {found.value:.2f} | {self.wanted:g} | {memory} | {words}"

    def worse(self, found: Figure) -> bool:
        """Return whether a figure is worse than the recorded one by more than noise."""
        if self.recorded is None:
            return False
        if self.of_peer:
            return found.value < self.recorded * (1 - NOISE)
        return found.value > self.recorded * (1 + NOISE)


def of_floor(goal: str, number: int) -> Callable[[Path], Figure]:
    """Return how a job is compared with its floor."""

    def measure(directory: Path) -> Figure:
        found = [*floors.GOALS[goal](directory, 3)][number]
        return Figure(found.ours, found.floor, found.ratio, found.memory)

    return measure


def chain(directory: Path) -> Figure:
    """Return the wall time of the default's run beyond the work of its jobs on two cores."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "2", "--quiet", "all"]
    subprocess.run([*command, "--forceall"], cwd=directory, check=True)
    wall = time.perf_counter() - start
    logs = (path.read_text() for path in (directory / "results/toy/logs").rglob("*.log"))
    work = sum(float(seconds) for text in logs for seconds in re.findall(r"INFO done in ([\d.]+) s", text))
    return Figure(wall, work / 2, wall - work / 2)


def of_program(program: str, *options: str, pattern: str) -> Callable[[Path], Figure]:
    """Return how the figures of another benchmark are read: seconds of jetmill, and of its peer if there is one."""

    def measure(directory: Path) -> Figure:
        command = [sys.executable, str(ROOT / "benchmarks" / program), "--directory", str(directory), *options]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = re.search(pattern, done.stdout, flags=re.DOTALL)
        if not found:
            sys.exit(f"{program} printed no figures:\n{done.stdout}")
        ours, *others = map(float, found.groups())
        return Figure(ours, others[0], others[0] / ours) if others else Figure(ours, None, ours)

    return measure


def of_growth(what: str, figure: str) -> Callable[[Path], Figure]:
    """Return how time or memory at so many times the jets, files or constituents is compared with once."""

    def measure(directory: Path) -> Figure:
        once, more = growth.growth(directory.parent / "growth", what)
        of_once, of_more = getattr(once, figure), getattr(more, figure)
        return Figure(more.cpu, once.cpu, of_more / of_once, more.memory)

    return measure


def memory(directory: Path) -> Figure:
    """Return the peak memory of any job, in MB, for batches of 1 to 50 files with 50 and 200 constituents a jet."""
    found = [usage for _, usage in growth.memory(directory.parent / "growth")]
    peak = max(usage.memory for usage in found)
    return Figure(sum(usage.cpu for usage in found), None, peak, peak)


STUDY = r"jetmill +([\d.]+) s.*study +([\d.]+) s"


def dry_run(files_per_batch: int) -> Callable[[Path], Figure]:
    """Return how a dry run of 14,000 files is timed."""
    pattern = rf"-n, {files_per_batch} files a batch, shuffle \w+: \d+ jobs, ([\d.]+) s"
    return of_program("scale.py", "--jobs", "0", pattern=pattern)


GOALS = [
    Goal("S1 clean of event trees", of_floor("S1", 0), 1.5, 2.0),
    Goal("S2 clean of 50 constituents a jet", of_floor("S2", 0), 2.0, 6.2),
    Goal("S2 clean of 200 constituents a jet", of_floor("S2", 1), 2.0, 5.9),
    Goal("S3 write of 67 variables", of_floor("S3", 0), 2.0, None),
    Goal("S3 write of 40 x 19 constituents", of_floor("S3", 1), 2.0, None),
    Goal("S4 chain of the default, s", chain, 2.5, 5.0),
    Goal("S5 CMS study, 2 M jets", of_program("cms_study.py", pattern=STUDY), 8, 5.0, of_peer=True),
    Goal("S10 snakemake -n, batches of 50, s", dry_run(50), 3, 4.0),
    Goal("S10 snakemake -n, a file a batch, s", dry_run(1), 15, 25.0),
    Goal(
        "S5 CMS study, 5 M jets",
        of_program("cms_study.py", "--jets", "5000000", pattern=STUDY),
        10,
        6.5,
        of_peer=True,
        full=True,
    ),
    Goal("S8 memory of any job, MB", memory, 1024, None, full=True),
    *(
        Goal(f"S9 {name}, {growth.TIMES} times the {what}", of_growth(what, figure), wanted, None, full=True)
        for what in growth.GROWTH
        for name, figure, wanted in (("time", "cpu", 8.5), ("memory", "memory", 1.1))
    ),
]


def lines(directory: Path, goals: list[Goal]) -> Iterator[tuple[str, bool]]:
    """Yield the line of each goal, and whether it is worse than recorded."""
    for goal in goals:
        place = directory / re.sub(r"\W+", "_", goal.name)
        place.mkdir(parents=True, exist_ok=True)
        found = goal.measure(place)
        yield goal.line(found), goal.worse(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True, help="where to work; some 10 GB")
    parser.add_argument("--full", action="store_true", help="the goals that take longer too")
    parser.add_argument("--only", default="", metavar="TEXT", help="goals whose names begin so")
    arguments = parser.parse_args()
    goals = [g for g in GOALS if g.name.startswith(arguments.only) and (arguments.full or not g.full)]
    print("goal | jetmill, s | floor or peer, s | ratio | wanted | memory, MB |", flush=True)
    worse = False
    for line, is_worse in lines(arguments.directory.resolve(), goals):
        print(line, flush=True)
        worse |= is_worse
    sys.exit(worse)


if __name__ == "__main__":
    main()
