"""RNTuples are read as TTrees are: found by themselves, cluster by cluster, with the values of plain uproot."""

import tracemalloc
from contextlib import contextmanager
from itertools import pairwise

import awkward as ak
import numpy as np
import pytest
import uproot
import workflow_runs as runs

from jetmill.errors import JetmillError
from jetmill.settings.constituents import Constituents, Origin
from jetmill.settings.input import Input, Matched
from jetmill.sources import UnreadableError
from jetmill.sources.root import open_root
from jetmill.workflow.in_process import run_in_process


def write_rntuple(path, branches, *, clusters=1, name="Events"):
    ends = np.linspace(0, len(next(iter(branches.values()))), clusters + 1).astype(int)
    with uproot.recreate(path) as file:
        pieces = [{n: v[a:b] for n, v in branches.items()} for a, b in pairwise(ends)]
        tree = file.mkrntuple(name, pieces[0])
        for piece in pieces[1:]:
            tree.extend(piece)
    return path


@contextmanager
def opened(path, collections=(), **settings):
    given = {
        name: Constituents(variables=("any",), tree=Origin(**origin)) for name, origin in dict(collections).items()
    }
    with open_root(str(path), Input(**settings), given) as source:
        yield source


def read(path, names, collections=(), of_collections=(), **settings):
    """Return columns of jets, constituents of each jet by collection and variable, and the number of chunks."""
    of_collections = dict(of_collections)
    with opened(path, collections, **settings) as source:
        types, chunks, columns, lists = source.dtypes(names), 0, {n: [] for n in names}, {}
        for chunk in source.chunks(names, of_collections):
            chunks += 1
            for name in names:
                assert chunk.columns[name].dtype == types[name]
                columns[name].append(chunk.columns[name])
            for collection, variables in of_collections.items():
                found = chunk.constituents(collection, variables, np.ones(len(chunk.entry), dtype=bool))
                for name, values in found.columns.items():
                    lists.setdefault((collection, name), []).extend(ak.unflatten(values, found.counts).to_list())
        return {n: np.concatenate(v) for n, v in columns.items()}, lists, chunks


@pytest.fixture(scope="module")
def made():
    """Events with jets of nested tracks, generated jets, candidates by links; one event has no jet."""
    rng, n = np.random.default_rng(1), 60
    jets = rng.poisson(3, n)
    jets[7] = 0
    tracks, gen, cands = rng.poisson(4, jets.sum()), rng.poisson(2, n), rng.poisson(6, n) + 1
    links = rng.poisson(5, n) * (jets > 0)
    event_of_link = np.repeat(np.arange(n), links)

    def jagged(values, counts=jets):
        return ak.unflatten(values, counts)

    return {
        "event": np.arange(n, dtype=np.uint64) + 2**40,
        "Jet_pt": jagged(rng.random(jets.sum(), dtype=np.float32)),
        "Jet_genJetIdx": jagged(rng.integers(-1, gen[np.repeat(np.arange(n), jets)]).astype(np.int32)),
        "Jet_trk_d0": jagged(ak.unflatten(rng.normal(size=tracks.sum()), tracks)),
        "GenJet_pt": jagged(rng.random(gen.sum(), dtype=np.float32), gen),
        "PFCands_pt": jagged(rng.random(cands.sum(), dtype=np.float32), cands),
        "JetPFCands_jetIdx": jagged(rng.integers(0, jets[event_of_link]).astype(np.int32), links),
        "JetPFCands_idx": jagged(rng.integers(0, cands[event_of_link]).astype(np.int32), links),
    }


def expected(made):
    """The same in plain loops."""
    out = {"pt": [], "event": [], "gen_pt": [], "d0": [], "cand_pt": []}
    for i, event in enumerate(made["event"]):
        for j, pt in enumerate(made["Jet_pt"][i].to_list()):
            out["pt"].append(pt)
            out["event"].append(int(event))
            k = made["Jet_genJetIdx"][i][j]
            out["gen_pt"].append(made["GenJet_pt"][i][k] if k >= 0 else np.nan)
            out["d0"].append(made["Jet_trk_d0"][i][j].to_list())
            links = zip(made["JetPFCands_jetIdx"][i], made["JetPFCands_idx"][i], strict=True)
            out["cand_pt"].append([made["PFCands_pt"][i][c] for jet, c in links if jet == j])
    return out


COLLECTIONS = {
    "tracks": {"branches": "Jet_trk"},
    "cands": {"branches": "PFCands", "links": "JetPFCands", "index": "idx"},
}


