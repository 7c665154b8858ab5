"""What files seem to be: real ones of the experiments, and layouts that are written here."""

import awkward as ak
import h5py
import numpy as np
import pytest

from jetmill.inspection.draft import draft
from jetmill.inspection.guesses import guess
from jetmill.inspection.tables import open_tables
from jetmill.sources import UnreadableError
from jetmill.sources.hdf5 import write_toys


def guessed(path):
    with open_tables(str(path)) as tables:
        return guess(tables)


REAL = {
    "pfnano.root": ("CMS PFNano", "Events", "Jet", "hadronFlavour", ["run", "luminosityBlock", "event"], "PFCands"),
    "pfnano_rntuple.root": (
        *("CMS PFNano", "Events", "Jet", "hadronFlavour", ["run", "luminosityBlock", "event"], "PFCands"),
    ),
    "NanoAODv5_sample.root": ("CMS NanoAOD", "Events", "Jet", "hadronFlavour", ["run", "luminosityBlock", "event"], ""),
    "nano_tt_v12.root": ("CMS NanoAOD", "Events", "Jet", "hadronFlavour", ["run", "luminosityBlock", "event"], ""),
    "nano_tt_v15.root": ("CMS NanoAOD", "Events", "Jet", "hadronFlavour", ["run", "luminosityBlock", "event"], ""),
    "physlite_ttbar_100events.root": (
        *("ATLAS PHYSLITE", "CollectionTree", "AnalysisJetsAuxDyn", "HadronConeExclTruthLabelID", ["eventNumber"]),
        "InDetTrackParticlesAuxDyn",
    ),
    "uproot-issue-798.root": (
        *("ATLAS PHYSLITE", "CollectionTree", "AnalysisJetsAuxDyn", "HadronConeExclTruthLabelID", ["eventNumber"]),
        "InDetTrackParticlesAuxDyn",
    ),
    "uproot-physlite-rntuple_v1-0-0-0.root": (
        *("ATLAS PHYSLITE as RNTuple", "EventData", "AnalysisJetsAuxDyn", "HadronConeExclTruthLabelID"),
        *(["eventNumber"], "InDetTrackParticlesAuxDyn"),
    ),
    "delphes.root": ("Delphes", "Delphes", "Jet", "Flavor", ["Number"], ""),
    "treemaker.root": (
        "CMS TreeMaker",
        "PreSelection",
        "Jets",
        "hadronFlavor",
        ["RunNum", "LumiBlockNum", "EvtNum"],
        "",
    ),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_files_of_the_experiments(shared_data, name):
    layout, table, jets, flavour, event_id, constituents = REAL[name]
    found = guessed(shared_data(name))
    assert (found.layout, found.table, found.level, found.jets) == (layout, table, "event", jets)
    assert (found.roles["flavour"], found.event_id) == (flavour, event_id)
    assert [c.variables for c in found.constituents] == ([constituents] if constituents else [])


def test_a_dump(tmp_path):
    write_toys(tmp_path / "dump.h5", "ttbar", 50, np.random.default_rng(1), 0)
    found = guessed(tmp_path / "dump.h5")
    assert (found.layout, found.table, found.level) == ("ATLAS training-dataset-dumper", "jets", "jet")
    roles = {"pt": "pt_btagJes", "eta": "eta_btagJes", "mass": "mass", "flavour": "HadronConeExclTruthLabelID"}
    assert found.roles == roles
    assert found.event_id == ["eventNumber"]
    assert [c.name for c in found.constituents] == ["tracks"]


LISTS = ak.Array([[1.0, 2.0], [], [3.0]])


def test_jet_class(tmp_path, write_root):
    branches = {f"jet_{name}": np.arange(3.0) for name in ("pt", "eta", "phi", "energy", "nparticles")}
    branches |= {f"part_{name}": LISTS for name in ("px", "py", "pz", "energy", "deta", "dphi")}
    branches |= {f"label_{name}": np.array([1, 0, 0]) for name in ("QCD", "Hbb", "Tbqq")}
    found = guessed(write_root(tmp_path / "jet_class.root", branches, tree="tree"))
    assert (found.layout, found.table, found.level, found.jets) == ("JetClass", "tree", "jet", "jet")
    assert [(c.name, c.tree) for c in found.constituents] == [("part", {"branches": "part"})]


def test_a_tree_of_jets_with_clusters(tmp_path, write_root):
    branches = {f"fjet_{name}": np.arange(3.0) for name in ("pt", "eta", "phi", "m", "true_flavour")}
    branches |= {f"fjet_clus_{name}": LISTS for name in ("pt", "eta", "phi", "E")}
    branches["EventInfo_mcEventNumber"] = np.arange(3)
    found = guessed(write_root(tmp_path / "flat.root", branches, tree="FlatSubstructureJetTree"))
    assert (found.layout, found.level, found.jets) == ("a tree of jets", "jet", "fjet")
    assert found.event_id == ["EventInfo_mcEventNumber"]
    assert [(c.name, c.tree) for c in found.constituents] == [("clus", {"branches": "fjet_clus"})]
    assert found.roles["flavour"] == "true_flavour"


def test_arrays_of_an_hdf5_file(tmp_path):
    arrays = {f"fjet_{name}": np.arange(3.0) for name in ("pt", "eta", "phi", "m")} | {"labels": np.arange(3) % 2}
    arrays |= {f"fjet_clus_{name}": np.ones((3, 5)) for name in ("pt", "eta", "phi", "E")} | {"other": np.arange(4)}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values
    found = guessed(tmp_path / "a.h5")
    assert (found.layout, found.level, found.jets) == ("ATLAS top-tagging open data", "jet", "fjet")
    assert found.roles == {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}
    assert [c.variables for c in found.constituents] == ["fjet_clus"]
    with open_tables(str(tmp_path / "a.h5")) as tables:
        assert [(table.kind, table.shape, len(table.variables)) for table in tables] == [
            ("arrays", (3,), 9),
            ("arrays", (4,), 1),
        ]
        text = draft(["a.h5"], tables, found)
        assert "format: hdf5_arrays" in text
        assert "  fjet_clus:" in text
        assert "signal: labels == 1" in text


def test_no_jets(tmp_path, write_root):
    assert guessed(write_root(tmp_path / "none.root", {"muon_pt": LISTS, "x": np.arange(3)})) is None


def test_what_is_no_such_file(tmp_path):
    (tmp_path / "text.root").write_text("nothing")
    with pytest.raises(UnreadableError, match="not a ROOT or HDF5 file that can be read"):
        guessed(tmp_path / "text.root")
    with pytest.raises(UnreadableError, match="no such file"):
        guessed(tmp_path / "gone.root")
