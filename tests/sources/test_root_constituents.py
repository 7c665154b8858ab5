"""Constituents in trees: nested, by lists of indices, by ElementLinks; against loops over jets with awkward."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from types import SimpleNamespace

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from batches import clean_batch

from jetmill.config.load import load as load_config
from jetmill.errors import JetmillError
from jetmill.settings.constituents import Constituents, Origin
from jetmill.settings.input import Input
from jetmill.sources.trees import reader as root
from jetmill.sources.trees.columns import Column
from jetmill.sources.trees.lists import Lists
from jetmill.sources.trees.ttree import TTree

N_EVENTS = 20
TYPES = {"pt": np.float32, "d0": np.float64, "charge": np.int32, "hits": np.uint8, "good": np.bool_}
NAMES = list(TYPES)
PFCANDS = {"branches": "PFCands", "links": "JetPFCands", "index": "pFCandsIdx"}
KEY = 490246363


# --- what is read, and what is in the file ---


class Grown:
    """A tree with more branches, of types that uproot reads but does not write."""

    def __init__(self, tree, more):
        self._tree, self._more = tree, more

    def __getattr__(self, name):
        return getattr(self._tree, name)

    def __getitem__(self, branch):
        if branch not in self._more:
            return self._tree[branch]
        values = self._more[branch]
        return SimpleNamespace(
            typename=str(values.type.content),
            interpretation=SimpleNamespace(awkward_form=lambda file: values.layout.form),
            file=None,
            uncompressed_bytes=values.nbytes,
            compressed_bytes=values.nbytes,
            num_entries=len(values),
        )

    def keys(self):
        return [*self._tree.keys(), *self._more]

    def iterate(self, branches, *, step_size, **options):
        stored, n = [b for b in branches if not isinstance(b, str) or b not in self._more], self._tree.num_entries
        read = self._tree.iterate(stored, step_size=step_size, **options) if stored else repeat({})
        for first, arrays in zip(range(0, n, step_size), read, strict=False):
            more = set(branches).difference(stored) if len(stored) < len(branches) else ()
            yield arrays | {branch: self._more[branch][first : first + step_size] for branch in more}


@pytest.fixture
def grow(monkeypatch):
    """Return a function that puts branches of nested lists into all trees that are opened."""

    def grow(more):
        monkeypatch.setattr(root, "TTree", lambda path, tree: TTree(path, Grown(tree, more)))

    return grow


@contextmanager
def opened(path, origins, **settings):
    collections = {name: Constituents(variables=("any",), tree=Origin(**o)) for name, o in origins.items()}
    with root.open_tree(str(path), Input(**settings), collections) as source:
        yield source


def read(path, origin, names, *, of_jets=("pt",), mask=None, collection="PFCands", **options):
    """Return the constituents of each jet, a list of tuples, and the number of chunks."""
    found, n_jets, n_chunks = [], 0, 0
    with opened(path, {collection: origin}, **options) as source:
        types = source.constituent_dtypes(collection, names)
        for chunk in source.chunks(list(of_jets), {collection: names}):
            n = len(chunk.entry)
            jets = np.ones(n, dtype=bool) if mask is None else mask[n_jets : n_jets + n]
            constituents = chunk.constituents(collection, names, jets)
            assert constituents.counts.dtype == np.int64
            assert constituents.counts.shape == (jets.sum(),)
            assert list(constituents.columns) == names
            for name, values in constituents.columns.items():
                assert values.dtype == types[name]
                assert values.dtype.isnative
                assert values.shape == (constituents.counts.sum(),)
            rows = list(zip(*(c.tolist() for c in constituents.columns.values()), strict=True))
            ends = np.cumsum(constituents.counts)
            found += [rows[end - n : end] for end, n in zip(ends, constituents.counts, strict=True)]
            n_jets, n_chunks = n_jets + n, n_chunks + 1
    assert mask is None or n_jets == len(mask)
    return found, n_chunks


def refusal(path, origin, names=("pt",), **options):
    with pytest.raises(JetmillError) as error:
        read(path, origin, list(names), **options)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def values_of(n, rng):
    """Return values of n constituents of all types; those of pt are all different."""
    return {
        "pt": rng.permutation(n).astype(np.float32),
        "d0": rng.normal(size=n),
        "charge": rng.integers(-(2**31), 2**31, n).astype(np.int32),
        "hits": rng.integers(0, 256, n).astype(np.uint8),
        "good": rng.random(n) < 0.5,
    }


def link_branches(seed=0, n_events=N_EVENTS, index_type=np.int32):
    """Return an event tree as PFNano has it; links in any order, some of nothing, some to the same constituent."""
    rng = np.random.default_rng(seed)
    jets, candidates, links = (rng.integers(0, high, n_events) for high in (5, 9, 25))
    branches = {"event": np.arange(n_events), "Jet_pt": ak.unflatten(rng.normal(size=jets.sum()), jets)}
    for name, sizes in (("jetIdx", jets), ("pFCandsIdx", candidates)):
        index = rng.integers(-1, np.repeat(sizes, links))
        branches[f"JetPFCands_{name}"] = ak.unflatten(index.astype(index_type), links)
    own = {"btagEtaRel": rng.normal(size=links.sum()), "pt": -np.arange(links.sum(), dtype=np.float32) - 1}
    branches |= {f"JetPFCands_{name}": ak.unflatten(values, links) for name, values in own.items()}
    target = values_of(candidates.sum(), rng)
    return branches | {f"PFCands_{name}": ak.unflatten(values, candidates) for name, values in target.items()}


def linked(path, target, own=(), with_index=True):
    """Follow the links of a file, one jet at a time."""
    with uproot.open(path) as file:
        events = file["Events"].arrays()
    found = []
    for event in events:
        for jet in range(len(event["Jet_pt"])):
            here = event["JetPFCands_jetIdx"] == jet
            if with_index:
                here = here & (event["JetPFCands_pFCandsIdx"] >= 0)
            candidates = event["JetPFCands_pFCandsIdx"][here]
            columns = [event[f"PFCands_{name}"][candidates].to_list() for name in target]
            columns += [event[f"JetPFCands_{name}"][here].to_list() for name in own]
            found.append(list(zip(*columns, strict=True)))
    return found


@dataclass
class Case:
    """A file, how it is read, and what its jets have."""

    path: object
    origin: dict
    expected: list
    options: dict = field(default_factory=dict)
    # Branches that are not in the file.
    more: dict = field(default_factory=dict)

    def read(self, names=NAMES, **options):
        return read(self.path, self.origin, list(names), **self.options, **options)

    def refusal(self, names=NAMES, **options):
        return refusal(self.path, self.origin, names, **{**self.options, **options})


def by_index_lists(path, write_root, seed=0):
    write_root(path, link_branches(seed), baskets=4)
    return Case(path, PFCANDS, linked(path, NAMES))


def in_a_jet_tree(path, write_root, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.choice([0, 1, 4], 60)
    arrays = {name: ak.unflatten(values, counts) for name, values in values_of(counts.sum(), rng).items()}
    branches = {"pt": rng.normal(size=60), **{f"part_{name}": array for name, array in arrays.items()}}
    write_root(path, branches, baskets=4)
    expected = [list(zip(*(arrays[name][jet].to_list() for name in NAMES), strict=True)) for jet in range(60)]
    return Case(path, {"branches": "part"}, expected, {"level": "jet", "jets": ""})


def nested_in_events(path, write_root, seed=0):
    rng = np.random.default_rng(seed)
    jets = rng.integers(0, 4, N_EVENTS)
    counts = rng.choice([0, 1, 5], jets.sum())
    values = values_of(counts.sum(), rng)
    arrays = {name: ak.unflatten(ak.unflatten(v, counts), jets) for name, v in values.items()}
    write_root(path, {"Jet_pt": ak.unflatten(rng.normal(size=jets.sum()), jets)}, baskets=4)
    expected = [
        list(zip(*(arrays[name][event, jet].to_list() for name in NAMES), strict=True))
        for event in range(N_EVENTS)
        for jet in range(jets[event])
    ]
    return Case(path, {"branches": "Jet_trk"}, expected, {}, {f"Jet_trk_{name}": a for name, a in arrays.items()})


def by_element_links(path, write_root, seed=0):
    rng = np.random.default_rng(seed)
    jets, tracks = rng.integers(0, 4, N_EVENTS), rng.integers(0, 9, N_EVENTS)
    counts = rng.choice([0, 1, 7], jets.sum())
    sizes = np.repeat(np.repeat(tracks, jets), counts)
    used = (rng.random(len(sizes)) < 0.6) & (sizes > 0)
    # A null link may hold any index.
    index = np.where(used, rng.integers(0, np.maximum(sizes, 1)), rng.choice([0, 2**32 - 1], len(sizes)))
    links = ak.zip({"m_persKey": np.where(used, KEY, 0).astype("u4"), "m_persIndex": index.astype("u4")})
    links = ak.unflatten(ak.unflatten(links, counts), jets)
    arrays = {name: ak.unflatten(values, tracks) for name, values in values_of(tracks.sum(), rng).items()}
    branches = {"JetsAuxDyn.pt": ak.unflatten(rng.normal(size=jets.sum()), jets)}
    write_root(path, branches | {f"TracksAuxDyn.{name}": a for name, a in arrays.items()}, baskets=4)
    expected = []
    for event in range(N_EVENTS):
        for jet in links[event]:
            there = jet["m_persIndex"][jet["m_persKey"] != 0]
            expected.append(list(zip(*(arrays[name][event][there].to_list() for name in NAMES), strict=True)))
    origin = {"branches": "TracksAuxDyn", "element_links": "GhostTrack"}
    return Case(path, origin, expected, {"jets": "JetsAuxDyn"}, {"JetsAuxDyn.GhostTrack": links})


WAYS = {
    "index lists": by_index_lists,
    "jet tree": in_a_jet_tree,
    "nested in events": nested_in_events,
    "element links": by_element_links,
}


@pytest.fixture
def make(tmp_path, write_root, grow):
    """Return a function that makes the file of a way."""

    def make(way, seed=0):
        case = WAYS[way](tmp_path / f"{seed}.root", write_root, seed)
        grow(case.more)
        return case

    return make


@pytest.fixture(params=WAYS)
def case(request, make):
    return make(request.param)


# --- all ways ---


@pytest.mark.parametrize("chunk_bytes", [1, 1500, 10**9])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("way", WAYS)
def test_each_jet_has_its_constituents_wherever_chunks_end(make, way, seed, chunk_bytes):
    case = make(way, seed)
    found, n_chunks = case.read(chunk_bytes=chunk_bytes)
    assert found == case.expected
    assert {len(rows) for rows in found} > {0, 1}
    assert (n_chunks == 1) == (chunk_bytes == 10**9)
    assert (n_chunks >= N_EVENTS) == (chunk_bytes == 1)


@pytest.mark.parametrize("chunk_bytes", [1500, 10**9])
@pytest.mark.parametrize("share", [0, 0.5])
def test_of_some_jets(case, chunk_bytes, share):
    mask = np.random.default_rng(3).random(len(case.expected)) < share
    mask[-1] = share > 0
    found, _ = case.read(mask=mask, chunk_bytes=chunk_bytes)
    assert found == [rows for rows, is_wanted in zip(case.expected, mask, strict=True) if is_wanted]


def test_types_are_those_of_the_file(case):
    with opened(case.path, {"PFCands": case.origin}, **case.options) as source:
        assert source.constituent_dtypes("PFCands", NAMES) == TYPES


def test_one_variable_at_a_time_in_any_order(case):
    for i, name in reversed(list(enumerate(NAMES))):
        assert case.read([name])[0] == [[(row[i],) for row in rows] for rows in case.expected]


def test_no_constituents_at_all(make):
    for seed, way in enumerate(WAYS):
        case = make(way, seed)
        found, _ = case.read(mask=np.array([not rows for rows in case.expected]))
        assert len(found) > 5
        assert not any(found)


@pytest.mark.parametrize("counts", [[0, 0, 0], []])
def test_no_jets(tmp_path, write_root, counts):
    n = len(counts)
    branches = {name: array[:0] for name, array in link_branches().items()} if not n else link_branches(n_events=n)
    if n:
        branches["Jet_pt"] = ak.values_astype(ak.Array([[1.0], [], []])[:, :0], np.float64)
        branches["JetPFCands_jetIdx"] = ak.full_like(branches["JetPFCands_jetIdx"], -1)
    path = write_root(tmp_path / "f.root", branches)
    assert read(path, PFCANDS, NAMES)[0] == []


def test_a_missing_variable_names_the_nearest(case):
    prefix = case.origin["branches"]
    mark = "." if prefix.endswith("AuxDyn") else "_"
    message = case.refusal(["pt", "charg"])
    assert f"'{prefix}_charg'" in message or f"'{prefix}.charg'" in message
    assert message.endswith(f"Did you mean '{prefix}{mark}charge'? It may be another quantity.")


def test_branches_of_constituents_are_not_variables_of_jets(case):
    """Nor are those of links."""
    branch = next(iter(case.more), f"{case.origin['branches']}_pt")
    message = case.refusal(["pt"], of_jets=["pt", branch])
    if case.origin is PFCANDS:
        assert "branches 'PFCands_pt' and 'Jet_pt' have different numbers of jets per event" in message
    else:
        assert f"branch '{branch}' (" in message
        assert f"is not one number per {'entry' if case.options.get('level') == 'jet' else 'jet'}" in message


# --- lists of indices ---


@pytest.mark.parametrize("index_type", [np.int16, np.int64])
def test_types_of_indices(tmp_path, write_root, index_type):
    path = write_root(tmp_path / "f.root", link_branches(5, index_type=index_type))
    assert read(path, PFCANDS, NAMES)[0] == linked(path, NAMES)


def events_of_links(**more):
    """Return two events: the links of jets are mixed, two jets have constituent 2, jet 1 has none."""
    return {
        "event": np.arange(2),
        "Jet_pt": ak.Array([[30.0, 20, 10], [40]]),
        "JetPFCands_jetIdx": ak.Array([[2, 0, 2, 0, -1, 0], [0, 0, 0]]),
        "JetPFCands_pFCandsIdx": ak.Array([[3, 2, 2, 0, 1, -1], [1, 1, 0]]),
        "JetPFCands_btagEtaRel": ak.Array([[0.5, 1.5, 2.5, 3.5, 4.5, 5.5], [6.5, 7.5, 8.5]]),
        "JetPFCands_pt": ak.Array([[-1.0] * 6, [-1.0] * 3]),
        "PFCands_pt": ak.Array([[1.0, 2, 50, 40], [7, 8]]),
        "PFCands_eta": ak.Array([[0.0, 1, 2, 3], [4, 5]]),
        **more,
    }


@pytest.fixture
def write_links(tmp_path, write_root):
    return lambda **more: write_root(tmp_path / "f.root", events_of_links(**more))


@pytest.mark.parametrize(
    ("origin", "names", "expected"),
    [
        (PFCANDS, ["pt"], [[(50.0,), (1.0,)], [], [(40.0,), (50.0,)], [(8.0,), (8.0,), (7.0,)]]),
        (
            PFCANDS,
            ["btagEtaRel", "eta"],
            [[(1.5, 2.0), (3.5, 0.0)], [], [(0.5, 3.0), (2.5, 2.0)], [(6.5, 5.0), (7.5, 5.0), (8.5, 4.0)]],
        ),
        # Without an index, a link is the constituent.
        (
            {"branches": "JetPFCands", "links": "JetPFCands"},
            ["btagEtaRel", "pt"],
            [
                [(1.5, -1.0), (3.5, -1.0), (5.5, -1.0)],
                [],
                [(0.5, -1.0), (2.5, -1.0)],
                [(x, -1.0) for x in (6.5, 7.5, 8.5)],
            ],
        ),
        # An index into the table of links is a variable like others.
        (PFCANDS, ["pFCandsIdx", "pt"], [[(2, 50.0), (0, 1.0)], [], [(3, 40.0), (2, 50.0)], [(1, 8), (1, 8), (0, 7)]]),
    ],
    ids=["target", "own and target", "own", "index"],
)
def test_links_by_hand(write_links, origin, names, expected):
    assert read(write_links(), origin, names)[0] == expected


def test_own_variables_beside_those_of_the_target(tmp_path, write_root):
    path = write_root(tmp_path / "f.root", link_branches())
    expected = linked(path, ["pt", "hits"], ["btagEtaRel"])
    assert read(path, PFCANDS, ["pt", "hits", "btagEtaRel"])[0] == expected
    # The order of the names is that of the columns.
    turned = [[(own, pt) for pt, _, own in rows] for rows in expected]
    assert read(path, PFCANDS, ["btagEtaRel", "pt"])[0] == turned


def test_own_variables_alone_need_no_index(tmp_path, write_root):
    path = write_root(tmp_path / "f.root", link_branches())
    origin = {"links": "JetPFCands"}
    expected = linked(path, [], ["btagEtaRel"], with_index=False)
    assert read(path, origin, ["btagEtaRel"], collection="links")[0] == expected
    found, _ = read(path, origin, ["btagEtaRel", "pt"], collection="links")
    assert found == linked(path, [], ["btagEtaRel", "pt"], with_index=False)


def test_the_collection_is_the_table_unless_another_is_named(tmp_path, write_root):
    path = write_root(tmp_path / "f.root", link_branches())
    origin = {"links": "JetPFCands", "index": "pFCandsIdx"}
    assert read(path, origin, NAMES)[0] == linked(path, NAMES)


def test_variables_do_not_change_which_links_count(write_links):
    """A link to nothing is none, also where only variables of the link are asked for."""
    path = write_links()
    counts = [[len(rows) for rows in read(path, PFCANDS, names)[0]] for names in (["btagEtaRel"], ["btagEtaRel", "pt"])]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("jets", ["Jet", "FatJet"])
def test_two_collections_of_jets_share_constituents(tmp_path, write_root, jets):
    small, large = link_branches(1), link_branches(2)
    shared = {name: array for name, array in small.items() if name.startswith("PFCands")}
    rng, n_links = np.random.default_rng(0), ak.num(large["JetPFCands_jetIdx"])
    index = rng.integers(-1, np.repeat(ak.num(shared["PFCands_pt"]), n_links)).astype(np.int32)
    large["JetPFCands_pFCandsIdx"] = ak.unflatten(index, n_links)
    own = {name: array for name, array in large.items() if name.startswith("Jet")}
    path = write_root(tmp_path / "f.root", small | {f"Fat{name}": array for name, array in own.items()})
    same_with_one = write_root(tmp_path / "g.root", small if jets == "Jet" else shared | own)
    origin = {**PFCANDS, "links": f"{jets}PFCands"}
    found, _ = read(path, origin, ["pt", "btagEtaRel"], jets=jets)
    assert found == linked(same_with_one, ["pt"], ["btagEtaRel"])


def test_several_collections_at_once(tmp_path, write_root):
    path = write_root(tmp_path / "f.root", link_branches())
    found, masks = {"PFCands": [], "links": []}, []
    with opened(path, {"PFCands": PFCANDS, "links": {"links": "JetPFCands"}}, chunk_bytes=3000) as source:
        wanted = {"PFCands": ["d0"], "links": ["btagEtaRel"]}
        for chunk in source.chunks(["pt"], wanted):
            masks.append(chunk.columns["pt"] > 0)
            for name, names in wanted.items():
                constituents = chunk.constituents(name, names, masks[-1])
                ends = np.cumsum(constituents.counts)[:-1]
                found[name] += np.split(constituents.columns[names[0]], ends) if masks[-1].any() else []
    assert len(masks) > 1
    kept = np.concatenate(masks)
    for name, all_rows in (
        ("PFCands", linked(path, ["d0"])),
        ("links", linked(path, [], ["btagEtaRel"], with_index=False)),
    ):
        expected = [[x for (x,) in rows] for rows, is_kept in zip(all_rows, kept, strict=True) if is_kept]
        assert [x.tolist() for x in found[name]] == expected


@pytest.mark.parametrize("chunk_bytes", [1, 10**9])
@pytest.mark.parametrize(
    ("branch", "value", "there"),
    [
        ("jetIdx", 3, "3 jets"),
        ("jetIdx", -2, "3 jets"),
        ("pFCandsIdx", 4, "4 'PFCands_pt'"),
        ("pFCandsIdx", -7, "4 'PFCands_pt'"),
        ("pFCandsIdx", 2**31 - 1, "4 'PFCands_pt'"),
    ],
)
def test_an_index_out_of_range(write_links, branch, value, there, chunk_bytes):
    """Also one that would be in range in the chunk as a whole."""
    name = f"JetPFCands_{branch}"
    spoiled = events_of_links()[name].to_list()
    spoiled[0][2] = value
    message = refusal(write_links(**{name: ak.Array(spoiled)}), PFCANDS, chunk_bytes=chunk_bytes)
    assert f"'{name}' holds {value}, but there are {there} in that event" in message


def test_an_index_without_sign_out_of_range(write_links):
    index = ak.values_astype(events_of_links()["JetPFCands_pFCandsIdx"], np.uint32)
    assert "holds 4294967295, but there are 4 'PFCands_pt'" in refusal(
        write_links(JetPFCands_pFCandsIdx=index), PFCANDS
    )


@pytest.mark.parametrize(
    ("changes", "names", "sentence"),
    [
        ({"links": "JetPFCand"}, ["pt"], "no branch 'JetPFCand_pFCandsIdx'. Did you mean 'JetPFCands_pFCandsIdx'?"),
        ({"jet_index": "jetidx"}, ["pt"], "no branch 'JetPFCands_jetidx'. Did you mean 'JetPFCands_jetIdx'?"),
        ({"index": "PFCandsIdx"}, ["pt"], "no branch 'JetPFCands_PFCandsIdx'. Did you mean 'JetPFCands_pFCandsIdx'?"),
        ({"branches": "PFCand"}, ["eta"], "'PFCand_eta' or 'JetPFCands_eta'. Did you mean 'PFCands_eta'?"),
        # The table of links has a pt too.
        ({"branches": "PFCand"}, ["pt"], "Did you mean 'PFCands_pt'?"),
        ({}, ["btagEtaRell"], "'JetPFCands_btagEtaRell'. Did you mean 'JetPFCands_btagEtaRel'?"),
        ({"index": None}, ["pt"], "'PFCands_pt' is not in the table 'JetPFCands'; constituents.PFCands.tree.index"),
        ({"index": None}, ["btagEtaRel", "eta"], "'PFCands_eta' is not in the table 'JetPFCands'"),
    ],
)
def test_a_missing_branch_of_links(write_links, changes, names, sentence):
    assert sentence in refusal(write_links(), {**PFCANDS, **changes}, names)


@pytest.mark.parametrize(
    ("branch", "other"),
    [
        ("JetPFCands_btagEtaRel", "JetPFCands_jetIdx"),
        ("JetPFCands_pFCandsIdx", "JetPFCands_jetIdx"),
        ("PFCands_eta", "PFCands_pt"),
    ],
)
def test_branches_of_a_table_differ_in_length(write_links, branch, other):
    shorter = events_of_links()[branch]
    spoiled = ak.concatenate([shorter[:1], shorter[1:, :1]])
    message = refusal(write_links(**{branch: spoiled}), PFCANDS, ["pt", "eta", "btagEtaRel"])
    assert f"branches '{branch}' and '{other}' have different lengths" in message


@pytest.mark.parametrize("branch", ["jetIdx", "pFCandsIdx"])
@pytest.mark.parametrize("kind", ["fractions", "one per event", "two per link"])
def test_an_index_must_be_an_integer_for_each_link(write_links, grow, branch, kind):
    name = f"JetPFCands_{branch}"
    index = events_of_links()[name]
    spoiled = {
        "fractions": index + 0.5,
        "one per event": np.zeros(2, dtype=np.int32),
        "two per link": ak.Array([[[0, 0]] * 6, [[0, 0]] * 3]),
    }[kind]
    if kind == "two per link":
        grow({name: spoiled})
        path = write_links()
    else:
        path = write_links(**{name: spoiled})
    assert f"branch '{name}' (" in refusal(path, PFCANDS)


@pytest.mark.parametrize("spoiled", [np.zeros(2), np.zeros((2, 3))])
def test_a_variable_of_the_target_must_be_one_number_each(write_links, spoiled):
    message = refusal(write_links(PFCands_eta=spoiled), PFCANDS, ["pt", "eta"])
    assert "'PFCands_eta'" in message
    if spoiled.ndim == 1:
        assert "branch 'PFCands_eta' (double) is not one number per element" in message


# --- ElementLinks ---


def links_of(rows, key=KEY):
    return ak.Array([[[{"m_persKey": k, "m_persIndex": i} for k, i in jet] for jet in event] for event in rows])


def write_tracks(path, write_root):
    """Write two events with 2 and 1 jets, and 3 and 2 tracks."""
    branches = {"Jets.pt": [[20.0, 10], [30]], "Tracks.pt": [[1.0, 2, 50], [7, 8]]}
    branches["Tracks.eta"] = [[0.0, 1, 2], [3, 4]]
    return write_root(path, {name: ak.Array(values) for name, values in branches.items()})


TRACKS = {"branches": "Tracks", "element_links": "Ghost"}


@pytest.fixture
def read_links(tmp_path, write_root, grow):
    path = write_tracks(tmp_path / "f.root", write_root)

    def read_links(links, how=read, names=("pt",), origin=TRACKS, **options):
        grow({"Jets.Ghost": links})
        return how(path, origin, list(names), **{"jets": "Jets", "collection": "tracks", **options})

    return read_links


def test_element_links_by_hand(read_links):
    links = links_of([[[(KEY, 2), (0, 0), (KEY, 0)], [(0, 9), (KEY, 2)]], [[(KEY, 1), (KEY, 1)]]])
    assert read_links(links)[0] == [[(50.0,), (1.0,)], [(50.0,)], [(8.0,), (8.0,)]]


def test_null_links_alone(read_links):
    assert read_links(links_of([[[(0, 0)], []], [[(0, 5), (0, 0)]]]))[0] == [[], [], []]


@pytest.mark.parametrize("chunk_bytes", [1, 10**9])
@pytest.mark.parametrize("index", [3, 4, 2**32 - 1])
def test_an_element_link_out_of_range(read_links, index, chunk_bytes):
    links = links_of([[[(KEY, 0)], [(0, 8), (KEY, index)]], [[]]])
    message = read_links(links, refusal, chunk_bytes=chunk_bytes)
    assert f"a link of 'Jets.Ghost' points to {index}, but 'Tracks.pt' has 3 in that event" in message


def test_links_into_several_containers(read_links):
    """An index belongs to one container; which one a key means is not in the tree."""
    message = read_links(links_of([[[(KEY, 0)], [(KEY + 1, 2)]], [[]]]), refusal)
    assert "'Jets.Ghost'" in message


def test_links_not_of_the_jets(read_links):
    message = read_links(links_of([[[(KEY, 0)]], [[], []]]), refusal)
    assert "branch 'Jets.Ghost' does not have a list for each jet of each event" in message


@pytest.mark.parametrize(
    "links",
    [
        ak.Array([[[0], [1]], [[2]]]),
        ak.Array([[0, 1], [1]]),
        np.zeros(2),
        links_of([[[(KEY, 0), (KEY, 1)]], [[(KEY, 0)]]])[:, 0],
        ak.Array([[[{"key": 1, "index": 2}], []], [[]]]),
    ],
    ids=["indices", "one index per jet", "one per event", "one link per jet", "other records"],
)
def test_what_is_not_a_list_of_links_for_each_jet(read_links, links):
    assert "branch 'Jets.Ghost' (" in read_links(ak.Array(links), refusal)


@pytest.mark.parametrize(
    ("changes", "names", "sentence"),
    [
        ({"element_links": "Ghosts"}, ["pt"], "no branch 'Jets_Ghosts' or 'Ghosts'. Did you mean 'Jets.Ghost'?"),
        ({"branches": "Track"}, ["pt"], "no branch 'Track_pt'. Did you mean 'Tracks.pt'?"),
        ({}, ["ett"], "no branch 'Tracks_ett'. Did you mean 'Tracks.eta'?"),
        ({"branches": "Jets"}, ["Ghost"], "branch 'Jets.Ghost' ("),
    ],
)
def test_a_missing_branch_of_element_links(read_links, changes, names, sentence):
    links = links_of([[[], []], [[]]])
    assert sentence in read_links(links, refusal, names, {**TRACKS, **changes})


def test_element_links_of_jets_without_prefix(tmp_path, write_root, grow):
    pt = ak.Array([[20.0, 10], [30]])
    path = write_root(tmp_path / "f.root", {"pt": pt, "Tracks_pt": ak.Array([[1.0, 2], [3]])})
    grow({"Ghost": links_of([[[(KEY, 1)], []], [[(KEY, 0)]]])})
    assert read(path, TRACKS, ["pt"], jets="")[0] == [[(2.0,)], [], [(3.0,)]]


def test_branches_of_the_target_differ_in_length(tmp_path, write_root, grow):
    branches = {"Jets.pt": ak.Array([[20.0]]), "Tracks.pt": ak.Array([[1.0, 2]]), "Tracks.eta": ak.Array([[1.0]])}
    path = write_root(tmp_path / "f.root", branches)
    grow({"Jets.Ghost": links_of([[[(KEY, 0)]]])})
    message = refusal(path, TRACKS, ["pt", "eta"], jets="Jets")
    assert "branches 'Tracks.eta' and 'Tracks.pt' have different lengths" in message


# --- nested ---


@pytest.mark.parametrize("way", ["jet tree", "nested in events"])
def test_nested_branches_differ_in_length(make, way):
    case = make(way)
    with opened(case.path, {"PFCands": case.origin}, **case.options) as source:
        chunk = next(iter(source.chunks(["pt"], {"PFCands": ["pt", "d0"]})))
        branch = f"{case.origin['branches']}_d0"
        read = chunk._arrays[Column(branch)]
        *of_events, lengths = read.counts
        chunk._arrays[Column(branch)] = Lists(read.values, (*of_events, lengths + 1))
        with pytest.raises(JetmillError) as error:
            chunk.constituents("PFCands", ["pt", "d0"], np.ones(len(chunk.entry), dtype=bool))
    first = f"{case.origin['branches']}_pt"
    sentence = f"{case.path}: branches '{branch}' and '{first}' have different numbers of constituents"
    assert str(error.value) == sentence


def test_nested_branches_not_of_the_jets(tmp_path, write_root, grow):
    path = write_root(tmp_path / "f.root", {"Jet_pt": ak.Array([[1.0, 2], [3]])})
    grow({"Jet_trk_pt": ak.Array([[[1.0]], [[2.0], [3.0]]])})
    message = refusal(path, {"branches": "Jet_trk"})
    assert "branch 'Jet_trk_pt' does not have a list for each jet of each event" in message


@pytest.mark.parametrize(
    ("level", "name", "typename"),
    [("event", "pt", "double[]"), ("event", "event", "int64_t"), ("jet", "event", "int64_t")],
)
def test_a_branch_of_jets_is_not_of_constituents(write_links, level, name, typename):
    path = write_links(Jet_event=np.arange(2))
    message = refusal(path, {"branches": "Jet"}, [name], level=level, of_jets=["event" if level == "jet" else "pt"])
    assert f"branch 'Jet_{name}' ({typename}) is not one number per constituent" in message


def test_deeper_lists_in_a_jet_tree(tmp_path, write_root, grow):
    path = write_root(tmp_path / "f.root", {"pt": np.arange(2.0)})
    grow({"part_hits": ak.Array([[[1, 2], []], []])})
    message = refusal(path, {"branches": "part"}, ["hits"], level="jet", jets="")
    assert "branch 'part_hits' (" in message
    assert "is not one number per constituent" in message


def test_as_many_slots_for_each_jet(tmp_path, write_root):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    path = write_root(tmp_path / "f.root", {"pt": np.arange(4.0), "part_pt": values, "part_eta": -values})
    found, _ = read(path, {"branches": "part"}, ["pt", "eta"], level="jet", jets="")
    assert found == [[(x, -x) for x in row] for row in values.tolist()]


@pytest.mark.parametrize(
    "content",
    [ak.Array([[["a", "b"]], [["c"], []]]), links_of([[[(1, 2)]], [[(3, 4)], []]]), ak.Array([[[1 + 2j]], [[3j], []]])],
    ids=["strings", "records", "complex"],
)
def test_what_is_not_a_number(tmp_path, write_root, grow, content):
    path = write_root(tmp_path / "f.root", {"Jet_pt": ak.Array([[1.0], [2, 3]])})
    grow({"Jet_trk_name": content})
    message = refusal(path, {"branches": "Jet_trk"}, ["name"])
    assert "branch 'Jet_trk_name' (" in message
    assert "is not one number per constituent" in message


def test_a_missing_collection_names_the_nearest(tmp_path, write_root, make):
    case = make("jet tree")
    message = refusal(case.path, {"branches": "parts"}, ["pt"], **case.options)
    assert "tree 'Events' has no branch 'parts_pt'. Did you mean 'part_pt'?" in message
    message = refusal(case.path, {}, ["pt"], **case.options, collection="prt")
    assert "tree 'Events' has no branch 'prt_pt'. Did you mean 'part_pt'?" in message


# --- cleaned ---


def config(origin, *, level="event", jets="Jet", of_jets=(), **constituents):
    return {
        "samples": {"tt": {"toy": {"process": "ttbar"}}},
        "input": {"level": level, "jets": jets, "event_id": []},
        "jets": {"variables": ["pt"], **dict(of_jets)},
        "constituents": {"PFCands": {"tree": origin, "variables": ["pt"], **constituents}},
        "classes": {"all": "rest"},
        "split": {"by": "jet"},
        "balance": {"bins": {"pt": [0, 100, 1]}},
    }


def clean(path, output, raw):
    """Return pt of each jet to its constituents, in the order of the store."""
    clean_batch([path], output, settings=load_config(raw).cleaning, sample="tt", first_file=0)
    with h5py.File(output) as file:
        group = file["constituents/PFCands"]
        columns = [group[f"variables/{name}"][()].tolist() for name in raw["constituents"]["PFCands"]["variables"]]
        columns += [values[()].tolist() for values in group.get("labels", {}).values()]
        rows, ends = list(zip(*columns, strict=True)), group["offsets"][()]
        return {pt: rows[ends[i] : ends[i + 1]] for i, pt in enumerate(file["variables/pt"][()].tolist())}


PT = [1.0, 2, 50, 40]


def hardest_by_index_lists(grow):
    branches = {"Jet_pt": [[10.0, 20.0]], "PFCands_pt": [PT], "JetPFCands_jetIdx": [[1] * 4]}
    branches["JetPFCands_pFCandsIdx"] = [[0, 1, 2, 3]]
    return branches, PFCANDS, {}


def hardest_in_a_jet_tree(grow):
    return {"Jet_pt": np.array([10.0, 20]), "part_pt": [[], PT]}, {"branches": "part"}, {"level": "jet"}


def hardest_nested_in_events(grow):
    grow({"Jet_trk_pt": ak.Array([[[], PT]])})
    return {"Jet_pt": [[10.0, 20.0]]}, {"branches": "Jet_trk"}, {}


def hardest_by_element_links(grow):
    grow({"Jet_Ghost": links_of([[[(0, 0)], [(KEY, i) for i in range(4)]]])})
    return {"Jet_pt": [[10.0, 20.0]], "Tracks_pt": [PT]}, TRACKS, {}


@pytest.mark.parametrize(
    "hardest", [hardest_by_index_lists, hardest_in_a_jet_tree, hardest_nested_in_events, hardest_by_element_links]
)
@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"sort_by": "pt", "max": 2}, [50, 40]),
        ({"max": 2}, [1, 2]),
        ({"sort_by": "pt"}, [50, 40, 2, 1]),
        ({"sort_by": "pt", "max": 2, "select": ["pt < 50"]}, [40, 2]),
    ],
    ids=["sorted", "as in the file", "all", "selected"],
)
def test_sorted_before_the_rest_is_cut_off(tmp_path, write_root, grow, hardest, options, kept):
    branches, origin, how = hardest(grow)
    branches = {name: v if isinstance(v, np.ndarray) else ak.Array(v) for name, v in branches.items()}
    if any(isinstance(v, ak.Array) and not len(v[0]) for v in branches.values()):
        branches["part_pt"] = ak.values_astype(branches["part_pt"], np.float64)
    path = write_root(tmp_path / "f.root", branches)
    found = clean(path, tmp_path / "c.h5", config(origin, **how, **options))
    assert found == {10: [], 20: [(pt,) for pt in kept]}


@pytest.mark.parametrize("chunk_bytes", [1, 3000, 10**9])
def test_cut_and_cleaned_jet_by_jet(tmp_path, write_root, chunk_bytes):
    branches = link_branches(4)
    n_jets = ak.num(branches["Jet_pt"])
    branches["Jet_pt"] = ak.unflatten(np.arange(ak.sum(n_jets), dtype=np.float64), n_jets)
    path = write_root(tmp_path / "f.root", branches, baskets=3)
    raw = config(PFCANDS, variables=["pt", "btagEtaRel", "hits"], labels=["charge"], sort_by="d0", max=3)
    raw["input"] |= {"chunk_bytes": chunk_bytes}
    raw["constituents"]["PFCands"] |= {"select": ["hits > 50", "good"]}
    raw["jets"]["select"] = ["pt % 3 != 1"]
    found = clean(path, tmp_path / "c.h5", raw)
    expected = {}
    for jet, rows in enumerate(linked(path, [*NAMES], ["btagEtaRel"])):
        if jet % 3 == 1:
            continue
        rows = [row for row in rows if row[3] > 50 and row[4]]
        rows = sorted(rows, key=lambda row: -row[1])[:3]
        expected[jet] = [(pt, own, hits, charge) for pt, _, charge, hits, _, own in rows]
    assert found == expected
    assert {len(rows) for rows in found.values()} == {0, 1, 2, 3}


def test_constituents_made_of_expressions_alone(case, tmp_path):
    """They are as many as in the tree, or are refused in words."""
    raw = config(case.origin, **case.options, variables=["one"], define={"one": "1"}, max=100)
    try:
        found = clean(case.path, tmp_path / "c.h5", raw)
    except JetmillError:
        return
    assert sum(map(len, found.values())) == sum(map(len, case.expected))


@pytest.mark.parametrize("origin", [PFCANDS, TRACKS])
def test_links_are_for_trees_of_events(origin):
    with pytest.raises(JetmillError, match=r"constituents\.PFCands\.tree: links are followed in trees of events only"):
        load_config(config(origin, level="jet"))


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        ({"links": "JetPFCands", "element_links": "Ghost"}, "give links or element_links, not both"),
        ({"index": "pFCandsIdx"}, "index is a branch of links, which are not given"),
    ],
)
def test_origins_that_contradict_themselves(origin, sentence):
    with pytest.raises(JetmillError, match=sentence):
        load_config(config(origin))


# --- real files ---


def flat(rows):
    return np.array([row for of_jet in rows for row in of_jet])


@pytest.fixture(scope="module")
def pfnano(shared_data):
    """The events of PFNano, as Python objects."""
    prefixes = ("Jet_pt", "Jet_rawFactor", "FatJet_pt", "JetPFCands_", "FatJetPFCands_", "PFCands_", "JetSVs_", "SV_")
    with uproot.open(shared_data("pfnano.root")) as file:
        events = file["Events"].arrays(filter_name=lambda name: name.startswith(prefixes))
    return events.to_list()


def jets_of(events, jets, links, index):
    """Yield each jet: its event, its number, the places of its links, and where they point to."""
    for event in events:
        for jet in range(len(event[f"{jets}_pt"])):
            pairs = zip(event[f"{links}_jetIdx"], event[f"{links}_{index}"], strict=True)
            here = [(place, to) for place, (of, to) in enumerate(pairs) if of == jet and to >= 0]
            yield event, jet, [place for place, _ in here], [to for _, to in here]


@pytest.mark.real_data
@pytest.mark.parametrize("chunk_bytes", [1, 50_000, 10**9])
def test_real_candidates(shared_data, pfnano, chunk_bytes):
    found, n_chunks = read(
        shared_data("pfnano.root"), PFCANDS, ["pt", "phi", "pdgId", "btagEtaRel"], chunk_bytes=chunk_bytes
    )
    assert (n_chunks == 1) == (chunk_bytes == 10**9)
    expected, raw_pt = [], []
    for event, jet, places, to in jets_of(pfnano, "Jet", "JetPFCands", "pFCandsIdx"):
        columns = [[event[f"PFCands_{name}"][i] for i in to] for name in ("pt", "phi", "pdgId")]
        own = [event["JetPFCands_btagEtaRel"][i] for i in places]
        expected.append(list(zip(*columns, own, strict=True)))
        raw_pt.append(event["Jet_pt"][jet] * (1 - event["Jet_rawFactor"][jet]))
    assert [len(rows) for rows in found] == [len(rows) for rows in expected]
    # Variables of the link are NaN where they do not apply.
    np.testing.assert_array_equal(flat(found), flat(expected))
    assert (len(found), len(flat(found))) == (64, 1801)
    sums = [abs(sum(pt * np.exp(1j * phi) for pt, phi, *_ in rows)) for rows in found]
    assert np.median(np.array(sums) / raw_pt) == pytest.approx(1, abs=5e-4)


@pytest.mark.real_data
def test_real_candidates_of_large_jets(shared_data, pfnano):
    origin = {**PFCANDS, "links": "FatJetPFCands"}
    found, _ = read(shared_data("pfnano.root"), origin, ["pt"], jets="FatJet")
    jets = jets_of(pfnano, "FatJet", "FatJetPFCands", "pFCandsIdx")
    assert found == [[(event["PFCands_pt"][i],) for i in to] for event, _, _, to in jets]
    assert len(flat(found)) == sum(len(event["FatJetPFCands_jetIdx"]) for event in pfnano) > 1000


@pytest.mark.real_data
def test_real_vertices(shared_data, pfnano):
    """Vertices of jets that are not among those of the event have index -1: no link."""
    path, origin = shared_data("pfnano.root"), {"branches": "SV", "links": "JetSVs", "index": "sVIdx"}
    found, _ = read(path, origin, ["ntracks", "deltaR", "pt"], collection="SV")
    expected = []
    for event, _, places, to in jets_of(pfnano, "Jet", "JetSVs", "sVIdx"):
        columns = [event["SV_ntracks"][i] for i in to], [event["JetSVs_deltaR"][i] for i in places]
        pt = [event["SV_pt"][i] for i in to]
        # The same vertex has the same pt in both tables.
        assert pt == [event["JetSVs_pt"][i] for i in places]
        expected.append(list(zip(*columns, pt, strict=True)))
    assert found == expected
    assert (len(flat(found)), sum(event["JetSVs_sVIdx"].count(-1) for event in pfnano)) == (33, 12)
    with opened(path, {"SV": origin}) as source:
        assert source.constituent_dtypes("SV", ["ntracks", "deltaR"]) == {"ntracks": np.uint8, "deltaR": np.float32}


IN_PHYSLITE = {"tree": "CollectionTree", "jets": "AnalysisJetsAuxDyn"}
GHOST = {"branches": "InDetTrackParticlesAuxDyn", "element_links": "GhostTrack"}


@pytest.fixture(scope="module")
def physlite(shared_data):
    return shared_data("physlite_ttbar_100events.root")


@pytest.fixture(scope="module")
def physlite_lists(physlite):
    """Return a function that reads a branch of PHYSLITE as Python objects."""
    with uproot.open(physlite) as file:
        yield lambda branch: file["CollectionTree"][branch].array().to_list()


@pytest.mark.real_data
@pytest.mark.parametrize("chunk_bytes", [40_000, 10**9])
def test_real_ghost_tracks(physlite, physlite_lists, chunk_bytes):
    names = ["d0", "numberOfPixelHits", "qOverP"]
    found, n_chunks = read(physlite, GHOST, names, **IN_PHYSLITE, chunk_bytes=chunk_bytes)
    assert (n_chunks == 1) == (chunk_bytes == 10**9)
    links = physlite_lists("AnalysisJetsAuxDyn.GhostTrack")
    tracks = [physlite_lists(f"InDetTrackParticlesAuxDyn.{name}") for name in names]
    assert found == [
        [tuple(x[event][link["m_persIndex"]] for x in tracks) for link in jet if link["m_persKey"]]
        for event, jets in enumerate(links)
        for jet in jets
    ]
    assert (len(found), sum(map(bool, found)), len(flat(found))) == (923, 538, 2156)


@pytest.mark.real_data
@pytest.mark.parametrize("chunk_bytes", [40_000, 10**9])
def test_real_nested_branches(physlite, physlite_lists, chunk_bytes):
    """Sums for each vertex are no constituents, but branches are nested so."""
    names = ["NumTrkPt500", "SumPtTrkPt500"]
    origin = {"branches": "AnalysisJetsAuxDyn"}
    found, n_chunks = read(physlite, origin, names, **IN_PHYSLITE, chunk_bytes=chunk_bytes)
    assert (n_chunks == 1) == (chunk_bytes == 10**9)
    arrays = [physlite_lists(f"AnalysisJetsAuxDyn.{name}") for name in names]
    both = [pair for event in zip(*arrays, strict=True) for pair in zip(*event, strict=True)]
    assert found == [list(zip(*pair, strict=True)) for pair in both]
    assert len(flat(found)) > 10_000


KINDS = [
    ({"branches": "AnalysisJetsAuxDyn"}, ["pt"], "(std::vector<float>) is not one number per constituent"),
    ({"branches": "AnalysisJetsAuxDyn"}, ["GhostTrack"], "is not one number per constituent"),
    (
        {"branches": "AnalysisJetsAuxDyn"},
        ["NumTrkPt500", "EnergyPerSampling"],
        "have different numbers of constituents",
    ),
    (GHOST, ["definingParametersCovMatrixDiag"], "(std::vector<std::vector<float>>) is not one number per element"),
    (GHOST, ["truthParticleLink"], "branch 'InDetTrackParticlesAuxDyn.truthParticleLink' ("),
    (GHOST, ["pt"], "no branch 'InDetTrackParticlesAuxDyn_pt'"),
    ({**GHOST, "element_links": "GhostTracks"}, ["d0"], "Did you mean 'AnalysisJetsAuxDyn.GhostTrack'?"),
    ({**GHOST, "element_links": "pt"}, ["d0"], "branch 'AnalysisJetsAuxDyn.pt' ("),
    ({**GHOST, "element_links": "NumTrkPt500"}, ["d0"], "branch 'AnalysisJetsAuxDyn.NumTrkPt500' ("),
    ({**GHOST, "element_links": "btaggingLink"}, ["d0"], "branch 'AnalysisJetsAuxDyn.btaggingLink' ("),
    ({"branches": "EventInfoAuxDyn"}, ["hardScatterVertexLink"], "branch 'EventInfoAuxDyn.hardScatterVertexLink' ("),
]


@pytest.fixture(scope="module")
def of_all_kinds(physlite):
    """PHYSLITE, which takes long to open, with a collection for each of KINDS."""
    with opened(physlite, {f"kind{i}": origin for i, (origin, *_) in enumerate(KINDS)}, **IN_PHYSLITE) as source:
        yield source


@pytest.mark.real_data
@pytest.mark.parametrize("number", range(len(KINDS)))
def test_real_branches_of_another_kind(of_all_kinds, number):
    (_, names, sentence), collection = KINDS[number], f"kind{number}"

    def read_collection():
        of_all_kinds.constituent_dtypes(collection, names)
        for chunk in of_all_kinds.chunks(["pt"], {collection: names}):
            chunk.constituents(collection, names, np.ones(len(chunk.entry), dtype=bool))

    with pytest.raises(JetmillError) as error:
        read_collection()
    assert sentence in str(error.value)
