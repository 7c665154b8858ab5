"""What Snakemake itself costs for each job, with many files."""

import resource

import pytest
import workflow_runs as runs
import yaml

pytestmark = pytest.mark.workflow

PARTS = {"train": 100, "val": 10, "test": 25}


def seconds_of_a_dry_run(directory, n_files):
    """Return the CPU time of ``snakemake -n`` with one file a batch, and the number of clean jobs."""
    files = directory / "files"
    files.mkdir(exist_ok=True)
    for number in range(n_files):
        (files / f"{number:05d}.root").touch()
    config = yaml.safe_load((runs.ROOT / "config/cms-deepcsv.yaml").read_text())
    config |= {"samples": {"tt": {"files": str(files / "*.root")}}, "write": {"parts": PARTS}}
    config["input"]["files_per_batch"] = 1
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    where = ["--directory", str(directory), "--configfile", str(directory / "config.yaml")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = runs.snakemake_in_repository("-n", "-q", "rules", *where)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.code == 0, run.output
    assert run.jobs["write"] == sum(PARTS.values())
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, run.jobs["clean"]


def test_a_further_batch_is_a_further_job_and_no_more(tmp_path):
    few, n_few = seconds_of_a_dry_run(tmp_path, 50)
    many, n_many = seconds_of_a_dry_run(tmp_path, 650)
    assert (n_few, n_many) == (50, 650)
    # About 1.7 ms on a quiet machine. If each part named each batch it would be 20 ms.
    assert (many - few) / (n_many - n_few) < 5e-3
