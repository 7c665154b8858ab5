"""No file of another configuration among the results: orphans, forgotten records, runs at the same time."""

import json
import os
import shutil
import signal
import socket

import h5py
import numpy as np
import pytest
import workflow_runs as runs
from test_faults import ALL, ARRAYS, CONFIG, INPUTS, Faulty, verify
from test_faults import faulty as faulty
from test_faults import undisturbed as undisturbed

pytestmark = pytest.mark.workflow

CHANGED = runs.changed(CONFIG, {"jets": {"select": ["abs(eta) <= 2.5", "pt <= 300"]}})
HALF = runs.changed(CONFIG, {"write": {"precision": "float16"}})


def run(directory, *arguments, config=CONFIG):
    return runs.snakemake(directory, *arguments, config=config)


def finish(directory, *arguments, config):
    """Run everything, and see that the results are of this configuration throughout and that nothing is left to do."""
    done = run(directory, "--cores", "2", *arguments, *ALL, config=config)
    assert done.code == 0, done.output
    assert "Traceback" not in done.output
    check(directory, config)
    assert "Nothing to be done" in run(directory, "--cores", "2", *ALL, config=config).output
    return done


def check(directory, config):
    """See that jets, manifest and cutflow are of one configuration."""
    limit = 300 if config is CHANGED else 1000
    manifest = json.loads((directory / "results/manifest.json").read_text())
    assert manifest["config"]["jets"]["select"][1]["cut"] == f"pt <= {limit}"
    cuts = dict(manifest["jets"]["cutflow"])
    (cut,) = [step for step in cuts if step.startswith("pt <=")]
    assert cut == f"pt <= {limit}"
    for name in ARRAYS:
        with h5py.File(directory / name) as file:
            inputs = file["jets/inputs"]
            assert inputs.dtype == ("float16" if config is HALF else "float32")
            parts = sorted((directory / name.removesuffix(".h5").replace("results", "results/parts")).glob("*.h5"))
            types = set()
            for part in parts:
                with h5py.File(part) as found:
                    types.add(found["jets/inputs"].dtype)
            assert types == {inputs.dtype}
    # How many jets there are, known from the files of the input alone.
    files = {sample: [directory / path for path in s["files"]] for sample, s in CONFIG["samples"].items()}
    jets = runs.read_ntuples(files, ["eta", "pt"])
    n = int(((np.abs(jets["eta"]) <= 2.5) & (jets["pt"] <= limit)).sum())
    assert cuts[cut] == n
    assert sum(sum(counts.values()) for counts in manifest["jets"]["cleaned"].values()) == n
    assert verify(directory).returncode == 0


# --- jobs that outlive their run ---


@pytest.mark.parametrize(
    ("hold_at", "remove"),
    [
        (INPUTS[2], ["clean/*/*.h5", "clean/batches.json", "parts", "train.h5", "val.h5"]),
        ("scalers.json", ["parts", "train.h5", "val.h5"]),
    ],
    ids=["clean", "write"],
)
def test_orphans_of_another_configuration_change_nothing(faulty: Faulty, hold_at, remove):
    """Snakemake is killed, the configuration changed, all of it run; then the jobs of the first run end."""
    faulty.remove(*remove)
    faulty.fault(hold_at=hold_at)
    with faulty.running(*ARRAYS) as running:
        os.kill(running.process, signal.SIGKILL)
        faulty.monkeypatch.delenv("FAULT")
        faulty.monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"].partition(os.pathsep)[2])
        assert run(faulty.directory, "--unlock", config=CHANGED).code == 0
        finish(faulty.directory, config=CHANGED)
        files = {path: path.stat().st_mtime_ns for path in faulty.results.rglob("*.h5")}
        assert running.finish().code == -signal.SIGKILL
    assert {path: path.stat().st_mtime_ns for path in faulty.results.rglob("*.h5")} == files
    assert runs.half_made(faulty.directory) == []
    finish(faulty.directory, config=CHANGED)


# --- what Snakemake does not know ---