@pytest.mark.parametrize("clusters", [1, 5, 60])
@pytest.mark.parametrize("chunk_bytes", [16_000_000, 3000])
def test_events(tmp_path, made, clusters, chunk_bytes):
    path = write_rntuple(tmp_path / "a.root", made, clusters=clusters)
    matched = {"gen": Matched(branches="GenJet", index="genJetIdx")}
    variables = {"tracks": ["d0"], "cands": ["pt"]}
    options = {"matched": matched, "chunk_bytes": chunk_bytes}
    columns, lists, chunks = read(path, ["pt", "event", "gen_pt"], COLLECTIONS, variables, **options)
    right = expected(made)
    assert columns["pt"].dtype == np.float32
    assert columns["event"].tolist() == right["event"]
    np.testing.assert_array_equal(columns["pt"], right["pt"])
    np.testing.assert_array_equal(columns["gen_pt"], right["gen_pt"])
    assert lists["tracks", "d0"] == right["d0"]
    assert lists["cands", "pt"] == right["cand_pt"]
    assert chunks == 1 if chunk_bytes > 10**6 else chunks >= 4


def test_jets(tmp_path):
    pt, tracks = np.arange(50, dtype=np.float64), ak.Array([[float(i)] * (i % 4) for i in range(50)])
    path = write_rntuple(tmp_path / "a.root", {"pt": pt, "trk_pt": tracks}, clusters=3, name="jets")
    columns, lists, _ = read(path, ["pt"], {"trk": {}}, {"trk": ["pt"]}, level="jet", jets="", tree="jets", event_id=())
    assert columns["pt"].tolist() == pt.tolist()
    assert lists["trk", "pt"] == tracks.to_list()


@pytest.mark.parametrize("clusters", [1, 40])
def test_memory_is_that_of_a_cluster_and_a_chunk(tmp_path, clusters):
    """Of one cluster if the file has no more; uproot alone reads the next one too."""
    pt = ak.unflatten(np.random.default_rng(1).random(2_000_000, dtype=np.float32), np.full(40_000, 50))
    path = write_rntuple(tmp_path / "a.root", {"Jet_pt": pt}, clusters=clusters)
    whole = 4 * 2_000_000
    with opened(path, chunk_bytes=200_000) as source:
        source.dtypes(["pt"])
        n, chunks = 0, source.chunks(["pt"], {})
        tracemalloc.start()
        for chunk in chunks:
            n += len(chunk.columns["pt"])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert n == 2_000_000
    # A cluster of one page is there compressed, decompressed and copied; chunks have entries and positions of the jets.
    assert peak < 3 * whole / clusters + 2 * 200_000 * 5


def test_a_large_cluster_is_a_warning(tmp_path, made, monkeypatch, caplog):
    monkeypatch.setattr("jetmill.sources.trees.rntuple.LARGE_CLUSTER", 100)
    read(write_rntuple(tmp_path / "a.root", made), ["pt"], chunk_bytes=50)
    assert "a cluster of 'Events' holds 0 MB of the branches in use, which are read at once" in caplog.text


def test_a_run_is_that_of_the_tree(tmp_path, write_root):
    """Of the same events."""
    rng = np.random.default_rng(3)
    counts = rng.poisson(4, 500) + 1
    branches = {
        "run": np.ones(500, dtype=np.uint32),
        "event": np.arange(500, dtype=np.uint64),
        **{f"Jet_{n}": ak.unflatten(rng.random(counts.sum()), counts) for n in ("pt", "eta")},
        "Jet_flavour": ak.unflatten(rng.integers(0, 2, counts.sum()), counts),
    }
    written = {
        "tree": write_root(tmp_path / "tree.root", branches),
        "ntuple": write_rntuple(tmp_path / "ntuple.root", branches, clusters=4),
    }
    found = {}
    for name, path in written.items():
        results = run_in_process(
            {
                "output_dir": str(tmp_path / name),
                "samples": {"tt": {"files": str(path)}},
                "input": {"event_id": ["run", "event"]},
                "jets": {"variables": ["pt", "eta"]},
                "classes": {"b": "flavour == 1", "light": "rest"},
                "balance": {"bins": {"pt": [0, 1, 2]}},
            },
            last="write",
        )
        found[name] = runs.datasets(results / "train.h5")
    assert found["tree"].keys() == found["ntuple"].keys()
    for name, values in found["tree"].items():
        np.testing.assert_array_equal(values, found["ntuple"][name])


# Mistakes and damage.


