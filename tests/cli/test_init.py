"""``jetmill init``: what it writes runs as it is, and holds what the file holds."""

import os

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs

import jetmill
from jetmill.cli.main import main
from jetmill.config.yaml_files import read_yaml
from jetmill.inspection.draft import samples_of
from jetmill.sources.hdf5 import write_toys
from jetmill.workflow.in_process import run_in_process


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a function that makes a directory for files, goes there, and returns its configuration."""

    def make(*files):
        assert main(["init", *map(str, files), "-o", str(tmp_path / "study")]) == 0
        monkeypatch.chdir(tmp_path / "study")
        return read_yaml("config/config.yaml")

    return make


# Tree, pT and eta of jets, MeV in a GeV, flavour and what is known of it, collection of constituents.
REAL = {
    "pfnano.root": ("Events", "Jet_{}", 1, "hadronFlavour", {5: "b", 4: "c"}, "pf"),
    "nano_tt_v12.root": ("Events", "Jet_{}", 1, "hadronFlavour", {5: "b", 4: "c"}, None),
    "nano_tt_v15.root": ("Events", "Jet_{}", 1, "hadronFlavour", {5: "b", 4: "c"}, None),
    "physlite_ttbar_100events.root": (
        *("CollectionTree", "AnalysisJetsAuxDyn.{}", 1000, "HadronConeExclTruthLabelID"),
        *({5: "b", 4: "c", 15: "tau"}, "tracks"),
    ),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_files_of_the_experiments_run_as_written(shared_data, made, name):
    tree, prefix, mev, flavour_name, flavours, collection = REAL[name]
    config = made(shared_data(name))
    run_in_process(config)
    with uproot.open(shared_data(name)) as file:
        pt, eta, flavour = (
            ak.to_numpy(ak.flatten(file[tree][prefix.format(v)].array())) for v in ("pt", "eta", flavour_name)
        )
    low, high = (float(cut.split()[-1]) for cut in config["jets"]["select"][:2])
    kept = (pt >= low * mev) & (pt < high * mev) & (abs(eta) < 2.5)
    assert low == 20
    assert pt.max() < high * mev
    outputs = [jetmill.load(f"results/{split}.h5") for split in runs.SPLITS]
    assert np.allclose(np.sort(np.concatenate([o.variable("pt") for o in outputs])), np.sort(pt[kept] / mev), rtol=1e-5)
    classes = np.array([*config["classes"]])[np.concatenate([o.labels for o in outputs])]
    expected = np.array([flavours.get(f, "light") for f in flavour[kept].tolist()])
    assert np.array_equal(np.sort(classes), np.sort(expected))
    assert list(config.get("constituents", {})) == ([collection] if collection else [])


@pytest.fixture
def dump(tmp_path):
    write_toys(tmp_path / "ttbar_01.h5", "ttbar", 2000, np.random.default_rng(1), 0)
    return tmp_path / "ttbar_01.h5"


@pytest.mark.workflow
def test_snakemake_runs_in_the_directory(dump, made, tmp_path):
    config = made(dump)
    assert config["samples"] == {"ttbar": {"files": [str(dump)]}}
    run = runs.snakemake(tmp_path / "study", "-s", "Snakefile", "--cores", "2")
    assert run.code == 0, run.output
    with h5py.File(dump) as file:
        jets = file["jets"][()]
    kept = (jets["pt_btagJes"] >= 20_000) & (abs(jets["eta_btagJes"]) < 2.5)
    assert sum(len(jetmill.load(f"results/{split}.h5")) for split in runs.SPLITS) == kept.sum()
    assert "Using workflow specific profile profiles/default" in run.output
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the Slurm plugin of Snakemake is not installed")
    dry_run = runs.snakemake(tmp_path / "study", "-s", "Snakefile", "-n", "--profile", "slurm")
    assert dry_run.code == 0, dry_run.output
    assert "Using profiles slurm and workflow specific profile profiles/default" in dry_run.output
    assert "Nothing to be done" in dry_run.output


def test_sentinels_are_missing_and_energies_in_gev(made, tmp_path, write_root):
    rng = np.random.default_rng(5)
    n = 500
    score = np.where(rng.random(n) < 0.2, -1, rng.random(n)).astype(np.float32)
    jets = {"pt": 1000 * rng.exponential(50, n) + 15_000, "eta": rng.normal(size=n), "width": score, "one": np.ones(n)}
    branches = {f"jet_{name}": values.astype(np.float32) for name, values in jets.items()}
    config = made(write_root(tmp_path / "qcd.root", branches, tree="jets"))
    assert config["jets"]["units"] == {"pt": 0.001}
    assert config["jets"]["missing"] == {"values_of": {"width": [-1]}}
    assert config["jets"]["variables"] == ["pt", "eta", "width"]  # the one that is constant has nothing to say
    assert (config["input"]["level"], config["split"]["by"]) == ("jet", "jet")
    assert main(["check", "config/config.yaml"]) == 0


def test_samples_are_files_that_differ_in_a_number():
    files = ["/d/tt_001.root", "/d/tt_002.root", "/d/qcd-1.root", "/a/user.1.h5", "/b/user.2.h5", "/c/4tops.root"]
    assert samples_of(files) == {
        "tt": files[:2],
        "qcd": files[2:3],
        "a_user": files[3:4],
        "b_user": files[4:5],
        "sample_4tops": files[5:],
    }


def test_nothing_is_overwritten(dump, made, tmp_path, capsys):
    made(dump)
    before = {path: path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.is_file()}
    assert main(["init", str(dump), "-o", str(tmp_path / "study")]) == 2
    assert "config.yaml: already exists; choose another directory" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (tmp_path / "study").rglob("*") if path.is_file()}


def test_what_cannot_be_described(tmp_path, capsys, write_root):
    none = write_root(tmp_path / "none.root", {"x": np.arange(3)})
    for path, why in {tmp_path / "gone.root": "no such file", none: "no jets found: "}.items():
        assert main(["init", str(path), "-o", str(tmp_path / "study")]) == 2
        assert capsys.readouterr().err.startswith(f"{path}: {why}")
    assert not os.path.lexists(tmp_path / "study")
