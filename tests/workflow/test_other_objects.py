"""Objects that are no jets (jets.name): taus and events of a real NanoAOD file against plain uproot."""

import json
import re
from importlib.util import find_spec

import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs
import yaml

import jetmill
from jetmill.config.load import load as load_config
from jetmill.errors import JetmillError
from jetmill.formats.files.names import Names
from jetmill.verify import verify
from jetmill.workflow.in_process import run_in_process

pytestmark = pytest.mark.workflow

TAUS = {
    "strict": False,
    "input": {"jets": "Tau"},
    "jets": {
        "name": "taus",
        "select": ["pt > 18"],
        "variables": ["pt", "eta", "mass", "dxy"],
        "spectators": ["rawDeepTau2018v2p5VSjet"],
        "additional_labels": ["decayMode"],
    },
    "classes": {"real": "genPartFlav == 5", "fake": "rest"},
    "balance": {"bins": {"pt": [18, 500, 3]}, "outside": "drop", "weights": ["average"]},
    "write": {"formats": [*runs.FORMATS, "upp"], "keep_all": True, "conditional": ["pt"], "parts": {"train": 2}},
    "systematics": {"variations": [{"name": "pt_up", "jets": {"pt": "1.02 * pt"}}]},
}
EVENTS = {
    "strict": False,
    "input": {"level": "jet", "jets": ""},
    "jets": {"name": "events", "variables": ["PuppiMET_pt", "PuppiMET_sumEt"]},
    "constituents": {"jets": {"tree": {"branches": "Jet"}, "variables": ["pt", "eta"], "max": 8}},
    "classes": {"many": "count(jets) > 5", "few": "rest"},
    "balance": {"bins": {"PuppiMET_pt": [0, 500, 3]}, "outside": "drop"},
    "write": {"formats": ["hdf5", "structured"], "concat_jet_tracks": True},
}
# The program's name, and names of branches.
ALLOWED = r"jetmill|jetIdx|(raw|id)\w*VSjet"


@pytest.fixture(scope="module")
def path(shared_data):
    return str(shared_data("nano_tt_v15.root"))


@pytest.fixture(scope="module")
def run(path, tmp_path_factory):
    config = TAUS | {"samples": {"tt": {"files": [path]}}}
    return runs.succeeds(tmp_path_factory.mktemp("taus"), "--cores", "2", config=config)


@pytest.fixture(scope="module")
def taus(path):
    """Of each tau that is kept, its (event, position): pt, mass, decay mode, class."""
    with uproot.open(path) as file:
        names = ["pt", "mass", "decayMode", "genPartFlav"]
        events = file["Events"].arrays(["event", *(f"Tau_{name}" for name in names)]).to_list()
    return {
        (event["event"], i): (pt, mass, mode, "real" if flavour == 5 else "fake")
        for event in events
        for i, (pt, mass, mode, flavour) in enumerate(zip(*(event[f"Tau_{name}"] for name in names), strict=True))
        if pt > 18
    }


def texts_of(path):
    """Return all names in a finished file: datasets, fields, attributes and their texts, columns, keys."""
    if path.suffix == ".h5":
        found = []

        def add(name, item):
            found.extend([name, *(getattr(item, "dtype", np.dtype("f4")).names or [])])
            found.extend(f"{key} {value}" for key, value in item.attrs.items() if key != "config")

        with h5py.File(path) as file:
            add("/", file)
            file.visititems(add)
        return "\n".join(found)
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        schema = pq.read_schema(path)
        return f"{schema.names} {schema.metadata}"
    if path.suffix == ".pt":
        import torch

        tensors = torch.load(path, weights_only=True)
        return f"{[*tensors]} {[v for v in tensors.values() if isinstance(v, list)]}"
    return path.read_bytes().decode("latin1")


def test_no_finished_file_speaks_of_jets(run):
    working = {"clean", "bins", "scalers", "logs", "benchmarks", ".jetmill"}
    files = [p for p in run.results.rglob("*") if p.is_file() and not working.intersection(p.parts)]
    # The configuration, and keys of the manifest, which are those of the program.
    files = [p for p in files if p.name not in ("manifest.json", "index.html") and p.suffix not in (".png", ".pdf")]
    assert {p.suffix for p in files} >= {".h5", ".json", ".yaml", ".tfrecord"}
    for file in files:
        assert not re.search("jet", str(file.relative_to(run.results)))
        assert not re.search("jet", re.sub(ALLOWED, "", texts_of(file)), re.IGNORECASE), file


def test_page_and_figures_speak_of_taus(run):
    page = re.sub('data:image[^"]*', "", (run.results / "report/index.html").read_text())
    text = page[: page.index("Configuration, with all defaults")]
    assert {"Taus of each class", "How to load the taus"} <= set(re.findall("[^<>]+", text))
    # Rules of the workflow have their names.
    assert set(re.findall(r"\w*jets?\b\w*", re.sub(ALLOWED, "", text))) == {"bin_jets", "plot_jets"}
    assert (run.results / "report/taus/closure-taus.png").exists()
    manifest = json.loads((run.results / "manifest.json").read_text())
    assert [w for w in manifest["warnings"] if re.search(r"\btaus\b", w)]
    assert not [w for w in manifest["warnings"] if re.search(r"\bjets?\b", w)]


def test_values_are_those_of_the_file(run, taus):
    found = {}
    for split in runs.SPLITS:
        jets = jetmill.load(run.results / f"{split}.h5")
        ids = zip(jets.event["event"].tolist(), jets.event["tau"].tolist(), strict=True)
        values = jets.variable("pt"), jets.variable("mass"), jets.additional_labels["decayMode"]
        classes = [jets.classes[k] for k in jets.labels]
        found |= dict(zip(ids, zip(*values, classes, strict=True), strict=True))
    assert len(found) > 150
    assert found.keys() <= taus.keys()
    for i, (pt, mass, mode, label) in found.items():
        assert (pytest.approx(pt, rel=1e-5), pytest.approx(mass, abs=1e-5), mode, label) == taus[i]
    fields = runs.datasets(run.results / "test.h5")
    assert fields["taus/fields/pt"].tolist() == pytest.approx(jetmill.load(run.results / "test.h5").variable("pt"))


