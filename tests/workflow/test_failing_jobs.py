"""Jobs that cannot succeed: the user is told why, nothing half-made is left, a rerun goes on."""

import re
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Failure:
    """How a run is spoiled, the log and the output of the job that fails, what must be told ({file}: the input)."""

    log: str
    output: str
    told: tuple[str, ...]
    spoil: Callable[[Path], None] | None = None
    changes: dict[str, Any] | None = None


CLEAN = "clean/top/batch_0001.log", "clean/top/batch_0001.h5"
FAILURES = {
    "missing branch": Failure(
        *CLEAN, ("{file}: ", "no branch 'Jet_nBHadrons'"), spoil=lambda path: write_file(path, without="nBHadrons")
    ),
    "missing tree": Failure(
        *CLEAN,
        ("{file}: no tree 'Events'; it holds Event. Did you mean 'Event'?",),
        spoil=lambda path: write_file(path, tree="Event"),
    ),
    "truncated file": Failure(*CLEAN, ("{file}: ",), spoil=cut_short),
    "empty file": Failure(*CLEAN, ("{file}: not a readable ROOT file",), spoil=lambda path: path.write_bytes(b"")),
    "class without jets": Failure(
        *("balance.log", "balance.h5"),
        ("no training jets of class tau (found: tau 0, b ",),
        changes={"classes": {"tau": "hadronFlavour == 15", **CONFIG["classes"]}},
    ),
    "constant variable": Failure(
        *("merge_scalers.log", "scalers.json"),
        ("variable 'seven' of jets is 7 wherever it is not missing in the training split",),
        changes={"jets": {"define": {"seven": "0 * pt + 7"}, "variables": ["eta", "pt", "seven"]}},
    ),
    "jets outside the bins": Failure(
        *("bin_jets/0000.log", "bins/0000.h5"),
        ("clean/top/batch_0001.h5: 1 of ", " jets are outside the bins of 'pt' (10 to 900)", "950"),
        spoil=lambda path: write_file(path, pt_of_first=950),
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_a_failing_job_names_the_culprit_and_can_be_mended(tmp_path, failure):
    files = [tmp_path / f"ntuples_{n}.root" for n in range(2)]
    for path in files:
        write_file(path)
    good = {"samples": {"top": {"files": [str(path) for path in files]}}, **CONFIG}
    if failure.spoil:
        failure.spoil(files[1])
    directory, target = tmp_path / "run", "results/train.h5"

    run = runs.snakemake(directory, "--cores", "2", target, config=runs.changed(good, failure.changes or {}))
    assert run.code == 1
    assert "Traceback" not in run.output
    (sentence,) = re.findall(r" ERROR (.*)", (run.results / "logs" / failure.log).read_text())
    for piece in failure.told:
        assert piece.format(file=files[1]) in sentence
    assert sentence in run.output
    assert not (run.results / failure.output).exists()
    assert not (directory / target).exists()
    assert runs.half_made(directory) == []
    # What does not depend on it was done, and is not done again.
    untouched = run.results / "clean/top/batch_0000.h5"
    before = untouched.stat().st_mtime_ns

    write_file(files[1])
    run = runs.snakemake(directory, "--cores", "2", target, config=good)
    assert run.code == 0, run.output
    assert len(runs.datasets(directory / target)["jets/labels"]) > 500
    if failure.spoil:
        assert untouched.stat().st_mtime_ns == before


def test_strict_false_goes_on_without_a_class(tmp_path):
    write_file(tmp_path / "ntuple.root")
    config = {"strict": False, "samples": {"top": {"files": [str(tmp_path / "ntuple.root")]}}, **CONFIG}
    config["classes"] = {"tau": "hadronFlavour == 15", **CONFIG["classes"]}
    run = runs.snakemake(tmp_path / "run", "--cores", "2", "results/train.h5", config=config)
    assert run.code == 0, run.output
    found = runs.datasets(run.results / "train.h5")
    assert np.bincount(found["jets/labels"], minlength=3)[0] == 0
    totals = np.bincount(found["jets/labels"], weights=found["jets/weight"])
    assert totals[1:] == pytest.approx(len(found["jets/labels"]) / 2, rel=1e-5)