def test_a_field_that_is_not_there(tmp_path, made):
    path = write_rntuple(tmp_path / "a.root", made)
    with pytest.raises(JetmillError) as error:
        read(path, ["pT"])
    assert str(error.value) == f"{path}: tree 'Events' has no branch 'Jet_pT' or 'pT'. Did you mean 'Jet_pt'?"


def test_another_name_of_the_tree(shared_data):
    path = shared_data("pfnano_rntuple.root")
    with pytest.raises(JetmillError) as error, opened(path, tree="Event"):
        pass
    assert str(error.value) == f"{path}: no tree 'Event'; it holds Events (an RNTuple). Did you mean 'Events'?"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_file_that_is_cut(tmp_path, made, share):
    path = write_rntuple(tmp_path / "a.root", made, clusters=3)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableError, match="not a readable ROOT file"):
        read(path, ["pt"])


def test_damage_is_named(tmp_path, made):
    """Whatever the damage; damaged numbers in pages look like any others."""
    path = write_rntuple(tmp_path / "a.root", made, clusters=3)
    content, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for start in rng.integers(200, len(content) - 64, 60):
        path.write_bytes(content[:start] + bytes(64) + content[start + 64 :])
        try:
            read(path, ["pt", "event"])
        except JetmillError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
    assert refused > 10


# Real files.


@pytest.mark.real_data
def test_events_of_cms_are_those_of_the_tree(shared_data):
    """The events that both files have, in every branch of jets that both have."""
    paths = [shared_data(name) for name in ("pfnano_rntuple.root", "pfnano.root")]
    with uproot.open(paths[1]) as file:
        tree = file["Events"]
        plain = tree.arrays(["run", "luminosityBlock", "event", *tree.keys(filter_name="Jet_*")])
    with opened(paths[0]) as source:
        names = []
        for name in (field.removeprefix("Jet_") for field in plain.fields if field.startswith("Jet_")):
            try:
                source.dtypes([name])
            except JetmillError:
                continue
            names.append(name)
    columns, _, _ = read(paths[0], [*names, "run", "luminosityBlock", "event"])
    where = {tuple(e): i for i, e in enumerate(zip(plain.run, plain.luminosityBlock, plain.event, strict=True))}
    jets = list(zip(columns["run"], columns["luminosityBlock"], columns["event"], strict=True))
    both = [e for e in dict.fromkeys(jets) if e in where]
    assert len(names) > 30
    assert len(both) > 5
    for event in both:
        of_event = [i for i, jet in enumerate(jets) if jet == event]
        for name in names:
            np.testing.assert_array_equal(columns[name][of_event], plain[f"Jet_{name}"][where[event]].to_numpy())


@pytest.mark.real_data
def test_physlite(shared_data):
    """Jets, their event and, by ElementLinks, tracks, in plain loops over uproot's arrays."""
    path = shared_data("uproot-physlite-rntuple_v1-0-0-0.root")
    columns, lists, _ = read(
        path,
        ["pt", "eventNumber"],
        {"tracks": {"branches": "InDetTrackParticlesAuxDyn", "element_links": "GhostTrack"}},
        {"tracks": ["phi", "numberOfPixelHits"]},
        tree="EventData",
        jets="AnalysisJetsAuxDyn",
        event="EventInfoAuxDyn",
        event_id=("eventNumber",),
    )
    with uproot.open(path) as file:
        tree = file["EventData"]
        pt, event, links, phi, hits = (
            tree[name].array().to_list()
            for name in (
                "AnalysisJetsAuxDyn:pt",
                "EventInfoAuxDyn:eventNumber",
                "AnalysisJetsAuxDyn:GhostTrack",
                "InDetTrackParticlesAuxDyn:phi",
                "InDetTrackParticlesAuxDyn:numberOfPixelHits",
            )
        )
    right = {"pt": [], "event": [], "phi": [], "hits": []}
    for i in range(100):
        for j in range(len(pt[i])):
            right["pt"].append(pt[i][j])
            right["event"].append(event[i])
            used = [link["m_persIndex"] for link in links[i][j] if link["m_persKey"]]
            right["phi"].append([phi[i][k] for k in used])
            right["hits"].append([hits[i][k] for k in used])
    assert columns["pt"].tolist() == right["pt"]
    assert columns["eventNumber"].tolist() == right["event"]
    assert lists["tracks", "phi"] == right["phi"]
    assert lists["tracks", "numberOfPixelHits"] == right["hits"]
    assert sum(map(len, right["phi"])) > 100
