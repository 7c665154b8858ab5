"""Samples without truth, such as collision data: a real file whose truth is taken away, beside the file itself."""

import json
from importlib.util import find_spec

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs

import jetmill
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.verify import verify
from jetmill.workflow.in_process import run_in_process

pytestmark = [pytest.mark.workflow, pytest.mark.real_data]

# In the file that is called data.
BRANCHES = {
    "Jet": ["pt", "eta", "mass", "btagDeepL"],
    "JetPFCands": ["jetIdx", "pFCandsIdx"],
    "PFCands": ["pt", "d0", "charge"],
}
EVENT = ["run", "luminosityBlock", "event"]
CONFIG = {
    "strict": False,
    "input": {"matched": {"gen": {"branches": "GenJet", "index": "genJetIdx", "out_of_range": "missing"}}},
    "jets": {
        "define": {"response": "pt / gen_pt", "n_pf": "count(pf)"},
        "units": {"gen_pt": 1.0},
        "select": ["pt > 20", "abs(eta) < 2.5"],
        "variables": ["pt", "mass", "n_pf"],
        "spectators": ["btagDeepL"],
        "additional_labels": ["partonFlavour", "response"],
        "targets": ["response"],
    },
    "constituents": {
        "pf": {
            "tree": {"branches": "PFCands", "links": "JetPFCands", "index": "pFCandsIdx"},
            "define": {"is_muon": "abs(pdgId) == 13"},
            "variables": ["pt", "d0"],
            "sort_by": "pt",
            "labels": ["pdgId", "is_muon"],
            "max": 5,
        }
    },
    "classes": {"c": "hadronFlavour == 4", "light": "rest"},
    "balance": {"bins": {"pt": [[20, 60, 1], [60, 1000, 1]]}, "event_weights": ["genWeight"], "outside": "drop"},
    "write": {"formats": runs.FORMATS},
    "report": {"plots": False},
}


@pytest.fixture(scope="module")
def files(shared_data, tmp_path_factory):
    """The file, and a copy with nothing that collision data lack."""
    real, data = shared_data("pfnano.root"), tmp_path_factory.mktemp("copy") / "data.root"
    with uproot.open(real) as file:
        tree = file["Events"]
        event = {name: tree[name].array(library="np") for name in EVENT}
        lists = {of: ak.zip({n: tree[f"{of}_{n}"].array() for n in names}) for of, names in BRANCHES.items()}
    with uproot.recreate(data) as file:
        types = {name: x.dtype for name, x in event.items()} | {name: x.type for name, x in lists.items()}
        file.mktree("Events", types)
        file["Events"].extend(event | lists)
    return {"qcd": str(real), "data": str(data)}


@pytest.fixture(scope="module")
def config(files):
    return CONFIG | {"samples": {"qcd": {"files": [files["qcd"]]}, "data": {"files": [files["data"]], "truth": False}}}


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    return runs.succeeds(tmp_path_factory.mktemp("with_data"), "--cores", "2", config=config)


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
    """The same without the data."""
    out = tmp_path_factory.mktemp("alone") / "results"
    return run_in_process(config | {"samples": {"qcd": config["samples"]["qcd"]}, "output_dir": str(out)})


@pytest.fixture(scope="module")
def jets(files):
    """The selected jets of the data, one after the other: output of the tagger to pt, mass, pt of constituents."""
    with uproot.open(files["data"]) as file:
        names = [f"{of}_{name}" for of, names in BRANCHES.items() for name in names]
        events = file["Events"].arrays(names).to_list()
    found = {}
    for event in events:
        for i, pt in enumerate(event["Jet_pt"]):
            if pt > 20 and abs(event["Jet_eta"][i]) < 2.5:
                links = zip(event["JetPFCands_jetIdx"], event["JetPFCands_pFCandsIdx"], strict=True)
                of_jet = [event["PFCands_pt"][k] for jet, k in links if jet == i]
                found[event["Jet_btagDeepL"][i]] = pt, event["Jet_mass"][i], sorted(of_jet, reverse=True)
    return found


def test_all_jets_that_pass_the_cuts_are_in_a_file_of_their_own(run, jets):
    data, scaler = (
        jetmill.load(run.results / "test_data.h5"),
        json.loads((run.results / "scalers.json").read_text())["jets"],
    )
    assert len(data.labels) == len(jets) > 40
    assert set(data.labels.tolist()) == {255}
    expected = [jets[x] for x in data.spectators["btagDeepL"].tolist()]
    for place, values in {"pt": [j[0] for j in expected], "n_pf": [len(j[2]) for j in expected]}.items():
        shift, scale = (scaler[place][key] for key in ("shift", "scale"))
        column = data.inputs[:, data.variables.index(place)]
        assert column == pytest.approx((np.array(values) - shift) / scale, rel=1e-5, abs=1e-5)
    assert data.constituents["pf"].valid.sum(axis=1).tolist() == [min(5, len(j[2])) for j in expected]
    assert data.weight.tolist() == [float(20 <= j[0] <= 1000) for j in expected]
    assert not data.additional_labels
    assert not data.constituents["pf"].labels
    with h5py.File(run.results / "test_data.h5") as file:
        assert not file["jets/labels_one_hot"][()].any()
        assert list(file["jets/labels"].attrs["label_classes"]) == ["c", "light"]


