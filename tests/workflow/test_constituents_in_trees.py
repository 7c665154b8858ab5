"""Constituents in trees to finished files: real files of CMS and ATLAS, followed link by link without jetmill."""

import json
from math import cos, hypot, sin

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs
from stage_runs import run_stages

import jetmill

DATA = runs.ROOT.parent / "shared/data"
PFNANO, PHYSLITE = DATA / "pfnano.root", DATA / "physlite_ttbar_100events.root"

pytestmark = pytest.mark.workflow


def real_data(function):
    skip = pytest.mark.skipif(not DATA.is_dir(), reason="the real input files are not in ../shared/data")
    return pytest.mark.real_data(skip(function))


def finished(directory, config):
    """Run to arrays and records."""
    return run_stages({"output_dir": str(directory / "results"), "strict": False, **config}, ["structured"])


def records(results, collection, key):
    """Return what identifies a jet to its constituents in use, as records, of all splits."""
    found = {}
    for split in runs.SPLITS:
        with h5py.File(results / f"structured/{split}.h5") as file:
            jets, rows = file["jets"][()], file[collection][()]
        # Those in use are in front.
        assert not (np.diff(rows["valid"].astype(int), axis=1) > 0).any()
        found |= {key(jet): row[row["valid"]] for jet, row in zip(jets, rows, strict=True)}
    return found


def same(found, expected, columns):
    """Compare constituents, an array of records for each jet, with lists of tuples of these columns."""
    assert found.keys() == expected.keys()
    for jet, rows in expected.items():
        assert len(found[jet]) == len(rows), jet
        for i, name in enumerate(columns):
            column = np.array([row[i] for row in rows], dtype=np.float64)
            assert found[jet][name] == pytest.approx(column, rel=1e-6, nan_ok=True), (jet, name)


def arrays_agree_with_records(results, collection, labels=()):
    """The scaled arrays, brought back to their units, are the records."""
    n_constituents = 0
    for split in runs.SPLITS:
        with h5py.File(results / f"structured/{split}.h5") as file:
            rows = file[collection][()]
        jets = jetmill.load(results / f"{split}.h5")
        constituents = jets.constituents[collection]
        assert np.array_equal(constituents.valid, rows["valid"])
        assert not constituents.inputs[~rows["valid"]].any()
        for name in constituents.variables:
            values = np.where(rows["valid"], rows[name].astype(np.float64), np.nan)
            scale = np.nanmax(np.abs(values)) if rows["valid"].any() else 1
            assert constituents.variable(name) == pytest.approx(values, rel=1e-4, abs=1e-5 * scale, nan_ok=True)
        for name in labels:
            assert np.array_equal(constituents.labels[name], np.where(rows["valid"], rows[name], -1))
        n_constituents += int(rows["valid"].sum())
    return n_constituents


# --- PFNano ---

CANDIDATES = {"branches": "PFCands", "links": "JetPFCands", "index": "pFCandsIdx"}
PFNANO_CONFIG = {
    "samples": {"qcd": {"files": [str(PFNANO)]}},
    "jets": {"variables": ["pt", "eta", "rawFactor"]},
    "constituents": {
        "candidates": {
            "tree": CANDIDATES,
            "max": 100,
            "variables": ["pt", "phi", "btagJetDistVal"],
            "labels": ["pdgId"],
        },
        "hardest": {"tree": CANDIDATES, "sort_by": "pt", "max": 10, "variables": ["pt", "charge"]},
        "charged": {
            "tree": CANDIDATES,
            "sort_by": "pt",
            "max": 5,
            "select": ["charge != 0", "pt > 1"],
            "variables": ["pt"],
        },
        "SV": {"tree": {"links": "JetSVs", "index": "sVIdx"}, "max": 15, "variables": ["ntracks", "deltaR", "pt"]},
    },
    "classes": {"c": "hadronFlavour == 4", "light": "rest"},
    "balance": {"bins": {"pt": [0, 2000, 2]}},
}


def jet_of_cms(jet):
    return int(jet["event"]), float(jet["pt"])


@pytest.fixture(scope="module")
def pfnano(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("pfnano"), PFNANO_CONFIG)


