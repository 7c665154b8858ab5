"""No file of another configuration among the results: orphans, forgotten records, runs at the same time."""

import json
import os
import shutil
import signal
import socket
from contextlib import chdir
from pathlib import Path

import h5py
import numpy as np
import pytest
import workflow_runs as runs
from faults import ALL, ARRAY, CONFIG, INPUTS, Faulty

from jetmill.verify import verify

pytestmark = pytest.mark.workflow

# A plot takes as long as the rest.
TARGETS = [name for name in ALL if "report" not in name]
CHANGED = runs.changed(CONFIG, {"jets": {"select": ["abs(eta) <= 2.5", "pt <= 300"]}})
HALF = runs.changed(CONFIG, {"write": {"precision": "float16"}})


def run(directory, *arguments, config=CONFIG):
    return runs.snakemake(directory, *arguments, config=config)


def finish(directory, *arguments, config):
    """Run everything, and see that the results are of this configuration throughout and that nothing is left to do."""
    done = run(directory, "--cores", "2", *arguments, *TARGETS, config=config)
    assert done.code == 0, done.output
    assert "Traceback" not in done.output
    check(directory, config)
    assert_finished(directory, config)
    return done


def assert_finished(directory, config):
    assert "Nothing to be done" in run(directory, "--cores", "2", *TARGETS, config=config).output


def check(directory, config):
    """See that jets, manifest and cutflow are of one configuration."""
    limit = 300 if config is CHANGED else 1000
    manifest = json.loads((directory / "results/manifest.json").read_text())
    assert manifest["config"]["jets"]["select"][1]["cut"] == f"pt <= {limit}"
    cuts = dict(manifest["jets"]["cutflow"])
    (cut,) = [step for step in cuts if step.startswith("pt <=")]
    assert cut == f"pt <= {limit}"
    types = set()
    for path in (directory / ARRAY, *(directory / "results/hdf5/train").glob("*.h5")):
        with h5py.File(path) as file:
            types.add(file["jets/inputs"].dtype.name)
    assert types == {"float16" if config is HALF else "float32"}
    # How many jets there are, known from the files of the input alone.
    files = {sample: [directory / path for path in s["files"]] for sample, s in CONFIG["samples"].items()}
    jets = runs.read_ntuples(files, ["eta", "pt"])
    n = int(((np.abs(jets["eta"]) <= 2.5) & (jets["pt"] <= limit)).sum())
    assert cuts[cut] == n
    assert sum(sum(counts.values()) for counts in manifest["jets"]["cleaned"].values()) == n
    with chdir(directory):
        assert verify(Path("results")).good


# --- jobs that outlive their run ---


def test_orphans_of_another_configuration_change_nothing(faulty: Faulty):
    """Snakemake is killed in two stages, the configuration changed, all of it run; then the jobs of both runs end."""
    faulty.remove("clean/*/*.h5", "clean/batches.json", "hdf5", "train.h5")
    faulty.fault(hold_at=INPUTS[2])
    with faulty.running(ARRAY) as cleaning:
        os.kill(cleaning.process, signal.SIGKILL)
        assert faulty.run("--unlock").code == 0
        faulty.fault(hold_at="scalers.json")
        with faulty.running(ARRAY) as writing:
            os.kill(writing.process, signal.SIGKILL)
            faulty.monkeypatch.undo()
            assert run(faulty.directory, "--unlock", config=CHANGED).code == 0
            finish(faulty.directory, config=CHANGED)
            files = {path: path.stat().st_mtime_ns for path in faulty.results.rglob("*.h5")}
            assert writing.finish().code == cleaning.finish().code == -signal.SIGKILL
    assert {path: path.stat().st_mtime_ns for path in faulty.results.rglob("*.h5")} == files
    assert runs.half_made(faulty.directory) == []
    check(faulty.directory, CHANGED)
    assert_finished(faulty.directory, CHANGED)


# --- what Snakemake does not know ---


