"""Any branch under any name: aliases, split branches, members, elements, static beside dynamic xAOD branches."""

from functools import cache

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs

from jetmill.errors import JetmillError
from jetmill.settings.constituents import Constituents, Origin
from jetmill.settings.input import Input
from jetmill.sources import UnreadableError, open_source
from jetmill.workflow.in_process import run_in_process

real = pytest.mark.real_data


def read(path, names, collections=None, **settings):
    """Return the columns of jets, and the constituents of each jet by variable."""
    columns, lists = {name: [] for name in names}, {}
    given, wanted = {}, {}
    for name, (of, variables) in (collections or {}).items():
        given[name], wanted[name] = Constituents(variables=("any",), **of), variables
    with open_source(str(path), Input(**settings), given) as source:
        types = source.dtypes(names)
        for name, variables in wanted.items():
            source.constituent_dtypes(name, variables)
        for chunk in source.chunks(names, wanted):
            for name in names:
                assert chunk.columns[name].dtype == types[name]
                columns[name] += chunk.columns[name].tolist()
            for name, variables in wanted.items():
                found = chunk.constituents(name, variables, np.ones(len(chunk.entry), dtype=bool))
                for variable, values in found.columns.items():
                    lists.setdefault(variable, []).extend(ak.unflatten(values, found.counts).to_list())
    return columns, lists


def refusal(path, names, collections=None, **settings):
    """Return what is said of the first file that does not hold a variable; it is no damage, and one line."""
    with pytest.raises(JetmillError) as error:
        read(path, names, collections, **settings)
    assert not isinstance(error.value, UnreadableError)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


@cache
def plain(path, tree, *branches):
    with uproot.open(path) as file:
        return [file[tree][branch].array() for branch in branches]


# Real files, against plain uproot.


@real
def test_split_branches_and_fixed_arrays_of_delphes(shared_data):
    path = shared_data("delphes.root")
    pt, tau, area, number = plain(path, "Delphes", "FatJet.PT", "FatJet.Tau[5]", "FatJet.Area", "Event.Number")
    pruned, leading = plain(path, "Delphes", "FatJet.PrunedP4[5]", "Jet.PT")
    names = {
        "tau1": "FatJet/FatJet.Tau[0]",
        "tau5": "FatJet.Tau[4]",
        "area": "FatJet.Area.fE",
        "px": "FatJet/FatJet.PrunedP4[2].fP.fX",
        "first": "Jet.PT[0]",
        "id": "Event.Number[0]",
    }
    found, _ = read(path, ["PT", "Number", *names], tree="Delphes", jets="FatJet", event="Event", aliases=names)
    right = {name: [] for name in found}
    for i in range(10):
        assert len(number[i]) == 1
        for j in range(len(pt[i])):
            right["PT"].append(pt[i][j])
            right["Number"].append(number[i][0])
            right["id"].append(number[i][0])
            right["first"].append(leading[i][0])
            right["tau1"].append(tau[i][j][0])
            right["tau5"].append(tau[i][j][4])
            right["area"].append(area[i][j].fE)
            right["px"].append(pruned[i][j][2].fP.fX)
    assert found == right
    assert len(set(found["tau1"])) > 3


@real
def test_members_of_lorentz_vectors(shared_data):
    path = shared_data("uproot-HZZ-objects.root")
    (p4,) = plain(path, "events", "jetp4")
    found, _ = read(path, ["energy", "px"], tree="events", aliases={"energy": "jetp4.fE", "px": "jetp4.fP.fX"})
    vectors = [vector for event in p4 for vector in event]
    assert found == {"energy": [v.fE for v in vectors], "px": [v.fP.fX for v in vectors]}
    assert len(vectors) == 2773