@pytest.fixture(scope="module")
def linked():
    """Return a function that follows links, one jet at a time: jet to a list of tuples."""
    with uproot.open(PFNANO) as file:
        prefixes = ("event", "Jet_pt", "Jet_rawFactor", "JetPFCands_", "PFCands_", "JetSVs_", "SV_")
        events = file["Events"].arrays(filter_name=lambda name: name.startswith(prefixes)).to_list()

    def follow(table, index, names):
        found = {}
        for event in events:
            for number, pt in enumerate(event["Jet_pt"]):
                pairs = enumerate(zip(event[f"{table}_jetIdx"], event[f"{table}_{index}"], strict=True))
                here = [(place, to) for place, (jet, to) in pairs if jet == number and to >= 0]
                found[event["event"], pt] = [
                    tuple(event[name][place if name.startswith(table) else to] for name in names) for place, to in here
                ]
        return found

    follow.raw_pt = {
        (event["event"], pt): pt * (1 - factor)
        for event in events
        for pt, factor in zip(event["Jet_pt"], event["Jet_rawFactor"], strict=True)
    }
    return follow


@real_data
def test_all_candidates_as_in_the_file(pfnano, linked):
    names = ["pt", "phi", "btagJetDistVal", "pdgId"]
    wanted = ["PFCands_pt", "PFCands_phi", "JetPFCands_btagJetDistVal", "PFCands_pdgId"]
    expected = linked("JetPFCands", "pFCandsIdx", wanted)
    found = records(pfnano, "candidates", jet_of_cms)
    same(found, expected, names)
    assert (len(found), sum(map(len, found.values()))) == (64, 1801)
    assert arrays_agree_with_records(pfnano, "candidates", ["pdgId"]) == 1801


@real_data
def test_candidates_make_up_the_jet(pfnano, linked):
    """Their sum is the jet before corrections."""
    ratios = []
    for jet, rows in records(pfnano, "candidates", jet_of_cms).items():
        x, y = (sum(float(row["pt"]) * f(row["phi"]) for row in rows) for f in (cos, sin))
        ratios.append(hypot(x, y) / linked.raw_pt[jet])
    assert np.median(ratios) == pytest.approx(1, abs=5e-4)


@real_data
def test_hardest_candidates_sorted_before_the_rest_is_cut_off(pfnano, linked):
    everything = linked("JetPFCands", "pFCandsIdx", ["PFCands_pt", "PFCands_charge"])
    expected = {jet: sorted(rows, key=lambda row: -row[0])[:10] for jet, rows in everything.items()}
    assert sum(sorted(rows[:10]) != sorted(expected[jet]) for jet, rows in everything.items()) > 30
    found = records(pfnano, "hardest", jet_of_cms)
    same(found, {jet: [row[:1] for row in rows] for jet, rows in expected.items()}, ["pt"])
    # Those of equal pt keep their order.
    same(found, {jet: [row[1:] for row in rows] for jet, rows in expected.items()}, ["charge"])
    arrays_agree_with_records(pfnano, "hardest")


@real_data
def test_selected_candidates(pfnano, linked):
    expected = {
        jet: sorted(((pt,) for pt, charge in rows if charge and pt > 1), reverse=True)[:5]
        for jet, rows in linked("JetPFCands", "pFCandsIdx", ["PFCands_pt", "PFCands_charge"]).items()
    }
    same(records(pfnano, "charged", jet_of_cms), expected, ["pt"])
    assert {len(rows) for rows in expected.values()} >= {0, 5}


@real_data
def test_vertices(pfnano, linked):
    expected = linked("JetSVs", "sVIdx", ["SV_ntracks", "JetSVs_deltaR", "SV_pt"])
    same(records(pfnano, "SV", jet_of_cms), expected, ["ntracks", "deltaR", "pt"])
    assert arrays_agree_with_records(pfnano, "SV") == sum(map(len, expected.values())) == 33


# --- PHYSLITE ---

PHYSLITE_CONFIG = {
    "samples": {"ttbar": {"files": [str(PHYSLITE)]}},
    "input": {
        "tree": "CollectionTree",
        "jets": "AnalysisJetsAuxDyn",
        "event": "EventInfoAuxDyn",
        "event_id": ["runNumber", "eventNumber"],
    },
    "jets": {"variables": ["pt", "eta"], "additional_labels": ["HadronConeExclTruthLabelID"]},
    "constituents": {
        "tracks": {
            "tree": {"branches": "InDetTrackParticlesAuxDyn", "element_links": "GhostTrack"},
            "define": {"pt": "sin(theta) / abs(qOverP)"},
            "sort_by": "pt",
            "variables": ["d0", "z0", "pt", "numberOfPixelHits"],
            "labels": ["numberOfSCTHits"],
        },
        "two": {
            "tree": {"branches": "InDetTrackParticlesAuxDyn", "element_links": "GhostTrack"},
            "sort_by": "abs(d0)",
            "max": 2,
            "variables": ["d0"],
        },
        # Not constituents, but in branches that are nested like them.
        "layers": {"tree": {"branches": "AnalysisJetsAuxDyn"}, "max": 28, "variables": ["EnergyPerSampling"]},
    },
    "classes": {
        "b": "HadronConeExclTruthLabelID == 5",
        "c": "HadronConeExclTruthLabelID == 4",
        "tau": "HadronConeExclTruthLabelID == 15",
        "light": "rest",
    },
    "split": {"by": "modulo", "modulo": 10, "val": [8], "test": [9]},
    "balance": {"bins": {"pt": [0, 2e6, 2]}},
}