def test_other_outputs_scalers_weights_and_counts_are_those_without_the_data(run, alone):
    for name in ("train.h5", "val.h5", "test.h5"):
        found, expected = runs.datasets(run.results / name), runs.datasets(alone / name)
        assert found.keys() == expected.keys()
        for dataset, values in expected.items():
            np.testing.assert_array_equal(found[dataset], values, err_msg=dataset)
    for name in ("scale_dict.json", "norm_dict.yaml", "class_dict.yaml"):
        assert (run.results / name).read_text() == (alone / name).read_text()
    found, expected = (json.loads((path / "manifest.json").read_text())["jets"] for path in (run.results, alone))
    for key in ("cleaned", "outside the bins", "training after resampling"):
        assert found[key] == expected[key]


def test_the_manifest_and_every_format_have_them(run, jets):
    manifest = json.loads((run.results / "manifest.json").read_text())
    assert manifest["jets"]["without truth"] == {"data": len(jets)}
    (part,) = (entry for entry in manifest["outputs"] if entry["path"] == "hdf5/test_data/part_0000.h5")
    assert part["classes"] == {"data": len(jets)}
    assert verify(run.results).problems == []
    with h5py.File(run.results / "structured/test_data.h5") as file:
        records = file["jets"][()]
        assert json.loads(file.attrs["jet_counts"]) == {"data": len(jets)}
        assert set(records["flavour_label"].tolist()) == {255}
        assert {"response", "partonFlavour"}.isdisjoint(records.dtype.names)
        assert "pdgId" not in file["pf"].dtype.names
    pts = sorted(np.float32(j[0]) for j in jets.values())
    assert sorted(records["pt"].tolist()) == pts
    if find_spec("pyarrow"):
        import pyarrow.parquet as pq

        table = pq.read_table(run.results / "parquet/test_data")
        assert sorted(table["pt"].to_pylist()) == pts
        assert not any(table["label_c"].to_pylist())
        assert not any(table["label_light"].to_pylist())
    assert json.loads((run.results / "tfrecords/test_data/metadata.json").read_text())["n_jets"] == len(jets)


def test_streams(run, config, files, jets):
    stream = jetmill.Stream(run.results, "test_data", batch_size=10)
    assert stream.n_jets == len(jets)
    dump = jetmill.DumpStream(run.results, [files["data"]], sample="data", batch_size=10)
    for batches in (stream.epoch(), dump):
        found = [batch["jets/spectators/btagDeepL"] for batch in batches]
        assert sorted(np.concatenate(found).tolist()) == sorted(jets)


def test_a_finished_training_is_applied_to_data(run, alone, files, tmp_path):
    samples = {"data": {"files": [files["data"]], "truth": False}}
    raw = {"apply": str(alone), "output_dir": str(tmp_path / "results"), "samples": samples}
    found = run_in_process(raw | {"write": {"max_jets_test": 30}, "report": {"plots": False}})
    assert not (found / "test.h5").exists()
    few, many = (runs.datasets(path / "test_data.h5") for path in (found, run.results))
    assert len(few["jets/labels"]) == 30
    place = {x: i for i, x in enumerate(many["jets/spectators/btagDeepL"].tolist())}
    rows = [place[x] for x in few["jets/spectators/btagDeepL"].tolist()]
    assert np.array_equal(few["jets/inputs"], many["jets/inputs"][rows])


def test_with_truth_the_missing_branches_are_errors(config, tmp_path):
    samples = config["samples"] | {"data": config["samples"]["data"] | {"truth": True}}
    with pytest.raises(JetmillError) as error:
        run_in_process(config | {"samples": samples, "output_dir": str(tmp_path / "results")})
    for branch in ("Jet_hadronFlavour", "genWeight", "pdgId"):
        assert branch in str(error.value)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (
            {"samples": {"data": {"splits": ["train"]}}},
            "samples.data: without truth (truth: false), jets are for testing",
        ),
        ({"classes": {"c": {"samples": ["data"]}}}, "classes.c.samples: jets of 'data', without truth (truth: false)"),
        ({"write": {"outputs": ["train"]}}, "samples.data: without truth (truth: false), jets are for testing; write."),
        (
            {"balance": {"resampling": {"method": "count", "components": [{"samples": ["data"]}]}}},
            "balance.resampling.components.0: 'data' has no jets for training",
        ),
    ],
)
def test_what_cannot_be(raw_config, changes, wanted):
    data = {"toy": {"process": "ttbar"}, "truth": False} | changes.get("samples", {}).get("data", {})
    raw = runs.changed(raw_config, {key: value for key, value in changes.items() if key != "samples"})
    raw["samples"] = raw["samples"] | {"data": data}
    with pytest.raises(JetmillError) as error:
        load(raw)
    assert wanted in str(error.value)