def test_a_change_is_seen_without_records_of_snakemake(faulty: Faulty):
    """Even where the run that sees it is interrupted."""
    shutil.rmtree(faulty.directory / ".snakemake")
    dry_run = see_change(faulty.directory, faulty.results)
    faulty.fault(kill=["balance"])
    interrupted = run(faulty.directory, "--cores", "1", *TARGETS, config=CHANGED)
    assert interrupted.code != 0
    assert interrupted.jobs == dry_run.jobs
    finish(faulty.directory, config=CHANGED)


def see_change(directory, results):
    """See in a dry run that all is made from other settings, and that nothing changes."""
    before = {path: path.read_bytes() for path in results.rglob("*.h5")}
    dry_run = run(directory, "-n", *TARGETS, config=CHANGED)
    assert dry_run.code == 0, dry_run.output
    assert "made from other settings or input files" in dry_run.output
    assert dry_run.jobs["clean"] == 3
    assert {path: path.read_bytes() for path in results.rglob("*.h5")} == before
    return dry_run


def test_nothing_is_made_again_that_is_right(faulty: Faulty):
    shutil.rmtree(faulty.directory / ".snakemake")
    assert "Nothing to be done" in run(faulty.directory, "-n", *ALL).output
    # Not finished, so that each file is looked at.
    faulty.remove("manifest.json", "structured", "report/balance")
    jobs = run(faulty.directory, "-n", *ALL).jobs
    assert jobs.keys() & {"clean", "list_batches", "fit_scalers", "balance"} == set()
    assert (jobs["write"], jobs["join"], jobs["write_manifest"]) == (2, 1, 1)


def test_parts_of_two_precisions_are_not_joined(faulty: Faulty):
    """Nor where Snakemake knows nothing of it: without its records, or as the part was copied from another run."""
    shutil.rmtree(faulty.directory / ".snakemake")
    faulty.remove("hdf5/train/part_0001.h5", "train.h5")
    finish(faulty.directory, config=HALF)
    part = "results/hdf5/train/part_0001.h5"
    shutil.copyfile(faulty.undisturbed / part, faulty.directory / part)
    refused = run(faulty.directory, "--cores", "2", ARRAY, config=HALF)
    assert refused.code == 1
    assert f"{part}: made from other settings or input files than this run's; remove it" in refused.output
    assert "Traceback" not in refused.output
    (faulty.directory / part).unlink()
    finish(faulty.directory, config=HALF)


# --- two directories, one output directory ---


def test_a_second_run_in_the_same_output_directory(faulty: Faulty):
    """It is refused as long as the first one works; then it sees what Snakemake's records here know nothing of."""
    second = faulty.directory.with_name("second")
    second.mkdir()
    for name in ("results", "inputs"):
        (second / name).symlink_to(faulty.directory / name)
    faulty.remove("hdf5", "train.h5")
    faulty.fault(hold="write")
    with faulty.running(ARRAY) as running:
        who = f"process {running.process} on {socket.gethostname()}, in {faulty.directory}"
        for config in (CONFIG, CHANGED):
            refused = run(second, "--cores", "1", *TARGETS, config=config)
            assert refused.code == 1
            assert f"results: another run is in progress there ({who}); wait for it to end" in refused.output
            assert "Traceback" not in refused.output
            # To look is allowed.
            assert run(second, "-n", *TARGETS, config=config).code == 0
        done = running.finish()
    assert done.code == 0, done.output
    faulty.check_files()
    finish(second, config=CONFIG)
    shutil.rmtree(second / ".snakemake")
    dry_run = see_change(second, faulty.results)
    assert finish(second, config=CHANGED).jobs == dry_run.jobs
    # And back where it was first: the records of Snakemake there say that nothing has changed.
    finish(faulty.directory, config=CONFIG)


def test_a_lock_of_a_dead_run_is_no_hindrance_and_one_of_another_machine_is_named(faulty: Faulty):
    lock = faulty.results / ".jetmill/lock"
    lock.write_text(json.dumps({"host": "elsewhere", "process": 12, "directory": "/there"}))
    faulty.remove("train.h5")
    refused = faulty.run(ARRAY)
    assert refused.code == 1
    assert "process 12 on elsewhere, in /there" in refused.output
    assert "remove results/.jetmill/lock" in refused.output
    assert "Traceback" not in refused.output
    lock.unlink()
    faulty.succeeds(ARRAY)
    assert not lock.exists()
