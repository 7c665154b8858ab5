"""Time single jobs against the least that their work can take.

    python benchmarks/floors.py --directory bench S1 S2

- S1: `clean` of a tree of events with 77 branches, against reading these with uproot into numpy in chunks of the same
  size.
- S2: `clean` of trees of jets with 50 and 200 constituents (config/root2hdf5.yaml), against the same.

Each job and each floor is a process of its own, imports included, in turns; what counts is CPU time, of the kernel too,
the median of some runs.
"""

import argparse
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
JETS = 1_000_000
JETS_AT_A_TIME = 50_000
CHUNK = "16 MB"


@dataclass(frozen=True)
class Result:
    """CPU seconds of a job and of its floor, and the peak memory of the job in MB."""

    what: str
    ours: float
    floor: float
    memory: float

    @property
    def ratio(self) -> float:
        """How many times its floor a job takes."""
        return self.ours / self.floor


def main() -> None:
    """Print a line for each result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True, help="where to work; some 10 GB")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("goals", nargs="*", default=[*GOALS], help=", ".join(GOALS))
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for goal in arguments.goals:
        for found in GOALS[goal](arguments.directory.resolve(), arguments.repeat):
            print(
                f"{goal} {found.what} | {found.ours:.1f} s | {found.floor:.1f} s | {found.ratio:.2f}"
                f" | {found.memory:.0f} MB",
                flush=True,
            )


def clean_of_events(directory: Path, repeat: int = 3) -> Iterator[Result]:
    """S1."""
    config = cms_config(directory, [events(directory, 0)])
    yield versus("clean of event trees", repeat, ["clean", config], ["read", config])


def clean_of_constituents(directory: Path, repeat: int = 3) -> Iterator[Result]:
    """S2."""
    for n in (50, 200):
        config = clusters_config(directory, [clusters(directory, 0, n)], n)
        yield versus(f"clean of {n} constituents a jet", repeat, ["clean", config], ["read", config])


GOALS: dict[str, Callable[[Path, int], Iterator[Result]]] = {
    "S1": clean_of_events,
    "S2": clean_of_constituents,
}


def versus(what: str, repeat: int, ours: list[str], floor: list[str]) -> Result:
    """Run a job and its floor in turns."""
    runs = [(run(*ours), run(*floor)) for _ in range(repeat)]
    mine, least = zip(*runs, strict=True)
    return Result(what, median(cpu for cpu, _ in mine), median(cpu for cpu, _ in least), max(m for _, m in mine))


def run(*job: str) -> tuple[float, float]:
    """Run a function of `JOBS` in a process of its own; return CPU seconds and peak memory in MB."""
    process = subprocess.Popen([sys.executable, __file__, "--job", *job], stdout=subprocess.PIPE, text=True)
    memory = process.stdout.read()  # type: ignore[union-attr]
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(job)} failed")
    return usage.ru_utime + usage.ru_stime, float(memory.split()[-1])


def clean(config: str) -> None:
    """Clean the first batch of a configuration."""
    import jetmill.sources.registry  # noqa: F401
    from jetmill.stages.clean import clean_batch

    batch, settings = pickle.loads(Path(config).with_suffix(".pickle").read_bytes())
    output = Path(config).with_suffix(".batch.h5")
    clean_batch(batch, output, settings)
    output.rename(output.with_suffix(".done"))  # replacing a file takes time


def read(config: str) -> None:
    """Read the branches that a configuration uses into numpy."""
    import awkward as ak
    import uproot

    raw = json.loads(Path(config).with_suffix(".branches").read_text())
    for path in raw["files"]:
        with uproot.open(path) as file:
            for entries in file[raw["tree"]].iterate(raw["branches"], step_size=CHUNK, library="ak"):
                for name in entries.fields:
                    ak.to_numpy(ak.flatten(entries[name], axis=None))
                    if entries[name].ndim > 1:
                        ak.to_numpy(ak.num(entries[name]))


JOBS = {"clean": clean, "read": read}


def events(directory: Path, number: int, n_jets: int = JETS) -> Path:
    """Return a file with a tree of toy events, made if it is not there."""
    import awkward as ak
    import uproot

    from jetmill.randomness import generator
    from jetmill.toys import ntuples

    path = directory / f"events_{n_jets}_{number}.root"
    if path.exists():
        return path
    rng = generator(1, "events", number)
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        for start in range(0, n_jets, JETS_AT_A_TIME):
            per_event = ntuples.jets_per_event(min(JETS_AT_A_TIME, n_jets - start), "ttbar", rng)
            jets, n = ntuples.toy_jets(int(per_event.sum()), "ttbar", rng), len(per_event)
            tree = {
                "run": np.ones(n, dtype=np.uint32),
                "luminosityBlock": np.full(n, start + number * n_jets, dtype=np.uint32),
                "event": np.arange(n, dtype=np.uint64),
                "Jet": ak.zip({name: ak.unflatten(values, per_event) for name, values in jets.items()}),
            }
            if not start:
                file.mktree("Events", {name: x.type if name == "Jet" else x.dtype for name, x in tree.items()})
            file["Events"].extend(tree)
    return path


def clusters(directory: Path, number: int, n: int, n_jets: int = JETS) -> Path:
    """Return a file with a tree of toy jets with so many clusters, made if it is not there."""
    from root2hdf5 import write_tree

    path = directory / f"clusters_{n_jets}_{n}_{number}.root"
    if not path.exists():
        write_tree(path, "top", n_jets, number, n)
    return path


def cms_config(directory: Path, files: list[Path]) -> str:
    """Write the configuration of the CMS study for some files."""
    branches = [f"Jet_{name}" for name in _names_of_toys()] + ["run", "luminosityBlock", "event", "nJet"]
    return _write_config(directory, "cms-deepcsv", "tt", files, "Events", branches)


def clusters_config(directory: Path, files: list[Path], n: int) -> str:
    """Write the configuration of Root2HDF5 for some files."""
    branches = [f"fjet_clus_{name}" for name in ("pt", "eta", "phi", "E", "taste")]
    branches += [f"fjet_{name}" for name in ("pt", "eta", "phi", "m", "true_pt", "true_eta")]
    return _write_config(
        directory, "root2hdf5", "top", files, "FlatSubstructureJetTree", [*branches, "EventInfo_mcEventNumber"], n
    )


def _write_config(
    directory: Path, name: str, sample: str, files: list[Path], tree: str, branches: list[str], n: int | None = None
) -> str:
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    config["samples"] = {sample: {"files": list(map(str, files))}}
    config["output_dir"] = str(directory / "results")
    config["input"]["files_per_batch"] = len(files)
    if n == 200:
        config["constituents"]["clusters"]["max"] = 250
    if name == "root2hdf5":
        config["classes"], config["balance"] = {"signal": {"samples": [sample]}}, {}
    path = directory / f"{name}_{n}_{len(files)}_{files[0].stem}.yaml"
    from jetmill.plan import Plan

    plan = Plan.from_raw(config)
    path.with_suffix(".pickle").write_bytes(pickle.dumps((plan.batches[0], plan.cleaning[""])))
    path.with_suffix(".batch.h5").unlink(missing_ok=True)
    about = {"files": list(map(str, files)), "tree": tree, "branches": branches}
    path.with_suffix(".branches").write_text(json.dumps(about))
    return str(path)


def _names_of_toys() -> list[str]:
    from jetmill.toys import ntuples

    return list(ntuples.toy_jets(1, "ttbar", np.random.default_rng(1)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        JOBS[sys.argv[2]](*sys.argv[3:])
        print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024)  # type: ignore[index]
    else:
        main()