@pytest.mark.parametrize("records", ["forgotten", "of another directory"])
def test_a_change_is_seen_without_records_of_snakemake(faulty: Faulty, records):
    directory = faulty.directory
    if records == "forgotten":
        shutil.rmtree(directory / ".snakemake")
    else:
        directory = directory.with_name("second")
        directory.mkdir()
        for name in ("results", "inputs"):
            (directory / name).symlink_to(faulty.directory / name)
    before = {path: path.read_bytes() for path in faulty.results.rglob("*.h5")}
    rehearsed = run(directory, "-n", *ALL, config=CHANGED)
    assert rehearsed.code == 0, rehearsed.output
    assert "made from other settings or input files" in rehearsed.output
    assert rehearsed.jobs["clean"] == 3
    assert {path: path.read_bytes() for path in faulty.results.rglob("*.h5")} == before
    done = finish(directory, config=CHANGED)
    assert done.jobs == rehearsed.jobs
    # And back where it was first: the records of Snakemake there say that nothing has changed.
    finish(faulty.directory, config=CONFIG)


def test_nothing_is_made_again_that_is_right(faulty: Faulty):
    shutil.rmtree(faulty.directory / ".snakemake")
    assert "Nothing to be done" in run(faulty.directory, "-n", *ALL).output
    # Not finished, so that each file is looked at.
    faulty.remove("manifest.json", "structured", "report/spectra.png")
    jobs = run(faulty.directory, "-n", *ALL).jobs
    assert jobs.keys() & {"clean", "list_batches", "fit_scalers", "balance"} == set()
    assert (jobs["write"], jobs["join"], jobs["write_manifest"]) == (3, 1, 1)


def test_a_run_that_is_interrupted_in_a_strange_directory_goes_on_with_all_that_is_stale(faulty: Faulty):
    shutil.rmtree(faulty.directory / ".snakemake")
    faulty.fault(kill=["balance"])
    assert run(faulty.directory, "--cores", "1", *ALL, config=CHANGED).code != 0
    finish(faulty.directory, config=CHANGED)


def test_parts_of_two_precisions_are_not_joined(faulty: Faulty):
    shutil.rmtree(faulty.directory / ".snakemake")
    faulty.remove("hdf5/train/part_0001.h5", "train.h5")
    finish(faulty.directory, config=HALF)


def test_a_part_of_another_run_is_refused_by_name(faulty: Faulty):
    other = faulty.directory.with_name("other")
    shutil.copytree(faulty.directory, other)
    finish(other, config=HALF)
    part = "results/hdf5/train/part_0001.h5"
    shutil.copyfile(other / part, faulty.directory / part)
    refused = faulty.run(ARRAYS[0])
    assert refused.code == 1
    assert f"{part}: made from other settings or input files than this run's; remove it" in refused.output
    assert "Traceback" not in refused.output
    (faulty.directory / part).unlink()
    finish(faulty.directory, config=CONFIG)


# --- two runs at once ---


@pytest.mark.parametrize("config", [CONFIG, CHANGED], ids=["the same configuration", "another one"])
def test_a_second_run_in_the_same_output_directory_is_refused(faulty: Faulty, config):
    second = faulty.directory.with_name("second")
    second.mkdir()
    for name in ("results", "inputs"):
        (second / name).symlink_to(faulty.directory / name)
    faulty.remove("parts", "train.h5", "val.h5")
    faulty.fault(hold="write")
    with faulty.running(*ARRAYS) as running:
        refused = run(second, "--cores", "1", *ALL, config=config)
        assert refused.code == 1
        who = f"process {running.process} on {socket.gethostname()}, in {faulty.directory}"
        assert f"results: another run is at work there ({who}); wait for its end" in refused.output
        assert "Traceback" not in refused.output
        # To look is allowed.
        assert run(second, "-n", *ALL, config=config).code == 0
        done = running.finish()
    assert done.code == 0, done.output
    faulty.check_files()
    finish(second, config=config)


def test_a_lock_of_a_dead_run_is_no_hindrance_and_one_of_another_machine_is_named(faulty: Faulty):
    lock = faulty.results / ".jetmill/lock"
    lock.write_text(json.dumps({"host": "elsewhere", "process": 12, "directory": "/there"}))
    faulty.remove("train.h5")
    refused = faulty.run(ARRAYS[0])
    assert refused.code == 1
    assert "process 12 on elsewhere, in /there" in refused.output
    assert "remove results/.jetmill/lock" in refused.output
    assert "Traceback" not in refused.output
    lock.unlink()
    faulty.succeeds(ARRAYS[0])
    assert not lock.exists()
