"""Commands that look and change nothing: rehearsal, lint, the Slurm profile; and what reruns after new input."""

import re
import shutil

import pytest
import workflow_runs as runs

pytestmark = pytest.mark.workflow


def test_a_rehearsal_prints_the_jobs_and_makes_nothing(tmp_path, default_config):
    run = runs.snakemake(tmp_path, "-n", "-q", "rules", config=default_config)
    assert run.code == 0, run.output
    counts = {"make_toy": 4, "clean": 2, "bin_jets": 1, "balance": 1, "fit_scalers": 3, "merge_scalers": 1, "write": 7}
    counts |= {
        "list_batches": 1,
        "export": 1,
        "join": 1,
        "write_manifest": 1,
        "plot_balance": 1,
        "plot_jets": 1,
        "write_report": 1,
        "all": 1,
    }
    assert run.jobs == {**counts, "total": 27}
    assert not run.results.exists()


def test_jobs_on_this_machine_have_no_rate_limit(tmp_path, default_config):
    # With one, Snakemake waits for a second at the end of every run.
    (tmp_path / "Snakefile").write_text(
        f"include: '{runs.ROOT}/workflow/Snakefile'\n"
        "onsuccess:\n    print('the limit is', workflow.scheduler.job_rate_limiter)\n"
    )
    target = "results/toy/tt_0000.root"
    run = runs.snakemake(tmp_path, "-s", str(tmp_path / "Snakefile"), "--cores", "1", target, config=default_config)
    assert run.code == 0, run.output
    assert "the limit is None" in run.output


def test_lint_finds_nothing():
    run = runs.snakemake_in_repository("--lint")
    assert run.code == 0, run.output
    assert "Congratulations" in run.output


def test_the_slurm_profile_is_found_by_its_name():
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the Slurm plugin of Snakemake is not installed")
    run = runs.snakemake_in_repository("--profile", "slurm", "-n", "-F")
    assert run.code == 0, run.output
    assert "Using profile" in run.output
    assert run.jobs["clean"] == 4
    assert "This was a dry-run" in run.output


NEW_FILES = {
    "in an open batch": ("top", 1, {"0001 of top"}),
    "in a batch of its own": ("jj", 2, {"0001 of jj", "0002 of jj"}),
}


@pytest.mark.parametrize(("sample", "n_new", "expected"), NEW_FILES.values(), ids=NEW_FILES.keys())
def test_a_new_file_cleans_its_batch_alone(finished_run, ntuples, tmp_path, sample, n_new, expected):
    new = [tmp_path / f"new_{n}.root" for n in range(n_new)]
    for path in new:
        shutil.copy(ntuples.files[sample][0], path)
    shutil.copytree(finished_run.directory, tmp_path / "run")
    files = {**ntuples.files, sample: [*ntuples.files[sample], *new]}
    config = {**ntuples.config, "samples": {s: {"files": [str(p) for p in paths]} for s, paths in files.items()}}
    run = runs.snakemake(tmp_path / "run", "-n", *runs.FINISHED, config=config)
    assert run.code == 0, run.output
    assert set(re.findall(r"Clean batch (\d+ of \w+)", run.output)) == expected
    assert run.jobs["clean"] == len(expected)
    assert {"bin_jets", "fit_scalers", "balance", "write"} <= set(run.jobs)


def test_nothing_new_is_nothing_to_do(finished_run, ntuples):
    run = runs.snakemake(finished_run.directory, "-n", *runs.FINISHED, config=ntuples.config)
    assert run.code == 0, run.output
    assert "Nothing to be done" in run.output
