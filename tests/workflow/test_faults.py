"""Runs that are broken in every way and started again: clear messages, nothing half-made, the same bytes at the end."""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import workflow_runs as runs
from faults import ALL, ARRAY, FORMATS, INPUTS, data_files, verify, write_input

pytestmark = pytest.mark.workflow

# What is made from the last input on the way to these.
FROM_LAST_INPUT = ["clean/jj/batch_0001.h5", "clean/batches.json", "hdf5", "train.h5"]
# Every script of that run with what its rules make.
STAGES = {
    "clean": ["clean/*/*.h5"],
    "list_batches": ["clean/batches.json"],
    "fit_scalers": ["scalers/*.json"],
    "merge_scalers": ["scalers.json"],
    "export": ["*_dict.*"],
    "bin_jets": ["bins/*.h5"],
    "balance": ["balance.h5"],
    "write": ["hdf5/*/*.h5", "structured/*/*.h5", "tfrecords/*/[!.]*"],
    "join": ["*/train.h5", "train.h5"],
    "write_manifest": ["manifest.json"],
    "plot_balance": ["report/balance"],
}


def halves(results: Path) -> dict[str, int]:
    """Return half the size of the smallest file that each stage makes."""
    files = {stage: [p for pattern in patterns for p in results.glob(pattern)] for stage, patterns in STAGES.items()}
    return {stage: min(path.stat().st_size for path in paths) // 2 for stage, paths in files.items()}


@contextmanager
def mounted(directory: Path, megabytes: int = 8) -> Iterator[Callable[[str], None]]:
    """Give a directory a file system of its own, and a function that remounts it with other options."""
    directory.mkdir(parents=True, exist_ok=True)

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,{options}", "tmpfs", str(directory)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("mounting a file system needs root")
    mount("rw")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with pytest.raises(OSError, match="No space left"), path.open("wb", buffering=0) as file:  # noqa: PT012
        while True:
            file.write(bytes(4096))


# --- the end of jobs ---


def test_each_stage_fails_to_write_and_is_killed_and_is_resumed(faulty):
    """The first job of each stage may write half of its file, the second one is killed before its file has its name."""
    shutil.rmtree(faulty.results)
    shutil.rmtree(faulty.directory / ".snakemake")
    faulty.fault(limits=halves(faulty.undisturbed / "results"), kill=list(STAGES))
    named: list[str] = []
    for _ in range(20):
        run = faulty.run("--keep-going", "--retries", "1", *ALL)
        named.extend(re.findall(r"ERROR (\S+): cannot be written: File too large", run.output))
        assert "Traceback" not in run.output
        faulty.check_files()
        if run.code == 0:
            break
    assert run.code == 0, run.output
    for stage, patterns in STAGES.items():
        assert any(Path(path).match(f"results/{pattern}") for path in named for pattern in patterns), stage
    assert {p.name for p in faulty.memory.glob("killed *")} == {f"killed {stage}" for stage in STAGES}
    # What was done was not done again, and all of it is there.
    done = Counter((faulty.memory / "done").read_text().split())
    assert set(done.values()) == {1}
    expected = [path.relative_to(faulty.undisturbed) for path in data_files(faulty.undisturbed / "results")]
    assert all((faulty.directory / path).exists() for path in expected)
    assert runs.half_made(faulty.directory) == []


@pytest.mark.parametrize(
    ("stage", "target"),
    [("write", "train.h5"), ("join", "train.h5"), ("write", "tfrecords/train/metadata.json")],
)
def test_everything_ends_in_the_middle_of_a_file(faulty, stage, target):
    """As when the machine is switched off: neither the job nor Snakemake can tidy up."""
    if target.split("/")[0] == "tfrecords" and "tfrecords" not in FORMATS:
        pytest.skip("google-crc32c is not installed")
    faulty.remove(target, *(STAGES["write"] if (stage, target) == ("write", "train.h5") else []))
    faulty.fault(limits={stage: halves(faulty.undisturbed / "results")[stage]}, power=True)
    run = faulty.fails(f"results/{target}", cores=1)
    assert run.code == -signal.SIGKILL
    assert runs.half_made(faulty.results) != []
    assert not (faulty.results / target).exists()
    assert faulty.run("--unlock").code == 0
    faulty.succeeds(f"results/{target}")


def test_snakemake_is_killed_and_its_jobs_live_on(faulty):
    faulty.remove("train.h5", "hdf5/train/part_0000.h5")
    faulty.fault(hold="write")
    with faulty.running(ARRAY) as running:
        os.kill(running.process, signal.SIGKILL)
        locked = faulty.run(ARRAY)
        assert locked.code == 1
        assert "Directory cannot be locked" in locked.output
        assert "--unlock" in locked.output
        assert faulty.run("--unlock").code == 0
        resumed = faulty.run(ARRAY)
        assert resumed.code == 0, resumed.output
        assert resumed.jobs == {"write": 1, "join": 1, "total": 2}
        assert running.finish().code == -signal.SIGKILL
    faulty.check_files()
    # The job that had lived on changes nothing when it ends.
    assert "Nothing to be done" in faulty.succeeds(ARRAY).output


# --- the system ---


def test_the_disk_is_full(faulty):
    saved = faulty.directory / "saved"
    faulty.results.rename(saved)
    with mounted(faulty.results):
        shutil.copytree(saved, faulty.results, dirs_exist_ok=True)
        faulty.remove("train.h5", "hdf5/train/part_0000.h5")
        fill(faulty.results / "ballast")
        run = faulty.run(ARRAY)
        assert run.code == 1
        assert "results/.jetmill/lock: cannot be written: No space left on device" in run.output
        assert "Traceback" not in run.output
        (faulty.results / "ballast").unlink()
        faulty.fault(hold_at="scalers.json")
        with faulty.running(ARRAY) as running:
            fill(faulty.results / "ballast")
            run = running.finish()
        assert run.code == 1
        assert "results/hdf5/train/part_0000.h5: cannot be written: No space left on device" in run.output
        assert "Traceback" not in run.output
        assert not list((faulty.results / "hdf5/train").glob("*part_0000.h5*"))
        (faulty.results / "ballast").unlink()
        assert faulty.succeeds(ARRAY).jobs == {"write": 1, "join": 1, "total": 2}


@pytest.mark.parametrize(
    ("directory", "name", "before"),
    [("hdf5/train", "part_0000.h5", "scalers.json"), ("logs/write/hdf5/train", "part_0000.h5.log", "part_0000.h5.log")],
    ids=["results", "log"],
)
def test_the_file_system_becomes_read_only(faulty, directory, name, before):
    faulty.remove("train.h5", "hdf5/train/part_0000.h5")
    faulty.fault(hold_at=before)
    (faulty.results / directory).rename(faulty.directory / "saved")
    with mounted(faulty.results / directory) as remount:
        shutil.copytree(faulty.directory / "saved", faulty.results / directory, dirs_exist_ok=True)
        with faulty.running(ARRAY) as running:
            remount("ro")
            run = running.finish()
        assert run.code == 1
        assert f"results/{directory}/{name}: cannot be written: Read-only file system" in run.output
        # Snakemake may have a traceback of its own.
        assert "src/jetmill" not in run.output
        faulty.check_files()
        # Snakemake itself does not start any job.
        run = faulty.run(ARRAY)
        assert run.code == 1
        assert f"Read-only file system: 'results/{directory}/" in run.output
        remount("rw")
        assert faulty.succeeds(ARRAY).jobs == {"write": 1, "join": 1, "total": 2}


def test_the_temporary_directory_is_full(faulty):
    faulty.remove(*FROM_LAST_INPUT)
    with mounted(faulty.directory / "tmp"):
        faulty.monkeypatch.setenv("TMPDIR", str(faulty.directory / "tmp"))
        fill(faulty.directory / "tmp/ballast")
        faulty.succeeds(ARRAY)


# --- the input ---


def test_inputs_are_damaged(faulty):
    faulty.remove("clean/*/*.h5", *FROM_LAST_INPUT)
    top, jj_0, jj_1 = (faulty.directory / path for path in INPUTS)
    top.write_bytes(top.read_bytes()[: top.stat().st_size // 2])
    jj_0.write_bytes(b"")
    jj_1.write_bytes(b"These are no jets.\n" * 1000)
    run = faulty.fails("--keep-going", ARRAY)
    assert "inputs/top_0.root: cut short or not a readable ROOT file" in run.output
    assert "inputs/jj_0.root: not a readable ROOT file" in run.output
    assert "inputs/jj_1.root: not a readable ROOT file" in run.output
    for path in INPUTS[:2]:
        shutil.copy2(faulty.undisturbed / path, faulty.directory / path)
    jj_1.unlink()
    run = faulty.fails(ARRAY)
    assert f"{INPUTS[2]}: no such file" in run.output
    shutil.copy2(faulty.undisturbed / INPUTS[2], jj_1)
    assert faulty.succeeds(ARRAY).jobs["clean"] == 3


def test_an_input_is_replaced_after_it_was_cleaned(faulty):
    """The run is one of the old file, and the next one sees the new file."""
    faulty.remove(*FROM_LAST_INPUT)
    faulty.fault(hold="list_batches")
    with faulty.running(ARRAY) as running:
        write_input(faulty.directory / INPUTS[2], seed=99)
        run = running.finish()
    assert run.code == 0, run.output
    faulty.check_files()
    assert faulty.run("-n", ARRAY).jobs["clean"] == 1


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda path: write_input(path, seed=99), "changed while it was read"),
        (lambda path: path.unlink(), "no such file"),
    ],
    ids=["replaced", "removed"],
)
def test_an_input_changes_while_it_is_read(faulty, change, wanted):
    faulty.remove(*FROM_LAST_INPUT)
    faulty.fault(hold_at=INPUTS[2])
    with faulty.running(ARRAY) as running:
        change(faulty.directory / INPUTS[2])
        run = running.finish()
    assert run.code == 1
    assert "Traceback" not in run.output
    assert f"{INPUTS[2]}: {wanted}" in run.output
    faulty.check_files()
    assert not (faulty.results / "clean/jj/batch_0001.h5").exists()
    shutil.copy2(faulty.undisturbed / INPUTS[2], faulty.directory / INPUTS[2])
    assert faulty.succeeds(ARRAY).jobs["clean"] == 1