def test_records_have_salts_attributes(run):
    for file in ("structured/train.h5", "upp/train/pp_output_train.h5"):
        with h5py.File(run.results / file) as found:
            assert list(found) == ["taus"]
            assert list(found["taus"].attrs["flavour_label"]) == ["real", "fake"]
            assert found.attrs["unique_taus"] == len(found["taus"])
            assert sum(json.loads(found.attrs["tau_counts"]).values()) == len(found["taus"])
    card = yaml.safe_load((run.results / "salt/DL1.yaml").read_text())
    assert card["data"]["global_object"] == "taus"
    assert list(card["data"]["variables"]) == ["taus"]
    for name in ("norm_dict.yaml", "class_dict.yaml"):
        assert list(yaml.safe_load((run.results / name).read_text())) == ["taus"]
    assert json.loads((run.results / "scale_dict.json").read_text())["taus"]["pt"].keys() == {
        "shift",
        "scale",
        "default",
    }


def test_readers_find_them(run):
    datasets = runs.datasets(run.results / "train.h5")
    stream = jetmill.Stream(run.results, batch_size=10**6)
    (batch,) = stream.epoch()
    assert batch.keys() == datasets.keys()
    assert np.array_equal(np.sort(batch["taus/inputs"], axis=0), np.sort(datasets["taus/inputs"], axis=0))
    manifest = json.loads((run.results / "manifest.json").read_text())
    dump = jetmill.DumpStream(run.results, [manifest["inputs"][0]["path"]], sample="tt")
    assert "taus/labels" in next(iter(dump))
    if find_spec("torch"):
        from jetmill.loading.torch import FileDataset

        rows = FileDataset(run.results / "train.h5")[:3]
        assert np.array_equal(rows["taus/inputs"], datasets["taus/inputs"][:3])
    if find_spec("tensorflow"):
        from jetmill.loading.tensorflow import record_dataset, stream_dataset

        for data in (
            record_dataset(run.results / "tfrecords/train", 10**6, shuffle=False, as_supervised=True),
            stream_dataset(stream, as_supervised=True),
        ):
            ((x, y, weight),) = data
            assert np.array_equal(np.sort(x, axis=0), np.sort(datasets["taus/inputs"], axis=0))
            assert y.shape == datasets["taus/labels_one_hot"].shape
            assert np.array_equal(np.sort(weight), np.sort(datasets["taus/weight"]))
    assert verify(run.results).good


def test_variations_have_them_too(run):
    nominal, varied = (runs.datasets(run.results / name) for name in ("test.h5", "variations/pt_up/test.h5"))
    assert varied.keys() == nominal.keys()


def test_events_may_have_jets_as_constituents(path, tmp_path):
    config = EVENTS | {"samples": {"tt": {"files": [path]}}, "output_dir": str(tmp_path / "results")}
    results = run_in_process(config)
    with uproot.open(path) as file:
        branches = ["event", "PuppiMET_pt", "Jet_pt"]
        truth = {e["event"]: e for e in file["Events"].arrays(branches).to_list()}
    n_events = 0
    for split in runs.SPLITS:
        events = jetmill.load(results / f"{split}.h5")
        assert events.constituents["jets"].variables == ("event_PuppiMET_pt", "event_PuppiMET_sumEt", "pt", "eta")
        pt = events.constituents["jets"].variable("pt")
        for i, number in enumerate(events.event["event"].tolist()):
            event = truth[number]
            assert events.variable("PuppiMET_pt")[i] == pytest.approx(event["PuppiMET_pt"], rel=1e-5)
            assert pt[i][~np.isnan(pt[i])].tolist() == pytest.approx(event["Jet_pt"][:8], rel=1e-5)
            assert events.classes[events.labels[i]] == ("many" if len(event["Jet_pt"]) > 5 else "few")
        n_events += len(events)
    assert n_events == len(truth)
    with h5py.File(results / "structured/train.h5") as file:
        assert sorted(file) == ["events", "jets"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jets": {"name": "events"}}, "jets.name: 'event' is the position in the event, and one of input.event_id"),
        ({"jets": {"name": "tracks"}}, "constituents.tracks: a collection cannot be called 'tracks', as jets.name is"),
        ({"jets": {"name": "balance"}}, "jets.name: 'balance' is where figures of balance are (report/balance)"),
        ({"jets": {"name": "targets"}}, "jets.name: 'targets' are those of a regression"),
        ({"jets": {"name": "my taus"}}, "jets.name: "),
        ({"jets": {"nam": "taus"}}, "jets.nam: unknown key. Did you mean 'name'?"),
    ],
)
def test_names_that_mean_two_things_are_refused(raw_config, changes, message):
    raw_config["constituents"] = {"tracks": {"variables": ["d0"], "max": 3}}
    with pytest.raises(JetmillError, match=re.escape(message)):
        load_config(runs.changed(raw_config, changes))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jets after each cut: 3 jets, one jet", "Taus after each cut: 3 taus, one tau"),
        ("add jets.missing.values_of", "add jets.missing.values_of"),
        ("jetmill, n_jets, Jet_pt, manifest.jets", "jetmill, n_jets, Jet_pt, manifest.jets"),
    ],
)
def test_texts_about_jets_speak_of_taus(text, expected):
    assert Names("taus").say(text) == expected
    assert Names().say(text) == text
