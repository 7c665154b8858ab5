"""A finished run, and copies of it in which something goes wrong."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import workflow_runs as runs

from jetmill.toys.ntuples import toy_jets

FORMATS = ["hdf5", "structured", *(["tfrecords"] if find_spec("google_crc32c") else [])]
INPUTS = [f"inputs/{name}.root" for name in ("top_0", "jj_0", "jj_1")]


CONFIG: dict[str, Any] = {
    "input": {"files_per_batch": 1},
    "samples": {"top": {"files": INPUTS[:1]}, "jj": {"files": INPUTS[1:]}},
    "jets": {"select": ["abs(eta) <= 2.5", "pt <= 1000"], "variables": ["eta", "pt"]},
    "classes": {"b": "hadronFlavour == 5 & nBHadrons <= 1", "other": "rest"},
    "balance": {"bins": {"pt": [10, 1000, 3]}, "weights": ["flat"]},
    "write": {"parts": {"train": 2}, "outputs": ["train"], "formats": FORMATS},
}


ARRAY = "results/train.h5"


# What needs every stage, and not every plot.
ALL = [
    ARRAY,
    *(f"results/{name}" for name in ("structured/train.h5", "class_dict.yaml", "manifest.json", "report/balance")),
]


# Python loads it in every process that the test starts; it does something in jobs alone, which are scripts of
# Snakemake. `FAULT` says what and where it keeps what it must remember.
SITECUSTOMIZE = '''
import json, os, resource, signal, sys, time
from pathlib import Path

script = Path(sys.orig_argv[-1])
if script.parent.name == "scripts" and script.parent.parent.name == ".snakemake":
    fault, rule = json.loads(os.environ["FAULT"]), script.name.split(".")[1]
    memory = Path(fault["memory"])

    def first(name):
        try:
            (memory / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def snakemake_and_below():
        """Return the processes from the one that the test started to the parent of this one."""
        found = [os.getppid()]
        while b"multiprocessing.forkserver" not in Path(f"/proc/{found[0]}/cmdline").read_bytes():
            status = Path(f"/proc/{found[0]}/status").read_text()
            found.insert(0, int(status.split("PPid:")[1].split()[0]))
        return found

    def hold():
        (memory / "new").write_text(str(snakemake_and_below()[0]))
        (memory / "new").rename(memory / "held")
        while not (memory / "go").exists():
            time.sleep(0.01)

    def watch(event, args):
        if event == "open" and str(args[0]).endswith(fault.get("hold_at", "nothing")) and first("holds"):
            hold()
        if event != "os.rename" or not str(args[0]).endswith(".partial"):
            return
        if rule in fault.get("kill", ()) and first(f"killed {rule}"):
            os.kill(os.getpid(), signal.SIGKILL)
        if rule == fault.get("hold") and first("holds"):
            hold()
        if not str(args[1]).startswith("."):
            with (memory / "done").open("a") as file:
                file.write(f"{args[1]}\\n")

    sys.addaudithook(watch)
    limit = fault.get("limits", {}).get(rule)
    if limit and first(f"limited {rule}"):
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if fault.get("power"):
            # The end of Snakemake first, then of this job, by the kernel, when its file is half there.
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            for process in snakemake_and_below():
                os.kill(process, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
'''


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run everything without a fault, once."""

    def make(directory: Path) -> Path:
        (directory / "inputs").mkdir()
        for number, path in enumerate(INPUTS):
            write_input(directory / path, seed=number)
        runs.succeeds(directory, "--cores", "2", *ALL, config=CONFIG)
        return directory

    return runs.once(tmp_path_factory, "undisturbed", make)


def write_input(path: Path, *, seed: int) -> None:
    jets = toy_jets(600, "ttbar", np.random.default_rng(seed))
    jets = {name: jets[name] for name in ("eta", "pt", "hadronFlavour", "nBHadrons")}
    runs.write_ntuple(path, jets, np.full(200, 3))


@dataclass(frozen=True)
class Faulty:
    """A copy of the undisturbed run in which something goes wrong."""

    directory: Path
    undisturbed: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def results(self) -> Path:
        return self.directory / "results"

    @property
    def memory(self) -> Path:
        """Return where jobs keep what the last fault makes them remember."""
        return Path(json.loads(os.environ["FAULT"])["memory"])

    def fault(self, **what: Any) -> None:
        """Have jobs do something from now on: see SITECUSTOMIZE."""
        memory = Path(tempfile.mkdtemp(prefix="memory", dir=self.directory))
        (memory / "sitecustomize.py").write_text(SITECUSTOMIZE)
        paths = [str(memory), os.environ.get("PYTHONPATH", "")]
        self.monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        self.monkeypatch.setenv("FAULT", json.dumps({"memory": str(memory), **what}))

    def run(self, *arguments: str, cores: int = 2) -> runs.Run:
        return runs.snakemake(self.directory, "--cores", str(cores), *arguments, config=CONFIG)

    def fails(self, *arguments: str, cores: int = 2) -> runs.Run:
        """Run, and see that it fails without a word of Python's and leaves nothing half-made."""
        run = self.run(*arguments, cores=cores)
        assert run.code != 0
        assert "Traceback" not in run.output
        self.check_files()
        return run

    def succeeds(self, *arguments: str, cores: int = 2) -> runs.Run:
        """Run, and see that it ends as the undisturbed run did."""
        run = self.run(*arguments, cores=cores)
        assert run.code == 0, run.output
        self.check_files()
        assert runs.half_made(self.directory) == []
        for target in arguments:
            assert (self.directory / target).exists()
        return run

    def check_files(self) -> None:
        """See that every file that has its final name is that of the undisturbed run."""
        for path in data_files(self.results):
            assert content(path) == content(self.undisturbed / path.relative_to(self.directory)), path

    @contextmanager
    def running(self, *arguments: str) -> Iterator["Running"]:
        """Run in the background up to where `fault` has a job wait."""
        memory = self.memory
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self.run, *arguments)
            try:
                end = time.monotonic() + 60
                while not (memory / "held").exists():
                    assert not future.done(), future.result().output
                    assert time.monotonic() < end
                    time.sleep(0.02)
                yield Running(int((memory / "held").read_text()), memory / "go", future.result)
            finally:
                (memory / "go").touch()

    def remove(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self.results.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@dataclass(frozen=True)
class Running:
    """A snakemake, one of whose jobs waits until it may go on."""

    process: int
    go: Path
    result: Callable[[], runs.Run]

    def finish(self) -> runs.Run:
        self.go.touch()
        return self.result()


@pytest.fixture
def faulty(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    shutil.copytree(undisturbed, tmp_path / "run", symlinks=True)
    return Faulty(tmp_path / "run", undisturbed, monkeypatch)


def data_files(results: Path) -> Iterator[Path]:
    for path in results.rglob("*"):
        parts = path.relative_to(results).parts
        if path.is_file() and parts[0] not in ("logs", "benchmarks") and not any(p.startswith(".") for p in parts):
            yield path


def content(path: Path) -> Any:
    if path.name != "manifest.json":
        return path.read_bytes()
    # The repository may go on meanwhile.
    return {key: value for key, value in json.loads(path.read_text()).items() if key != "commit"}


def verify(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jetmill", "verify", "results", *arguments]
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, text=True)