@real
def test_coordinates_of_treemaker(shared_data):
    path = shared_data("treemaker.root")
    pt, met = plain(path, "PreSelection", "Jets/Jets.fCoordinates.fPt", "CaloMET")
    aliases = {"pt": "Jets.fCoordinates.fPt"}
    found, _ = read(path, ["pt", "CaloMET"], tree="PreSelection", jets="Jets", aliases=aliases)
    assert found["pt"] == ak.flatten(pt).to_list()
    assert found["CaloMET"] == np.repeat(met.to_numpy(), ak.num(pt).to_numpy()).tolist()


@real
@pytest.mark.parametrize(
    ("jets", "event"),
    [
        ("AnalysisJets", "EventInfo"),
        ("AnalysisJetsAuxDyn", "EventInfoAuxDyn"),
        ("AnalysisJetsAux", "EventInfoAux."),
    ],
)
def test_static_beside_dynamic_branches(shared_data, jets, event):
    """The numbers of the event are static, what was added to it is dynamic."""
    path = shared_data("uproot-issue-798.root")
    branches = ["AnalysisJetsAuxDyn.pt", "EventInfoAux.eventNumber", "EventInfoAuxDyn.mcChannelNumber"]
    pt, number, channel = plain(path, "CollectionTree", *branches)
    names = ["pt", "eventNumber", "mcChannelNumber"]
    found, _ = read(path, names, tree="CollectionTree", jets=jets, event=event)
    counts = ak.num(pt).to_numpy()
    assert found["pt"] == ak.flatten(pt).to_list()
    assert found["eventNumber"] == np.repeat(number.to_numpy(), counts).tolist()
    assert found["mcChannelNumber"] == np.repeat(channel.to_numpy(), counts).tolist()


@real
@pytest.mark.parametrize(
    ("file", "tree", "between"),
    [
        ("physlite_ttbar_100events.root", "CollectionTree", "."),
        ("uproot-physlite-rntuple_v1-0-0-0.root", "EventData", ":"),
    ],
)
def test_an_element_of_an_event_vector(shared_data, file, tree, between):
    """In a TTree and in an RNTuple; the static members of a container too."""
    path, weights_name = shared_data(file), f"EventInfoAuxDyn{between}mcEventWeights"
    pt, weights = plain(path, tree, f"AnalysisJetsAuxDyn{between}pt", weights_name)
    settings = {"tree": tree, "jets": "AnalysisJets", "aliases": {"w": f"{weights_name}[0]"}}
    found, _ = read(path, ["pt", "w"], **settings)
    assert found["w"] == [weights[i][0] for i in range(100) for _ in pt[i]]
    assert found["pt"] == ak.flatten(pt).to_list()


@real
def test_members_of_records_in_an_rntuple(shared_data):
    path = shared_data("uproot-physlite-rntuple_v1-0-0-0.root")
    container = "AntiKt4TruthDressedWZJetsAux"
    pt, links = plain(path, "EventData", f"{container}:.pt", f"{container}:.constituentLinks")
    aliases = {"pt": f"{container}:.constituentLinks.m_persIndex"}
    collections = {"parts": ({"aliases": aliases, "tree": Origin(branches=container)}, ["pt"])}
    found, lists = read(path, ["pt"], collections, tree="EventData", jets=container)
    assert found["pt"] == ak.flatten(pt).to_list()
    assert lists["pt"] == [[link["m_persIndex"] for link in jet] for event in links.to_list() for jet in event]


@real
def test_double32_and_its_kin(shared_data):
    path = shared_data("uproot-demo-double32.root")
    branches = ["fD64", "fF32", "fI32", "fI16", "fR6"]
    found, _ = read(path, branches, tree="T", level="jet", jets="d")
    for name, values in zip(branches, plain(path, "T", *(f"d/{branch}" for branch in branches)), strict=True):
        assert found[name] == values.to_list()


# Made files.


