"""The embedded default, as a user who has just cloned the repository runs it."""

import json
import re

import numpy as np
import pytest
import workflow_runs as runs

import jetmill

pytestmark = pytest.mark.workflow

N_TOY_FILES = 2  # per sample
FIGURES = [f"balance/{name}" for name in ("cutflow", "classes", "spectra", "spectra_2d", "weights")]
FIGURES += ["jets/closure-jets", "jets/correlations-jets", "jets/roc"]
FIGURES += [f"jets/variables-jets-{page:02d}" for page in range(6)]


@pytest.fixture(scope="module")
def manifest(default_run):
    return json.loads((default_run.results / "manifest.json").read_text())


@pytest.fixture(scope="module")
def train(default_run):
    return jetmill.load(default_run.results / "train.h5")


def test_every_result_is_there_and_nothing_half_made(default_run):
    expected = {f"{split}.h5" for split in runs.SPLITS}
    expected |= {"scalers.json", "scale_dict.json", "norm_dict.yaml", "class_dict.yaml", "balance.h5", "manifest.json"}
    expected |= {f"hdf5/train/part_{n:04d}.h5" for n in range(4)} | {"hdf5/val/part_0000.h5"}
    expected |= {f"hdf5/test/part_{n:04d}.h5" for n in range(2)}
    expected |= {f"report/{figure}.{form}" for figure in FIGURES for form in ("png", "pdf")} | {"report/index.html"}
    expected |= {"clean/tt/batch_0000.h5", "clean/qcd/batch_0000.h5", "clean/batches.json", "bins/0000.h5"}
    expected |= {f"scalers/range_{n:02d}.json" for n in range(3)}
    expected |= {f"toy/{sample}_{n:04d}.root" for sample in ("tt", "qcd") for n in range(N_TOY_FILES)}
    expected |= {".jetmill/run", ".jetmill/stored.json"}  # what the run wants, what columns hold; its lock is gone
    found = {str(path.relative_to(default_run.results)) for path in default_run.results.rglob("*") if path.is_file()}
    for kind in ("balance", "jets"):  # by which Snakemake knows a directory
        found.remove(f"report/{kind}/.snakemake_timestamp")
    assert {name for name in found if not name.startswith(("logs/", "benchmarks/"))} == expected
    assert all((default_run.results / name).stat().st_size for name in expected)
    assert runs.half_made(default_run.directory) == []


def test_the_console_says_what_there_is_to_do_and_how_to_load_it(default_run):
    assert default_run.jobs["clean"] == 2
    assert default_run.jobs["write"] == 7
    assert "tt: 2 files in 1 batches" in default_run.output
    assert 'train = jetmill.load("results/train.h5")' in default_run.output


def test_the_command_of_the_closing_message_works(default_run, monkeypatch):
    monkeypatch.chdir(default_run.directory)
    (command,) = re.findall(r"train = (jetmill\.load\(.*?\))", default_run.output)
    assert len(eval(command)) == len(jetmill.load(default_run.results / "train.h5"))


def test_warnings_are_printed_and_kept(default_run, manifest):
    """More than half of the toy jets have no secondary vertex."""
    assert f"{len(manifest['warnings'])} warnings, also in results/manifest.json:" in default_run.output
    mass = next(text for text in manifest["warnings"] if "DeepCSV_vertexMass" in text)
    train = jetmill.load(default_run.results / "train.h5")
    n_missing = int(np.isnan(train.variable("DeepCSV_vertexMass")).sum())
    assert mass == f"variable 'DeepCSV_vertexMass' of jets is missing for {n_missing:,} of {len(train):,} values"