# --- what is in between, and what comes out ---


@pytest.mark.parametrize(
    ("files", "targets"),
    [
        (["clean/jj/batch_0001.h5"], ["clean/batches.json"]),
        (["bins/0000.h5", "scalers/range_00.json"], ["balance.h5", "scalers.json"]),
        (["balance.h5", "scalers.json"], ["report/balance", "train.h5"]),
        (["hdf5/train/part_0001.h5"], ["train.h5"]),
    ],
    ids=["clean", "bins and scalers", "balance and scalers", "parts"],
)
def test_a_file_in_between_is_damaged(faulty, files, targets):
    for name in files:
        path = faulty.results / name
        os.truncate(path, path.stat().st_size // 2)
    run = faulty.run("--keep-going", *(f"results/{target}" for target in targets))
    assert run.code == 1
    assert "Traceback" not in run.output
    for name in files:
        assert f"results/{name}: damaged" in run.output
    faulty.remove(*files)
    faulty.succeeds(*(f"results/{target}" for target in targets))


def change_a_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def test_an_output_is_damaged_afterwards(faulty):
    damaged = "hdf5/train/part_0001.h5"
    path = faulty.results / damaged
    assert verify(faulty.directory).returncode == 0
    for spoil in (change_a_byte, lambda path: os.truncate(path, 1000), Path.unlink):
        spoil(path)
        found = verify(faulty.directory)
        assert found.returncode == 1
        assert damaged in found.stdout + found.stderr
        assert "Traceback" not in found.stderr
    # Snakemake does not miss what is gone while all that is made from it is there.
    assert "Nothing to be done" in faulty.succeeds(*ALL).output
    faulty.remove("manifest.json")
    faulty.succeeds(*ALL)
    assert path.exists()
    assert verify(faulty.directory).returncode == 0