@pytest.fixture(scope="module")
def odd(tmp_path_factory, write_root):
    return write_root(
        tmp_path_factory.mktemp("odd") / "odd.root",
        {
            "odd-branch name": ak.Array([[1.0, 2], [], [3]]),
            "a.b/c": np.array([7, 8, 9]),
            "weights": ak.Array([[0.5, 1], [2.5], [4.5, 5, 6]]),
            "eventNumber": np.array([1, 2, 3], dtype=np.uint64),
            "mcEventNumber": np.array([4, 5, 6], dtype=np.uint64),
            "Jet_x": ak.Array([[10.0, 20], [], [30]]),
        },
    )


def test_odd_names(odd):
    aliases = {"btag": "odd-branch name", "number": "a.b/c", "weight": "weights[0]"}
    found, _ = read(odd, ["x", "btag", "number", "weight"], aliases=aliases)
    assert found == {"x": [10, 20, 30], "btag": [1, 2, 3], "number": [7, 7, 9], "weight": [0.5, 0.5, 4.5]}


def test_an_alias_comes_before_a_branch_of_its_name(odd):
    assert read(odd, ["x"], aliases={"x": "odd-branch name"})[0]["x"] == [1, 2, 3]


def test_constituents_without_a_common_prefix(tmp_path, write_root):
    lists = {"constPt": [[1.0, 2], [], [3]], "hits": [[4, 5], [], [6]]}
    path = write_root(tmp_path / "a.root", {"pt": np.arange(3.0), **{n: ak.Array(v) for n, v in lists.items()}})
    collections = {"tracks": ({"aliases": {"pt": "constPt", "n": "hits"}}, ["pt", "n"])}
    _, found = read(path, ["pt"], collections, level="jet", jets="")
    assert found == {"pt": lists["constPt"], "n": lists["hits"]}


def test_linked_constituents_by_alias(tmp_path, write_root):
    """One that does not begin with the prefix of the links is in the table that they point to."""
    branches = {
        "Jet_pt": [[1.0], [2.0, 3.0]],
        "Link_jet": [[0], [1, 1, 0]],
        "Link_cand": [[1], [0, 2, 1]],
        "Link_dr": [[0.1], [0.2, 0.3, 0.4]],
        "candPt": [[5.0, 6], [7, 8, 9]],
    }
    path = write_root(tmp_path / "a.root", {name: ak.Array(values) for name, values in branches.items()})
    origin = Origin(links="Link", jet_index="jet", index="cand")
    collections = {"cands": ({"tree": origin, "aliases": {"pt": "candPt", "r": "Link_dr"}}, ["pt", "r"])}
    _, found = read(path, ["pt"], collections)
    assert found == {"pt": [[6], [8], [7, 9]], "r": [[0.1], [0.4], [0.2, 0.3]]}


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("odd-branch nam", "tree 'Events' has no branch 'odd-branch nam', as input.aliases.v says. Did you mean"),
        ("weights[1]", "branch 'weights[1]' (double[]) holds a list of 1, which has no [1]"),
        ("eventNumber[0]", "branch 'eventNumber[0]' (uint64_t) is not a list"),
        ("weights[0][0]", "branch 'weights[0][0]' (double[]) is not a list"),
        ("Jet_x.fX", "tree 'Events' has no branch 'Jet_x.fX', as input.aliases.v says."),
        ("weights", "branches 'weights' and 'Jet_x' have different numbers of jets per event"),
    ],
)
def test_aliases_of_nothing(odd, alias, expected):
    assert refusal(odd, ["x", "v"], aliases={"v": alias}).startswith(expected)


@real
@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("Jet.Tau[5]", "branch 'Jet/Jet.Tau[5]' (float[][5]) is not one number per jet or event"),
        ("Jet.Tau[6]", "branch 'Jet/Jet.Tau[5][6]' (float[][5]) has 5 elements, [0] to [4]"),
        ("Jet.Area", "branch 'Jet/Jet.Area' (TLorentzVector[]) is not one number per jet or event"),
        ("Jet.Area.fM", "tree 'Delphes' has no branch 'Jet.Area.fM', as input.aliases.v says. 'Jet.Area' has fP, fE"),
        ("Jet.Constituents", "branch 'Jet/Jet.Constituents' (TRefArray[]) is not one number per jet or event"),
    ],
)
def test_what_cannot_be_read(shared_data, alias, expected):
    assert refusal(shared_data("delphes.root"), ["PT", "v"], tree="Delphes", aliases={"v": alias}) == expected


