"""``jetmill check``: all that is wrong at once, and what the first jets show."""

import numpy as np
import pytest
import workflow_runs as runs
import yaml

from jetmill.cli.main import main


@pytest.fixture
def check(tmp_path, capsys):
    def run(config, *more, jets=10_000):
        paths = [tmp_path / f"{n}.yaml" for n in range(1 + len(more))]
        for path, content in zip(paths, [config, *more], strict=True):
            path.write_text(yaml.safe_dump(content, sort_keys=False))
        code = main(["check", *map(str, paths), "--jets", str(jets)])
        return code, capsys.readouterr().out.splitlines()

    return run


def test_cutflow_and_classes_are_those_of_the_file(ntuples, check):
    code, lines = check(ntuples.config)
    assert (code, lines[-1]) == (0, "No mistakes found.")
    first = (ntuples.jets["sample"] == 0) & (ntuples.jets["file"] == 0)
    jets = {name: values[first] for name, values in ntuples.jets.items()}
    kept = runs.passes(jets)
    flow = [first.sum(), *(passed.sum() for passed in kept), kept[-1].sum()]
    assert lines[0] == f"top: all {first.sum()} jets of {ntuples.files['top'][0]}, one of 3 files"
    assert [int(line.split()[0]) for line in lines[1:7]] == flow
    counts = np.bincount(runs.labels(jets)[kept[-1]], minlength=4)
    assert lines[7].strip() == ", ".join(
        f"{name} {n}" for name, n in zip(("b", "bb", "c", "udsg"), counts, strict=True)
    )
    assert any("jobs: 4 clean, 1 bin_jets, 3 fit_scalers, 4 write" in line for line in lines)


def test_mistakes_of_the_configuration_come_first(ntuples, check):
    code, lines = check({**ntuples.config, "sede": 3})
    assert (code, lines[0], len(lines)) == (1, "The configuration has mistakes:", 2)
    assert lines[1].startswith("sede: unknown key. Did you mean 'seed'?")


def test_mistakes_in_the_files(ntuples, check):
    wrong = runs.changed(ntuples.config, {"jets": {"spectators": ["btagDeepX", "numbers"]}})
    code, lines = check(wrong)
    assert (code, lines[0], lines[-1]) == (1, "The configuration does not fit the input files:", "The run would stop.")
    assert [line.split("'")[3] for line in lines[1:3]] == ["Jet_btagDeepX", "Jet_numbers"]


def test_bins_are_compared_with_the_jets(ntuples, check):
    code, lines = check(ntuples.config, {"balance": {"bins": {"pt": [40, 2000, 7]}, "outside": "drop"}})
    assert code == 0
    kept = runs.passes(ntuples.jets)[-1] & (ntuples.jets["file"] == 0)
    pt = ntuples.jets["pt"][kept]
    n_empty = (np.histogram(pt, np.linspace(40, 2000, 8))[0] == 0).sum()
    assert n_empty
    (line,) = [line for line in lines if line.startswith("bins of pt")]
    assert line == (
        f"bins of pt: 40 to 2000, jets {pt.min():g} to {pt.max():g}; {(pt < 40).sum()} of {len(pt)} jets are outside;"
        f" {n_empty} of 7 bins are empty"
    )


def test_warnings_of_what_a_few_jets_cannot_tell(ntuples, check):
    config = runs.changed(ntuples.config, {"jets": {"define": {"two": "2 + 0 * pt", "none": "sqrt(-pt)"}}})
    config["jets"] = {**config["jets"], "variables": ["pt", "eta", "two", "none"], "missing": None}
    config["classes"] = {"truth": "hadronFlavour == 7", "other": "rest"}
    code, lines = check(config)
    assert code == 0
    assert [line for line in lines if line.startswith("warning: ")] == [
        "warning: no jets of class truth among those tried; a run that has none stops, unless strict is false",
        "warning: variable 'two' is 2 for all jets tried",
        "warning: variable 'none' is missing for all jets tried; a run where it always is stops, unless strict is"
        " false",
    ]


def test_a_file_that_cannot_be_read_is_a_mistake_unless_it_is_skipped(ntuples, check, tmp_path):
    damaged = tmp_path / "damaged.root"
    damaged.write_bytes(b"nothing")
    samples = {"samples": {"top": {"files": [str(damaged), str(ntuples.files["top"][0])]}}}
    code, lines = check(ntuples.config, samples)
    assert (code, lines[1].partition(": ")[0]) == (1, str(damaged))
    code, lines = check(ntuples.config, samples, {"input": {"unreadable": "skip"}})
    assert code == 0
    assert not any("damaged" in line for line in lines)


def test_toys_are_not_tried(check):
    code, lines = check(yaml.safe_load((runs.ROOT / "config/config.yaml").read_text()))
    assert (code, lines[0]) == (0, "tt, qcd: toys, not tried")


def scaled(text):
    number, prefix = text.split()[:2]
    return float(number) * {"k": 1e3, "M": 1e6}.get(prefix[0], 1)


@pytest.mark.parametrize("jets", [10_000, 500])
def test_the_size_of_a_run_is_estimated(ntuples, check, finished, jets):
    _, lines = check(ntuples.config, jets=jets)
    (line,) = [line for line in lines if line.startswith("About ")]
    kept, cleaned, output = (scaled(text.removeprefix("About ")) for text in line.split("; "))
    assert kept == pytest.approx(len(ntuples.kept), rel=0.15)
    results = finished("hdf5")
    assert cleaned == pytest.approx(sum(path.stat().st_size for path in results.glob("clean/*/*.h5")), rel=0.25)
    assert output == pytest.approx(sum(path.stat().st_size for path in results.glob("hdf5/*/*.h5")), rel=0.5)
    assert lines[0].startswith(f"top: {'all' if jets == 10_000 else 'the first'} ")
    assert any(line.startswith("A clean job asks for 1.5 GB of memory, a part of train for ") for line in lines)