def jet_of_atlas(jet):
    return int(jet["eventNumber"]), float(jet["pt"])


@pytest.fixture(scope="module")
def physlite(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("physlite"), PHYSLITE_CONFIG)


@pytest.fixture(scope="module")
def in_file():
    """Return a function that reads a branch of PHYSLITE as Python objects."""
    with uproot.open(PHYSLITE) as file:
        tree = file["CollectionTree"]
        yield lambda branch: tree[branch].array().to_list()


@pytest.fixture(scope="module")
def jets_in_file(in_file):
    """What identifies each jet, event by event."""
    events, pt = in_file("EventInfoAuxDyn.eventNumber"), in_file("AnalysisJetsAuxDyn.pt")
    return [[(number, pt) for pt in of_event] for number, of_event in zip(events, pt, strict=True)]


@pytest.fixture(scope="module")
def tracks(in_file, jets_in_file):
    """Follow links, one jet at a time: jet to d0, z0, pt, pixel hits, SCT hits of its tracks."""
    names = ["d0", "z0", "theta", "qOverP", "numberOfPixelHits", "numberOfSCTHits"]
    columns = [in_file(f"InDetTrackParticlesAuxDyn.{name}") for name in names]
    found = {}
    for event, links in enumerate(in_file("AnalysisJetsAuxDyn.GhostTrack")):
        for jet, of_jet in zip(jets_in_file[event], links, strict=True):
            there = [link["m_persIndex"] for link in of_jet if link["m_persKey"] != 0]
            rows = [tuple(column[event][i] for column in columns) for i in there]
            found[jet] = [(d0, z0, sin(theta) / abs(q), *hits) for d0, z0, theta, q, *hits in rows]
    return found


@real_data
def test_classes_and_events_of_atlas(physlite, in_file, jets_in_file):
    flavours = [f for of_event in in_file("AnalysisJetsAuxDyn.HadronConeExclTruthLabelID") for f in of_event]
    expected = dict(zip((jet for event in jets_in_file for jet in event), flavours, strict=True))
    found, classes = {}, {}
    for split in runs.SPLITS:
        jets = runs.datasets(physlite / f"structured/{split}.h5")["jets"]
        found |= {jet_of_atlas(jet): int(jet["HadronConeExclTruthLabelID"]) for jet in jets}
        classes |= {jet_of_atlas(jet): int(jet["flavour_label"]) for jet in jets}
        number = runs.datasets(physlite / f"{split}.h5")["jets/event/eventNumber"]
        assert number.dtype == np.uint64
        remainders = {"val": {8}, "test": {9}}.get(split, set(range(8)))
        assert set((number % np.uint64(10)).tolist()) <= remainders
    assert found == expected
    assert max(event for event, _ in found) == 322277998 > 2**24
    # A float32 holds few of them.
    assert sum(int(np.float32(event)) != event for event in {event for event, _ in found}) > 50
    assert classes == {jet: {5: 0, 4: 1, 15: 2, 0: 3}[flavour] for jet, flavour in expected.items()}
    assert np.bincount(list(classes.values())).tolist() == [184, 55, 22, 662]


@real_data
def test_ghost_tracks_sorted(physlite, tracks):
    found = records(physlite, "tracks", jet_of_atlas)
    expected = {jet: sorted(rows, key=lambda row: -row[2]) for jet, rows in tracks.items()}
    same(found, expected, ["d0", "z0", "pt", "numberOfPixelHits", "numberOfSCTHits"])
    lengths = [len(rows) for rows in found.values()]
    assert (len(lengths), np.count_nonzero(lengths), sum(lengths)) == (923, 538, 2156)
    assert arrays_agree_with_records(physlite, "tracks", ["numberOfSCTHits"]) == 2156


