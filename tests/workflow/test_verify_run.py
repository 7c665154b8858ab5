"""A damaged run is told of by name, and what is told to do about it brings back the same bytes and no more."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import workflow_runs as runs
from atlas_runs import CONFIG as ATLAS

pytestmark = pytest.mark.workflow

CONFIG = runs.changed(ATLAS, {"write": {"formats": ["hdf5", "structured", "tfrecords"]}})
EXPORTED = {"scalers.json", "scale_dict.json", "norm_dict.yaml", "class_dict.yaml", "balance.h5"}


@pytest.fixture(scope="module")
def run(atlas_run, tmp_path_factory):
    directory = Path(shutil.copytree(atlas_run.directory, tmp_path_factory.mktemp("verified") / "run"))
    for name in ("parquet", "torch"):
        shutil.rmtree(directory / "results" / name, ignore_errors=True)
    (directory / "results/manifest.json").unlink()  # so that each file is looked at
    return runs.succeeds(directory, "--cores", "2", config=CONFIG)


def finished(results):
    """Return the SHA-256 of each finished file."""
    working = ("clean", "bins", "scalers", "toy", "logs", "benchmarks", ".jetmill")
    paths = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    kept = [path for path in paths if path.parts[0] not in working and not path.name.startswith(".")]
    return {str(path): runs.sha256(results / path) for path in kept if path.name != "manifest.json"}


def verify(directory, *arguments):
    command = [sys.executable, "-m", "jetmill.verify", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def follow(directory, lines):
    """Do what the lines say: remove what they name."""
    for line in lines:
        told, named = line.partition(": ")[0], re.search(r"; remove (.+), and start snakemake again$", line)[1]
        for name in named.split(" and "):
            path = directory / (told if name == "it" else name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def test_the_manifest_names_every_finished_file(run):
    names = finished(run.results)
    assert {f"{output}.h5" for output in runs.SPLITS} | EXPORTED | {"structured/val.h5"} < set(names)
    code, lines = verify(run.directory, "results", "--inputs")
    assert (code, lines) == (0, [f"{len(names)} files are as the manifest says"])


@pytest.mark.parametrize(
    ("damaged", "jobs"),
    [
        (
            ["hdf5/train/part_0001.h5"],
            {"write": 1, "join": 1, "write_directory": 3, "write_manifest": 1, "all": 1, "total": 7},
        ),
        (
            [
                "structured/train/part_0000.h5",
                "structured/val.h5",
                "tfrecords/test/test_0001.tfrecord",
                "class_dict.yaml",
            ],
            {
                "write": 1,
                "join": 1,
                "write_directory": 1,
                "export": 1,
                "write_manifest": 1,
                "all": 1,
                "total": 6,
            },
        ),
    ],
    ids=["part", "several"],
)
def test_what_is_damaged_comes_back(run, damaged, jobs):
    before, manifest = finished(run.results), (run.results / "manifest.json").read_bytes()
    for name in damaged:
        flip(run.results / name)
    code, lines = verify(run.directory, "results")
    assert code == 1
    assert {line.partition(": ")[0] for line in lines[:-1]} == {f"results/{name}" for name in damaged}
    for name in damaged:
        assert any(before[name] in line and runs.sha256(run.results / name) in line for line in lines)
    assert lines[-1] == f"{len(damaged)} of {len(before)} files are damaged"
    follow(run.directory, lines[:-1])
    assert not any((run.results / name).exists() for name in damaged)
    again = runs.snakemake(run.directory, "--cores", "2", config=CONFIG)
    assert again.code == 0, again.output
    assert again.jobs == jobs
    assert finished(run.results) == before
    assert (run.results / "manifest.json").read_bytes() == manifest
    assert verify(run.directory, "results") == (0, [f"{len(before)} files are as the manifest says"])


def test_what_is_gone_is_not_missed_as_long_as_the_manifest_is_there(run, tmp_path):
    """Which is why one is told to remove the manifest too."""
    part, scalers, manifest = (
        run.results / name for name in ("hdf5/val/part_0000.h5", "scalers.json", "manifest.json")
    )
    missed = []
    for gone in ([part, scalers], [manifest]):
        for path in gone:
            path.rename(tmp_path / path.name)
        missed.append(runs.snakemake(run.directory, "-n", "-q", "rules", config=CONFIG).jobs)
    for path in (part, scalers, manifest):
        (tmp_path / path.name).rename(path)
    assert missed[0] == {}
    assert {"merge_scalers", "export", "write", "write_manifest"} < set(missed[1])
    assert not {"clean", "fit_scalers", "bin_jets", "balance"} & set(missed[1])


def test_a_run_that_was_moved(run, tmp_path):
    moved = Path(shutil.copytree(run.results, tmp_path / "elsewhere"))
    assert verify(tmp_path, "elsewhere", "--inputs")[0] == 0
    flip(moved / "toy/ttbar_0001.h5")
    (moved / "hdf5/val/part_0000.h5").unlink()
    (moved / "hdf5/val/part_0001.h5").write_bytes(b"old")
    code, lines = verify(tmp_path, "elsewhere", "--inputs")
    assert code == 1
    assert lines[0].startswith("elsewhere/hdf5/val/part_0000.h5: is not there, expected a file of ")
    assert lines[1].startswith("elsewhere/toy/ttbar_0001.h5: SHA-256 is ")
    assert "the input has changed" in lines[1]
    assert lines[2].startswith("warning: elsewhere/hdf5/val/part_0001.h5: not of this run")
    assert lines[3].startswith("1 of ")
    assert lines[3].endswith(" files are damaged; inputs changed since: 1")
    assert len(lines) == 4