@pytest.mark.parametrize("split", runs.SPLITS)
def test_jets_load_from_another_directory(default_run, manifest, default_config, split, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jets = jetmill.load(default_run.results / f"{split}.h5")
    assert len(jets) == sum(manifest["jets"]["cleaned"][split].values())
    assert jets.inputs.shape == (len(jets), 67)
    assert np.isfinite(jets.inputs).all()
    assert jets.classes == tuple(default_config["classes"])
    assert np.array_equal(np.isnan(jets.unscaled()), jets.is_default)


def test_cutflow_of_the_manifest(default_run, manifest):
    files = {s: [default_run.results / f"toy/{s}_{n:04d}.root" for n in range(N_TOY_FILES)] for s in ("tt", "qcd")}
    jets = runs.read_ntuples(files, ["eta", "pt", "DeepCSV_trackSumJetDeltaR"])
    steps = dict(manifest["jets"]["cutflow"])
    after_cuts = [int(passed.sum()) for passed in runs.passes(jets)]
    assert list(steps.values()) == [len(jets["pt"]), *after_cuts, after_cuts[-1]]
    assert list(steps)[:3] == ["read", "abs(eta) <= 2.5", "pt >= 20"]
    assert manifest["jets"]["read"] == len(jets["pt"])
    assert 0 < after_cuts[-1] < len(jets["pt"])


def test_classes_of_the_manifest(default_run, manifest):
    files = {s: [default_run.results / f"toy/{s}_{n:04d}.root" for n in range(N_TOY_FILES)] for s in ("tt", "qcd")}
    names = ["eta", "pt", "DeepCSV_trackSumJetDeltaR", "hadronFlavour", "nBHadrons"]
    jets = runs.read_ntuples(files, names)
    truth = np.bincount(runs.labels(jets)[runs.passes(jets)[-1]], minlength=4)
    cleaned = [list(manifest["jets"]["cleaned"][split].values()) for split in runs.SPLITS]
    assert np.array_equal(np.sum(cleaned, axis=0), truth)
    for split, counts in zip(runs.SPLITS, cleaned, strict=True):
        written = jetmill.load(default_run.results / f"{split}.h5")
        assert np.array_equal(np.bincount(written.labels, minlength=4), counts)
    assert manifest["jets"]["training after resampling"] == manifest["jets"]["cleaned"]["train"]


def test_written_jets_of_the_manifest(default_run, manifest):
    assert len(manifest["outputs"]) == 7
    for part in manifest["outputs"]:
        labels = jetmill.load(default_run.results / part["path"]).labels
        assert part["jets"] == len(labels)
        assert list(part["classes"].values()) == np.bincount(labels, minlength=4).tolist()
    total = sum(len(jetmill.load(default_run.results / f"{split}.h5")) for split in runs.SPLITS)
    assert total == sum(part["jets"] for part in manifest["outputs"])
    n_train = sum(manifest["jets"]["training after resampling"].values())
    assert manifest["jets"]["unique training jets"] == n_train


def test_hashes_of_the_manifest(default_run, manifest):
    assert [entry["sample"] for entry in manifest["inputs"]] == ["tt", "tt", "qcd", "qcd"]
    for entry in manifest["inputs"]:
        path = default_run.directory / entry["path"]
        assert (entry["sha256"], entry["size"]) == (runs.sha256(path), path.stat().st_size)
        assert entry["jets"] == len(runs.read_ntuples({"one": [path]}, ["pt"])["pt"])
    for part in manifest["outputs"]:
        path = default_run.results / part["path"]
        assert (part["sha256"], part["size"]) == (runs.sha256(path), path.stat().st_size)


@pytest.mark.parametrize("table", ["weight", "weight_flat"])
def test_weights_have_mean_one_and_equal_totals_of_classes(train, table):
    weight = train.weights[table].astype(np.float64)
    assert weight.mean() == pytest.approx(1, abs=1e-6)
    totals = np.bincount(train.labels, weights=weight, minlength=4)
    assert totals == pytest.approx(len(train) / 4, rel=1e-5)
    # Without weights the totals are far from that.
    assert np.bincount(train.labels).max() > 5 * np.bincount(train.labels).min()


def test_a_second_call_has_nothing_to_do(default_run):
    again = runs.snakemake(default_run.directory, "--cores", "2")
    assert again.code == 0
    assert "Nothing to be done" in again.output
    assert again.jobs == {}


def test_the_report_shows_every_figure(default_run):
    run = runs.snakemake(default_run.directory, "--report", "out.html")
    assert run.code == 0, run.output
    page = (default_run.directory / "out.html").read_text()
    for figure in FIGURES:
        assert figure.partition("/")[2] in page
    # The captions too, not only the figures.
    for category in ("Cleaning and balance", "Training jets"):
        assert category in page