@real_data
def test_two_ghost_tracks_of_largest_distance(physlite, tracks):
    expected = {jet: sorted(rows, key=lambda row: -abs(row[0]))[:2] for jet, rows in tracks.items()}
    assert any(expected[jet] != rows[:2] for jet, rows in tracks.items())
    same(records(physlite, "two", jet_of_atlas), expected, ["d0"])
    arrays_agree_with_records(physlite, "two")


@real_data
def test_nested_branches_of_atlas(physlite, in_file, jets_in_file):
    values = in_file("AnalysisJetsAuxDyn.EnergyPerSampling")
    expected = {
        jet: [(energy,) for energy in of_jet]
        for event, of_event in zip(jets_in_file, values, strict=True)
        for jet, of_jet in zip(event, of_event, strict=True)
    }
    same(records(physlite, "layers", jet_of_atlas), expected, ["EnergyPerSampling"])
    assert arrays_agree_with_records(physlite, "layers") == 28 * 923


@real_data
def test_cutflow_of_atlas(physlite, tracks):
    n_two = sum(min(len(rows), 2) for rows in tracks.values())
    with h5py.File(physlite / "clean/ttbar/batch_0000.h5") as batch:
        assert json.loads(batch.attrs["constituents"]) == {
            "tracks": [2156, 2156, 2156],
            "two": [2156, 2156, n_two],
            "layers": [28 * 923] * 3,
        }


# --- generated files ---

JET_TREE = {
    "input": {"level": "jet", "jets": "", "event_id": ["event"]},
    "jets": {"variables": ["pt"]},
    "constituents": {"part": {"sort_by": "pt", "max": 2, "variables": ["pt", "charge"]}},
    "classes": {"b": "flavour == 5", "light": "rest"},
    "balance": {"bins": {"pt": [0, 100, 1]}},
}


def test_a_jet_tree_keeps_the_hardest(tmp_path, write_root):
    """The constituents of a jet have pt 1, 2, 50, 40 times its number, or there are none."""
    number = np.arange(1, 61)
    pt = ak.Array([[float(k * f) for f in (1, 2, 50, 40)] if k % 3 else [] for k in number])
    branches = {"pt": number.astype(np.float32), "flavour": number % 2 * 5, "event": number}
    branches |= {"part_pt": ak.values_astype(pt, np.float32), "part_charge": ak.values_astype(pt > 45, np.int8)}
    write_root(tmp_path / "jets.root", branches)
    config = JET_TREE | {"samples": {"tt": {"files": [str(tmp_path / "jets.root")]}}}
    found = records(finished(tmp_path, config), "part", lambda jet: int(jet["pt"]))
    assert sorted(found) == list(range(1, 61))
    for number, rows in found.items():
        assert rows["pt"].tolist() == ([50 * number, 40 * number] if number % 3 else [])
        assert rows["charge"].tolist() == [int(f * number > 45) for f in (50, 40) if number % 3]


def test_a_link_out_of_range_fails_the_run_in_words(tmp_path, write_root):
    branches = {
        "Jet_pt": [[20.0, 21.0], [22.0]],
        "Jet_hadronFlavour": [[5, 0], [5]],
        "JetPFCands_jetIdx": [[0, 1], [0, 0]],
        "JetPFCands_pFCandsIdx": [[0, 0], [1, 2]],
        "PFCands_pt": [[1.0], [2.0, 3.0]],
    }
    events = {name: np.arange(2) for name in ("run", "luminosityBlock", "event")}
    write_root(tmp_path / "links.root", events | {name: ak.Array(values) for name, values in branches.items()})
    config = {
        "samples": {"tt": {"files": ["links.root"]}},
        "jets": {"variables": ["pt"]},
        "constituents": {"PFCands": {"tree": CANDIDATES, "variables": ["pt"]}},
        "classes": {"b": "hadronFlavour == 5", "light": "rest"},
        "balance": {"bins": {"pt": [0, 100, 1]}},
    }
    run = runs.snakemake(tmp_path, "--cores", "1", *runs.FINISHED, config=config)
    assert run.code != 0
    message = "links.root: 'JetPFCands_pFCandsIdx' holds 2, but there are 2 'PFCands_pt' in that event"
    assert message in run.output
    assert "Traceback" not in run.output
    assert not (run.results / "clean/tt/batch_0000.h5").exists()
    assert not runs.half_made(tmp_path)