def test_a_list_below_the_prefix_of_the_event_has_one_element(tmp_path, write_root):
    branches = {"Jet_pt": ak.Array([[1.0], [2.0, 3.0]]), "Event_id": ak.Array([[1], [2, 3]])}
    path = write_root(tmp_path / "a.root", branches)
    expected = "branch 'Event_id' (int64_t[]) holds a list of 2, not of 1, as one per event is"
    assert refusal(path, ["pt", "id"], event="Event") == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("eventnumber", "Did you mean 'eventNumber'?"),
        ("event_number", "Did you mean 'eventNumber'?"),
        ("mceventNumbr", "Did you mean 'mcEventNumber'? It may be another quantity."),
    ],
)
def test_a_hint_at_another_quantity_says_so(odd, name, hint):
    assert refusal(odd, ["x", name]).endswith(hint)


@real
def test_a_hint_at_a_variable_of_another_table(shared_data):
    path = shared_data("physlite_ttbar_100events.root")
    expected = refusal(path, ["pt", "eventNumber"], tree="CollectionTree", jets="AnalysisJetsAuxDyn")
    assert expected.endswith(" There is 'EventInfoAuxDyn.eventNumber', which may be another quantity.")


def test_fields_of_hdf5(tmp_path):
    jets = np.array([(1.0, 5), (2.0, 4)], dtype=[("pT [MeV]", "f4"), ("flavour", "i4")])
    types = [("d0/sigma", "f4"), ("valid", "?")]
    tracks = np.array([[(0.5, True), (0.1, False)], [(0.7, True), (0.8, True)]], dtype=types)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    settings = {"format": "hdf5", "jets": "jets", "aliases": {"pt": "pT [MeV]"}}
    collections = {"tracks": ({"aliases": {"sd0": "d0/sigma"}}, ["sd0"])}
    found, lists = read(path, ["pt", "flavour"], collections, **settings)
    assert found == {"pt": [1, 2], "flavour": [5, 4]}
    assert lists["sd0"] == [[np.float32(0.5)], [np.float32(0.7), np.float32(0.8)]]
    expected = "dataset 'jets' has no field 'flavour[0]', as the alias x says."
    assert refusal(path, ["x"], **settings | {"aliases": {"x": "flavour[0]"}}).startswith(expected)


@real
def test_a_run_on_delphes(shared_data, tmp_path):
    """From the file to `jets/inputs`; the units and the names are those of aliases."""
    path = shared_data("delphes.root")
    aliases = {"tau2": "FatJet.Tau[1]", "pt": "FatJet.PT"}
    results = run_in_process(
        {
            "output_dir": str(tmp_path / "results"),
            "strict": False,
            "samples": {"tt": {"files": str(path)}},
            "input": {
                "tree": "Delphes",
                "jets": "FatJet",
                "event": "Event",
                "event_id": ["Number"],
                "aliases": aliases,
            },
            "jets": {"variables": ["pt", "tau2"]},
            "classes": {"b": "BTag != 0", "light": "rest"},
            "scaling": {"unscaled": ["*"]},
            "balance": {"bins": {"pt": [0, 10_000, 2]}},
        },
        last="write",
    )
    splits = [runs.datasets(results / f"{split}.h5")["jets/inputs"] for split in ("train", "val", "test")]
    found = np.concatenate(splits)
    pt, tau = plain(path, "Delphes", "FatJet.PT", "FatJet.Tau[5]")
    right = np.stack([ak.flatten(pt).to_numpy(), ak.flatten(tau[..., 1]).to_numpy()], axis=1)
    order = [np.lexsort(rows.T) for rows in (found, right)]
    np.testing.assert_array_equal(found[order[0]], right[order[1]])
