"""Jobs that cannot succeed: the message says why, no unfinished file is left, a rerun goes on."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import workflow_runs as runs

from jetmill.toys.ntuples import toy_jets

pytestmark = pytest.mark.workflow

CONFIG = {
    "input": {"files_per_batch": 1},
    "jets": {"select": ["abs(eta) <= 2.5", "pt <= 1000"], "variables": ["eta", "pt"]},
    "classes": {"b": "hadronFlavour == 5 & nBHadrons <= 1", "other": "rest"},
    "balance": {"bins": {"pt": [10, 900, 3]}, "weights": ["flat"]},
}

TARGET = "results/train.h5"


def write_file(path: Path, *, without: str = "", tree: str = "Events", pt_of_first: float = 50) -> None:
    rng = np.random.default_rng(7)
    per_event = np.full(200, 3)
    jets = toy_jets(600, "ttbar", rng)
    jets["pt"][0], jets["eta"][0] = pt_of_first, 0
    names = {"eta", "pt", "hadronFlavour", "nBHadrons"} - {without}
    runs.write_ntuple(path, {name: jets[name] for name in sorted(names)}, per_event, tree=tree)


def cut_short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def files_of(directory: Path, n_files: int) -> tuple[list[Path], dict[str, Any]]:
    """Write files without a flaw, and return them with a configuration that reads each as a batch of its own."""
    files = [directory / f"ntuples_{n}.root" for n in range(n_files)]
    for path in files:
        write_file(path)
    return files, {"samples": {"top": {"files": [str(path) for path in files]}}, **CONFIG}


def run(directory: Path, config: dict[str, Any]) -> runs.Run:
    return runs.snakemake(directory, "--cores", "2", "--keep-going", TARGET, config=config)


def assert_fails(run: runs.Run, failures: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """See that the log of each job that fails says why in one sentence, so does Snakemake, and nothing is half made.

    Parameters
    ----------
    failures
        What the job was to make -> its log and pieces of the sentence.
    """
    assert run.code == 1
    assert "Traceback" not in run.output
    for output, (log, pieces) in failures.items():
        (sentence,) = re.findall(r" ERROR (.*)", (run.results / "logs" / log).read_text())
        for piece in pieces:
            assert piece in sentence
        assert sentence in run.output
        assert not (run.results / output).exists()
    assert not (run.directory / TARGET).exists()
    assert runs.half_made(run.directory) == []


def assert_succeeds(run: runs.Run) -> np.ndarray:
    """Return the labels of a finished run."""
    assert run.code == 0, run.output
    labels = runs.datasets(run.directory / TARGET)["jets/labels"]
    assert len(labels) > 500
    return labels


def test_each_input_file_that_cannot_be_read_is_named(tmp_path):
    (_, branch, tree, short, empty), config = files_of(tmp_path, 5)
    write_file(branch, without="nBHadrons")
    write_file(tree, tree="Event")
    cut_short(short)
    empty.write_bytes(b"")
    expected = {
        branch: (f"{branch}: ", "no branch 'Jet_nBHadrons'"),
        tree: (f"{tree}: no tree 'Events'; it holds Event. Did you mean 'Event'?",),
        short: (f"{short}: ",),
        empty: (f"{empty}: not a readable ROOT file",),
    }
    failures = {
        f"clean/top/batch_000{n}.h5": (f"clean/top/batch_000{n}.log", pieces)
        for n, pieces in enumerate(expected.values(), start=1)
    }
    assert_fails(run(tmp_path, config), failures)
    # What does not depend on them was done, and is not done again.
    untouched = tmp_path / "results/clean/top/batch_0000.h5"
    before = untouched.stat().st_mtime_ns
    for path in expected:
        write_file(path)
    assert_succeeds(run(tmp_path, config))
    assert untouched.stat().st_mtime_ns == before


def test_what_the_jets_are_not_fit_for_is_named(tmp_path):
    """A class without jets, a variable that is constant, a jet outside the bins; each fixed, the run goes on."""
    files, good = files_of(tmp_path, 2)
    good["jets"] = {**CONFIG["jets"], "define": {"seven": "0 * pt + 7"}}
    bad = runs.changed(
        good,
        {
            "jets": {"variables": ["eta", "pt", "seven"]},
            "classes": {"tau": "hadronFlavour == 15", **CONFIG["classes"]},
        },
    )
    constant = {
        "scalers.json": (
            "merge_scalers.log",
            ("variable 'seven' of jets is 7 wherever it is not missing in the training split",),
        )
    }
    write_file(files[1], pt_of_first=950)
    outside = ("clean/top/batch_0001.h5: 1 of ", " jets are outside the bins of 'pt' (10 to 900)", "950")
    assert_fails(run(tmp_path, bad), {"bins/0000.h5": ("bin_jets/0000.log", outside), **constant})
    untouched = tmp_path / "results/clean/top/batch_0000.h5"
    before = untouched.stat().st_mtime_ns
    write_file(files[1])
    without = ("no training jets of class tau (found: tau 0, b ",)
    assert_fails(run(tmp_path, bad), {"balance.h5": ("balance.log", without), **constant})
    assert untouched.stat().st_mtime_ns == before

    # Without the class, if that is asked for.
    found = assert_succeeds(run(tmp_path, {**bad, "jets": good["jets"], "strict": False}))
    assert np.bincount(found, minlength=3)[0] == 0
    weights = runs.datasets(tmp_path / TARGET)["jets/weight"]
    assert np.bincount(found, weights)[1:] == pytest.approx(len(found) / 2, rel=1e-5)

    assert set(assert_succeeds(run(tmp_path, good))) == {0, 1}
