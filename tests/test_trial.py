"""The trial before a run: what would stop every clean job is said once, before any of them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import workflow_runs as runs

from jetmill.balancing.binning import axes_of
from jetmill.errors import JetmillError
from jetmill.plan import Plan
from jetmill.trial import check_pending, first_batches, try_batches


@pytest.fixture
def plan(ntuples):
    def make(**changes):
        return Plan.from_raw(runs.changed(ntuples.config, changes))

    return make


def mistakes(plan):
    return try_batches(plan, first_batches(plan)).mistakes


def test_counts_are_those_of_the_first_file(ntuples, plan):
    trials = try_batches(plan(), first_batches(plan()))
    assert [trial.sample for trial in trials.done] == ["top", "jj"]
    for number, trial in enumerate(trials.done):
        of_file = (ntuples.jets["sample"] == number) & (ntuples.jets["file"] == 0)
        jets = {name: values[of_file] for name, values in ntuples.jets.items()}
        after_cuts = [int(passed.sum()) for passed in runs.passes(jets)]
        assert trial.counts.flow.tolist() == [of_file.sum(), *after_cuts, after_cuts[-1]]
        kept = runs.passes(jets)[-1]
        assert np.array_equal(np.sort(trial.values["pt"]), np.sort(jets["pt"][kept]))
        assert trial.read_all
        axes = axes_of({"pt": [(30, 50, 2)]})
        assert trial.outside(axes) == ((jets["pt"][kept] < 30) | (jets["pt"][kept] > 50)).sum()
    assert (trials.mistakes, trials.unreadable) == ([], [])


def test_no_more_jets_are_read_than_are_needed(ntuples, plan):
    for trial, first in zip(try_batches(plan(), first_batches(plan()), n_jets=500).done, (0, 1), strict=True):
        # The last event is whole.
        assert 500 <= trial.counts.flow[0] < 530
        assert not trial.read_all
        read = (ntuples.jets["sample"] == first) & (ntuples.jets["file"] == 0)
        event = ntuples.jets["event"][read]
        assert trial.entries == len(np.unique(event[: trial.counts.flow[0]]))
    fewer = plan(input={"max_jets_per_file": 100})
    assert all(trial.counts.flow[0] < 130 for trial in try_batches(fewer, first_batches(fewer)).done)


def test_every_variable_that_is_not_there_is_named_once(ntuples, plan):
    variables = ["ptt", "eta", "DeepCSV_jetNTracks", "nothing"]
    found = mistakes(plan(jets={"variables": variables, "missing": None}, balance={"bins": {"eta": [-2.5, 2.5, 3]}}))
    first = ntuples.files["top"][0]
    assert [line.partition(" has no branch ")[2].split("'")[1] for line in found] == [
        "Jet_ptt",
        "Jet_DeepCSV_jetNTracks",
        "Jet_nothing",
    ]
    assert found[0] == (
        f"{first}: tree 'Events' has no branch 'Jet_ptt' or 'ptt'. Did you mean 'Jet_pt'? It may be another quantity."
        " (and in the first file of 1 more)"
    )


def test_a_mistake_in_one_sample_alone_names_its_file(ntuples, plan, tmp_path, write_root):
    other = write_root(tmp_path / "other.root", {"pt": [30.0]})
    samples = {**ntuples.config["samples"], "new": {"files": [str(other)]}}
    (found,) = {line.partition(":")[0] for line in mistakes(plan(samples=samples))}
    assert found == str(other)


def test_training_jets_outside_the_bins_are_a_mistake_unless_they_are_dropped(ntuples, plan):
    bins = {"bins": {"pt": [20, 100, 4]}}
    top, jj = mistakes(plan(balance=bins))
    assert top.startswith(f"{ntuples.files['top'][0]}: ")
    assert "training jets are outside the bins of 'pt' (20 to 100): their values are 100" in top
    assert jj.startswith(f"{ntuples.files['jj'][0]}: ")
    assert mistakes(plan(balance={**bins, "outside": "drop"})) == []
    # Which jets are for training is known with the whole batch only.
    assert mistakes(plan(balance=bins, split={"by": "jet"})) == []


def test_a_file_that_cannot_be_read_is_passed_over(ntuples, tmp_path):
    damaged = tmp_path / "damaged.root"
    damaged.write_bytes(b"nothing")
    files = [str(damaged), *map(str, ntuples.files["top"])]
    plan = Plan.from_raw({**ntuples.config, "samples": {"top": {"files": files}}})
    trials = try_batches(plan, first_batches(plan))
    assert trials.done[0].path == files[1]
    (why,) = trials.unreadable
    assert why.startswith(f"{damaged}: not a readable ROOT file")
    check_pending(plan, [("", "top", "0000")])


def test_the_first_pending_batch_of_a_sample_is_tried(ntuples, tmp_path, write_root):
    first, second, third = (tmp_path / f"{n}.root" for n in range(3))
    for path in (first, second):
        shutil.copy(ntuples.files["top"][0], path)
    write_root(third, {"pt": [30.0]})
    samples = {"top": {"files": [str(first), str(second), str(third)]}}
    plan = Plan.from_raw(runs.changed(ntuples.config, {"samples": samples, "input": {"files_per_batch": 1}}))
    check_pending(plan, [("", "top", "0002"), ("", "top", "0001")])
    with pytest.raises(JetmillError, match=str(third)):
        check_pending(plan, [("", "top", "0002")])


def test_toys_that_are_not_made_yet_are_left_alone(raw_config):
    plan = Plan.from_raw(raw_config)
    check_pending(plan, [("", "tt", "0000")])


@pytest.mark.workflow
def test_a_misspelt_variable_is_one_message_before_any_job(ntuples, tmp_path):
    for n in range(10):
        shutil.copy(ntuples.files["top"][0], tmp_path / f"{n}.root")
    wrong = runs.changed(
        ntuples.config,
        {
            "samples": {"top": {"files": [str(tmp_path / "*.root")]}},
            "input": {"files_per_batch": 1},
            "jets": {"variables": ["ptt"], "missing": None},
            "balance": {"bins": {"eta": [-2.5, 2.5, 3]}},
        },
    )
    run = runs.snakemake(tmp_path / "run", "--cores", "2", config=wrong)
    assert run.code == 1
    assert run.jobs["clean"] == 10
    headline = "The configuration does not fit the input files:\n"
    assert run.output.split(headline)[1].strip() == (
        f"{tmp_path / '0.root'}: tree 'Events' has no branch 'Jet_ptt' or 'ptt'. Did you mean 'Jet_pt'? It may be"
        " another quantity."
    )
    assert "Traceback" not in run.output
    assert not run.results.exists()


def test_what_is_wrong_with_a_damaged_file_is_no_mistake_of_the_configuration(ntuples, tmp_path, write_root):
    """Its checksum tells; without one, nothing would."""
    damaged = write_root(tmp_path / "damaged.root", {"pt": [30.0]})
    files = [str(damaged), str(ntuples.files["top"][0])]
    (tmp_path / "sums.txt").write_text("".join(f"{'0' * 64}  {path}\n" for path in files[:1]) + _line(files[1]))
    sample = {"files": files, "checksums": str(tmp_path / "sums.txt")}
    plan = Plan.from_raw({**ntuples.config, "samples": {"top": sample}})
    trials = try_batches(plan, first_batches(plan))
    assert (trials.mistakes, trials.done[0].path) == ([], files[1])
    assert f"{damaged}: its sha256 is {runs.sha256(damaged)}, expected {'0' * 64}" in trials.unreadable[0]
    without = Plan.from_raw({**ntuples.config, "samples": {"top": {"files": files}}})
    assert try_batches(without, first_batches(without)).mistakes


def _line(path):
    return f"{runs.sha256(Path(path))}  {path}\n"
