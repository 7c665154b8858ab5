"""Time single jobs against the least that their work can take.

    python benchmarks/floors.py --directory bench S1 S2 S3

- S1: `clean` of a tree of events with 77 branches, against reading these with uproot into numpy in chunks of the same
  size.
- S2: `clean` of trees of jets with 50 and 200 constituents (config/root2hdf5.yaml), against the same.
- S3: `write` of a part of 67 variables (config/cms-deepcsv.yaml) and of 40 x 19 constituents (config/atlas-tdd.yaml),
  scaled arrays without compression, against h5py writing the same arrays from mapped files.

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


def write_of_a_part(directory: Path, repeat: int = 3) -> Iterator[Result]:
    """S3."""
    for what, config in (
        ("67 variables", cms_config(directory, [events(directory, 0)])),
        ("40 x 19 constituents", tracks_config(directory)),
    ):
        prepare_write(config)
        yield versus(f"write of {what}", repeat, ["write", config], ["save", config])


GOALS: dict[str, Callable[[Path, int], Iterator[Result]]] = {
    "S1": clean_of_events,
    "S2": clean_of_constituents,
    "S3": write_of_a_part,
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


def prepare_write(config: str) -> None:
    """Run a configuration as far as `write`, and note what its first training part is made of; write it once."""
    import h5py

    from jetmill.balancing.selection import PartSpec
    from jetmill.plan import Plan
    from jetmill.workflow.in_process import run_in_process

    raw = yaml.safe_load(Path(config).read_text())
    raw["write"] |= {"formats": ["hdf5"], "compression": "none", "parts": {"train": 1}}
    results, plan = run_in_process(raw, last="merge_scalers"), Plan.from_raw(raw)
    spec = PartSpec.from_batch_list(results / "clean/batches.json", "train", (0, 1))
    of_part = spec, results / "balance.h5", results / "scalers.json", plan.config.content
    Path(config).with_suffix(".part").write_bytes(pickle.dumps(of_part))
    run("write", config)
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(Path(config).with_suffix(".part.done")) as file:
        file.visititems(lambda name, x: arrays.update({name: x[()]} if isinstance(x, h5py.Dataset) else {}))
    directory = Path(config).with_suffix(".arrays")
    directory.mkdir(exist_ok=True)
    for number, values in enumerate(arrays.values()):
        np.save(directory / f"{number}.npy", values)


def write(config: str) -> None:
    """Write a part as scaled arrays."""
    from jetmill.formats.content.part import Part
    from jetmill.stages.write import write as write_part

    output = Path(config).with_suffix(".part.h5")
    of_part = pickle.loads(Path(config).with_suffix(".part").read_bytes())
    write_part("hdf5", Part.read(*of_part), output, {"compression": "none"})
    output.rename(output.with_suffix(".done"))


def save(config: str) -> None:
    """Write the arrays of a part with h5py."""
    import h5py

    output = Path(config).with_suffix(".saved.h5")
    output.unlink(missing_ok=True)
    with h5py.File(output, "w") as file:
        for path in Path(config).with_suffix(".arrays").iterdir():
            file[path.stem] = np.load(path, mmap_mode="r")


def stage(config: str, name: str) -> None:
    """Run the jobs of a rule."""
    from jetmill.workflow.in_process import run_in_process

    run_in_process(yaml.safe_load(Path(config).read_text()), first=name, last=name)


JOBS: dict[str, Callable[..., None]] = {"clean": clean, "read": read, "write": write, "save": save, "stage": stage}


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


def tracks_config(directory: Path) -> str:
    """Write the configuration of an ATLAS study for toy dumps."""
    config = yaml.safe_load((ROOT / "config/atlas-tdd.yaml").read_text())
    config["samples"] = {
        name: {"toy": {"process": name, "files": 1, "jets": JETS // 4}} for name in ("ttbar", "zprime")
    }
    config["output_dir"] = str(directory / "tracks")
    path = directory / "atlas-tdd.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return str(path)


def _write_config(
    directory: Path, name: str, sample: str, files: list[Path], tree: str, branches: list[str], n: int | None = None
) -> str:
    config = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    config["samples"] = {sample: {"files": list(map(str, files))}}
    config["output_dir"] = str(directory / f"results_{name}_{n}_{len(files)}")
    config["input"]["files_per_batch"] = len(files)
    if n is not None and n > 80:
        config["constituents"]["clusters"]["max"] = 250
    if name == "root2hdf5":
        config["classes"], config["balance"] = {"signal": {"samples": [sample]}}, {}
    path = directory / f"{name}_{n}_{len(files)}_{files[0].stem}.yaml"
    from jetmill.plan import Plan

    plan = Plan.from_raw(config)
    path.with_suffix(".pickle").write_bytes(pickle.dumps((plan.batches[0], plan.cleaning[""])))
    path.write_text(yaml.safe_dump(config, sort_keys=False))
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
