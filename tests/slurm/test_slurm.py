"""The workflow and the profile on a real Slurm, which is started on this machine: see start.sh."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
# Slurm is asked more often than the profile says.
QUICKLY = ["--slurm-init-seconds-before-status-checks", "10", "--max-jobs-per-timespan", "100/1s"]
# The cluster has no accounting.
SQUEUE = ["--slurm-status-command", "squeue"]
WORKFLOW_NODES, FAILING_NODES = {"node1", "node2"}, {"node3", "node4", "node5"}

pytestmark = pytest.mark.slurm


@dataclass(frozen=True)
class Job:
    """A line of squeue."""

    number: int
    state: str
    node: str
    memory: str
    rule: str


@dataclass(frozen=True)
class Run:
    """A snakemake that has ended."""

    directory: Path
    code: int
    output: str
    jobs: list[Job]

    def jobs_of(self, rule: str) -> list[Job]:
        return [job for job in self.jobs if job.rule == rule]

    def slurm_log(self, job: Job) -> str:
        return next((self.directory / "slurm_logs").rglob(f"{job.number}.log")).read_text()


@dataclass(frozen=True)
class Cluster:
    """Slurm with five invented nodes, and its directory."""

    directory: Path

    def start(self, directory: Path, *arguments: str, nodes: set[str]) -> subprocess.Popen:
        """Start snakemake with the profile and let its jobs run on some nodes."""
        others = ",".join(sorted((WORKFLOW_NODES | FAILING_NODES) - nodes))
        command = [sys.executable, "-m", "snakemake", *arguments, "--directory", str(directory)]
        command += [*SQUEUE, *QUICKLY, "--slurm-exclude-failed-nodes", others]
        both: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=ROOT, **both)

    def wait(self, process: subprocess.Popen, directory: Path) -> Run:
        output, _ = process.communicate(timeout=400)
        run = next(line for line in output.splitlines() if line.startswith("SLURM run ID: ")).split()[-1]
        form = "--format=%A|%T|%N|%m|%k"
        lines = _output("squeue", "--noheader", "--states=all", f"--name={run}", form).splitlines()
        fields = [line.split("|") for line in lines]
        rules = [field[4].removeprefix("rule_").split("_wildcards")[0] for field in fields]
        jobs = [Job(int(f[0]), *f[1:4], rule) for f, rule in zip(fields, rules, strict=True)]
        return Run(directory, process.returncode, output, sorted(jobs, key=lambda job: job.number))

    def lose(self, node: str) -> None:
        """End all processes on a node at once, as a power failure does."""
        numbers = _output("squeue", "--noheader", "--states=running", f"--nodelist={node}", "--format=%A").split()
        os.kill(int((self.directory / "pid" / node).read_text()), signal.SIGKILL)
        # First those that would report the end of the others.
        for what in ("steps", "jobs"):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    arguments, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
                except OSError:  # it has ended
                    continue
                is_step = any(arguments.startswith(f"slurmstepd: [{number}.".encode()) for number in numbers)
                is_job = any(f"SLURM_JOB_ID={number}".encode() in environment.split(b"\0") for number in numbers)
                if is_step if what == "steps" else is_job:
                    os.kill(int(process.name), signal.SIGKILL)


def _wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: apt-get install slurmctld slurmd slurm-client munge")
    if os.geteuid() != 0:
        pytest.skip("only root can start Slurm")
    if Path("/etc/slurm/slurm.conf").exists():
        pytest.skip("there is a Slurm here already, which is left alone")
    pytest.importorskip("snakemake_executor_plugin_slurm")
    directory = tmp_path_factory.mktemp("slurm")
    environment = os.environ | {"SLURM_DIRECTORY": str(directory), "NODES": "5"}
    try:
        subprocess.run([HERE / "start.sh"], env=environment, check=True)
        yield Cluster(directory)
    finally:
        subprocess.run([HERE / "stop.sh"], env=environment, check=True)


@pytest.fixture(scope="module")
def failing(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, subprocess.Popen, str]]:
    """A run whose jobs meet limits, and the node it lost. It goes on beside the workflow: a minute is the least."""
    directory = tmp_path_factory.mktemp("failures")
    arguments = ["--profile", "profiles/slurm", "--snakefile", str(HERE / "failures.smk")]
    process = cluster.start(directory, *arguments, nodes=FAILING_NODES)
    try:
        _wait_until((directory / "started").exists)
        lines = _output("squeue", "--noheader", "--states=running", "--format=%N|%k").splitlines()
        (node,) = [line.split("|")[0] for line in lines if "loses_its_node" in line]
        cluster.lose(node)
        yield directory, process, node
    finally:
        process.kill()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded default, smaller, run without Slurm."""
    directory = tmp_path_factory.mktemp("local")
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"output_dir": "results"}
    for sample in config["samples"].values():
        sample["toy"] |= {"files": 1, "jets": 3000}
    config["scaling"]["variables_per_range"] = 40
    config["write"]["parts"] = {"train": 2, "val": 1, "test": 1}
    config["report"] = {"plots": False}
    (directory / "config").mkdir()
    (directory / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--directory", str(directory)]
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return directory


@pytest.fixture(scope="module")
def workflow(
    cluster: Cluster, failing: tuple[Path, subprocess.Popen, str], local: Path, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """The same on Slurm, from the same toy files, by the command of the README."""
    directory = tmp_path_factory.mktemp("workflow")
    shutil.copytree(local / "config", directory / "config")
    shutil.copytree(local / "results/toy", directory / "results/toy")
    started = cluster.start(directory, "--profile", "slurm", nodes=WORKFLOW_NODES)
    run = cluster.wait(started, directory)
    assert run.code == 0, run.output
    return run


@pytest.fixture(scope="module")
def failures(cluster: Cluster, failing: tuple[Path, subprocess.Popen, str], workflow: Run) -> Run:
    return cluster.wait(failing[1], failing[0])


@pytest.mark.parametrize(
    ("pattern", "n_files"), [("hdf5/*/*.h5", 4), ("[tv]*.h5", 3), ("scalers.json", 1), ("balance.h5", 1)]
)
def test_slurm_writes_the_same_bytes_as_one_machine(workflow, local, pattern, n_files):
    expected = sorted((local / "results").glob(pattern))
    assert len(expected) == n_files
    for path in expected:
        found = workflow.directory / path.relative_to(local)
        assert hashlib.sha256(found.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest(), path.name


def test_jobs_ran_on_nodes_of_slurm(workflow):
    assert {job.state for job in workflow.jobs} == {"COMPLETED"}
    assert {job.node for job in workflow.jobs} == WORKFLOW_NODES
    n_jobs = {rule: len(workflow.jobs_of(rule)) for rule in ("clean", "fit_scalers", "write")}
    assert n_jobs == {"clean": 2, "fit_scalers": 2, "write": 4}
    assert workflow.jobs_of("bin_jets")
    assert workflow.jobs_of("balance")


def test_jobs_that_failed_are_done_in_the_end(failures):
    assert failures.code == 0, failures.output
    assert {path.name for path in failures.directory.iterdir() if path.is_file()} == {"memory", "time", "node"}


def test_a_job_over_its_memory_is_killed_and_gets_more(failures):
    first, second = failures.jobs_of("needs_memory")
    assert (first.state, first.memory) == ("FAILED", "500M")
    assert "exceeded memory limit" in failures.slurm_log(first)
    assert (second.state, second.memory) == ("COMPLETED", "1000M")


def test_a_job_over_its_time_is_killed_and_gets_more(failures):
    first, second = failures.jobs_of("needs_time")
    assert first.state == "TIMEOUT"
    assert f"SLURM-job '{first.number}' failed, SLURM status is: 'TIMEOUT'" in failures.output
    assert "DUE TO TIME LIMIT" in failures.slurm_log(first)
    assert second.state == "COMPLETED"


def test_a_job_whose_node_is_lost_starts_again_on_another(cluster, failing, failures):
    node = failing[2]
    (job,) = failures.jobs_of("loses_its_node")
    log = (cluster.directory / "log/slurmctld.log").read_text()
    assert f"requeue job JobId={job.number} due to failure of node {node}" in log
    assert "Restarts=1" in _output("scontrol", "show", "job", str(job.number))
    assert job.state == "COMPLETED"
    assert job.node in FAILING_NODES - {node}
    # For Snakemake it has not failed, unlike the two above.
    assert failures.output.count("Trying to restart job") == 2
