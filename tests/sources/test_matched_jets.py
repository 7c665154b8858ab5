"""Objects that jets are matched to by an index, against a rendering of one jet at a time."""

from functools import cache

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from batches import clean_batch

from jetmill.config.load import adapter, load
from jetmill.errors import JetmillError
from jetmill.settings.input import Input
from jetmill.sources import open_source

MATCHED = {"gen": {"branches": "GenJet", "index": "genJetIdx"}}
NAN = float("nan")


def branches(n=70, seed=3):
    """Return events with jets that point to none, one or the same generated jets, in any order."""
    rng = np.random.default_rng(seed)
    jets, gens = rng.integers(0, 5, n), rng.integers(0, 4, n)
    index = [[int(rng.integers(-1, g)) for _ in range(j)] for j, g in zip(jets, gens, strict=True)]
    n_jets, n_gens = jets.sum(), gens.sum()
    return {
        "event": np.arange(n, dtype=np.uint64) + np.uint64(2**60),
        "Jet_pt": ak.unflatten(rng.uniform(20, 90, n_jets).astype(np.float32), jets),
        "Jet_number": ak.unflatten(np.arange(n_jets, dtype=np.float32), jets),
        "Jet_genJetIdx": ak.values_astype(ak.Array(index), np.int16),
        "GenJet_pt": ak.unflatten(rng.uniform(20, 90, n_gens).astype(np.float32), gens),
        "GenJet_flavour": ak.unflatten(rng.choice([0, 4, 5], n_gens).astype(np.uint8), gens),
        "GenJet_code": ak.unflatten(rng.integers(-(2**31), 2**31, n_gens).astype(np.int32), gens),
        "GenJet_mass": ak.unflatten(rng.uniform(1, 9, n_gens), gens),
        "GenJet_long": ak.unflatten(rng.integers(0, 2**53, n_gens), gens),
        "GenJet_isB": ak.unflatten(rng.integers(0, 2, n_gens).astype(bool), gens),
    }


@cache
def events_of(path):
    return uproot.open(path)["Events"]


def one_by_one(path, name, *, jets="Jet", index="genJetIdx", of="GenJet"):
    """Return what the jets of a file point to, None for those that point to nothing."""
    tree = events_of(path)
    indices, values = tree[f"{jets}_{index}"].array().to_list(), tree[f"{of}_{name}"].array().to_list()
    return [
        values[event][place] if 0 <= place < len(values[event]) else None
        for event, places in enumerate(indices)
        for place in places
    ]


def read(path, names, **settings):
    settings = adapter(Input).validate_python({"matched": MATCHED, "event_id": []} | settings)
    with open_source(str(path), settings) as source:
        types = source.dtypes(names)
        chunks = list(source.chunks(names, {}))
    columns = {name: np.concatenate([chunk.columns[name] for chunk in chunks]) for name in names}
    assert {name: column.dtype for name, column in columns.items()} == types
    return columns, len(chunks)


@pytest.fixture
def path(tmp_path, write_root):
    return write_root(tmp_path / "a.root", branches(), baskets=5)


TYPES = {"pt": "f4", "flavour": "f4", "code": "f8", "mass": "f8", "long": "f8", "isB": "f4"}


@pytest.mark.parametrize("chunk_bytes", [500, 32_000_000])
def test_each_variable(path, chunk_bytes):
    names = [f"gen_{name}" for name in TYPES]
    found, n_chunks = read(path, ["number", *names], chunk_bytes=chunk_bytes)
    assert (n_chunks > 3) == (chunk_bytes == 500)
    assert found["number"].tolist() == list(range(len(found["number"])))
    for name, dtype in TYPES.items():
        wanted = one_by_one(path, name)
        assert None in wanted
        assert found[f"gen_{name}"].dtype == np.dtype(dtype)
        # Exact, integers too.
        assert [None if np.isnan(x) else x for x in found[f"gen_{name}"].tolist()] == wanted


def test_without_variables_of_the_jets_themselves(path):
    """The index is a branch of the jets, which says how many there are."""
    found, _ = read(path, ["gen_pt", "event"])
    wanted = one_by_one(path, "pt")
    assert [None if np.isnan(x) else x for x in found["gen_pt"].tolist()] == wanted
    with uproot.open(path) as file:
        counts = ak.num(file["Events/Jet_pt"].array())
    assert found["event"].tolist() == np.repeat(np.arange(70) + 2**60, counts).tolist()


def test_every_negative_index_is_none(tmp_path, write_root):
    jets = {"Jet_genJetIdx": ak.Array([[0, -1, -2], [], [1, -99]]), "GenJet_pt": ak.Array([[5.0], [], [6.0, 7.0]])}
    path = write_root(tmp_path / "a.root", jets)
    assert read(path, ["gen_pt"])[0]["gen_pt"].tolist() == pytest.approx([5, NAN, NAN, 7, NAN], nan_ok=True)


def test_no_jets_and_none_to_match(tmp_path, write_root):
    empty = ak.values_astype(ak.Array([[], [-1]]), np.int32)
    floats = ak.values_astype(ak.Array([[], []]), np.float32)
    path = write_root(tmp_path / "a.root", {"Jet_genJetIdx": empty, "GenJet_pt": floats})
    assert read(path, ["gen_pt"])[0]["gen_pt"].tolist() == pytest.approx([NAN], nan_ok=True)


def test_two_indices_into_one_collection(tmp_path, write_root):
    """As FatJet_subJetIdx1 and 2; the longer of two prefixes counts."""
    data = {
        "FatJet_subJetIdx1": ak.Array([[0, 2], [1]]),
        "FatJet_subJetIdx2": ak.Array([[1, -1], [0]]),
        "FatJet_sub_pt": ak.Array([[1.0, 2.0], [3.0]]),
        "SubJet_pt": ak.Array([[10.0, 20.0, 30.0], [40.0, 50.0]]),
    }
    path = write_root(tmp_path / "a.root", data)
    matched = {
        name: {"branches": "SubJet", "index": index} for name, index in (("s", "subJetIdx1"), ("s_2", "subJetIdx2"))
    }
    found, _ = read(path, ["s_pt", "s_2_pt", "sub_pt"], jets="FatJet", matched=matched)
    assert found["s_pt"].tolist() == [10, 30, 50]
    assert found["s_2_pt"].tolist() == pytest.approx([20, NAN, 40], nan_ok=True)
    assert found["sub_pt"].tolist() == [1, 2, 3]


def test_the_separator_of_physlite(tmp_path, write_root):
    data = {"J.link": ak.Array([[1], [0]]), "T.pt": ak.Array([[1.0, 2.0], [3.0]])}
    path = write_root(tmp_path / "a.root", data)
    found, _ = read(path, ["t_pt"], jets="J", matched={"t": {"branches": "T", "index": "link"}})
    assert found["t_pt"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("name", "matched", "message"),
    [
        (
            "gen_ptt",
            {},
            "tree 'Events' has no branch 'GenJet_ptt'. Did you mean 'GenJet_pt'? It may be another quantity.",
        ),
        (
            "gen_pt",
            {"branches": "GenJt"},
            "tree 'Events' has no branch 'GenJt_pt'. Did you mean 'GenJet_pt'? It may be another quantity.",
        ),
        (
            "gen_pt",
            {"index": "genjetIdx"},
            "tree 'Events' has no branch 'Jet_genjetIdx' or 'genjetIdx'. Did you mean 'Jet_genJetIdx'?",
        ),
        ("gen_pt", {"index": "pt"}, "branch 'Jet_pt' (float[]) is not one integer per jet"),
        ("gen_t", {"branches": "even"}, "tree 'Events' has no branch 'even_t'. Did you mean 'event'?"),
        ("gen_scalar", {}, "branch 'GenJet_scalar' (int64_t) is not one number per element"),
        ("gen_pt", {"index": "one"}, "branch 'Jet_one' (int64_t) is not one integer per jet"),
    ],
)
def test_a_branch_that_is_not_there(tmp_path, write_root, name, matched, message):
    scalars = {"GenJet_scalar": np.arange(70), "Jet_one": np.arange(70)}
    path = write_root(tmp_path / "a.root", branches() | scalars)
    with pytest.raises(JetmillError) as error:
        read(path, [name], matched={"gen": MATCHED["gen"] | matched})
    assert str(error.value) == f"{path}: {message}"


def test_an_index_beyond_the_collection(tmp_path, write_root):
    """The next event has more, which must not be taken."""
    data = {
        "Jet_genJetIdx": ak.Array([[0], [-1, 2], [0], [7]]),
        "GenJet_pt": ak.Array([[5.0], [6.0, 7.0], [8.0, 9.0], []]),
    }
    path = write_root(tmp_path / "a.root", data)
    with pytest.raises(JetmillError) as error:
        read(path, ["gen_pt"])
    assert str(error.value) == (
        f"{path}: 'Jet_genJetIdx' holds 2, but there are 2 of 'GenJet_pt' in that event;"
        " if it means none, set input.matched.<name>.out_of_range: missing"
    )
    found, _ = read(path, ["gen_pt"], matched={"gen": MATCHED["gen"] | {"out_of_range": "missing"}})
    assert found["gen_pt"].tolist() == pytest.approx([5, NAN, NAN, 8, NAN], nan_ok=True)


def test_an_index_of_other_jets(tmp_path, write_root):
    data = branches() | {"Jet_genJetIdx": ak.Array([[-1]] * 70)}
    path = write_root(tmp_path / "a.root", data)
    with pytest.raises(JetmillError, match="'Jet_genJetIdx' and 'Jet_pt' have different numbers of jets per event"):
        read(path, ["pt", "gen_pt"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "jet"}, "objects that jets are matched to are in trees of events only"),
        ({"format": "hdf5"}, "is for format: root"),
    ],
)
def test_trees_of_events_only(raw_config, settings, message):
    raw_config["input"] = settings | {"matched": MATCHED, "event_id": []}
    with pytest.raises(JetmillError, match=rf"^input\.matched: {message}"):
        load(raw_config)


def test_a_wrong_key_is_reported(raw_config):
    raw_config["input"] = {"matched": {"gen": {"branch": "GenJet", "index": "genJetIdx"}}}
    with pytest.raises(JetmillError, match=r"input\.matched\.gen\.branch: unknown key\. Did you mean 'branches'\?"):
        load(raw_config)


# --- in cleaning ---


def config(**jets):
    return {
        "samples": {"tt": {"files": "-"}},
        "input": {"event_id": ["event"], "checksum": False, "matched": MATCHED},
        "jets": {
            "units": {"gen_mass": 0.5},
            "define": {"response": "pt / gen_pt"},
            "missing": {"values_of": {"gen_flavour": [4]}},
            "variables": ["number", "response", "gen_mass", "gen_flavour", "gen_code"],
            "additional_labels": ["gen_long", "gen_isB"],
            "spectators": ["gen_pt"],
            "select": [{"cut": "gen_pt > 30", "missing": "keep"}],
        }
        | jets,
        "classes": {"b": "gen_flavour == 5", "other": "rest"},
        "balance": {"bins": {"pt": [20, 100, 4]}},
    }


def test_cuts_classes_definitions_inputs_and_labels(path, tmp_path):
    clean_batch([path], tmp_path / "c.h5", settings=load(config()).cleaning, sample="tt", first_file=0)
    gen = {name: one_by_one(path, name) for name in TYPES}
    with uproot.open(path) as file:
        pt = ak.flatten(file["Events/Jet_pt"].array()).to_list()
    kept = [k for k, x in enumerate(gen["pt"]) if x is None or x > 30]
    assert 50 < len(kept) < len(pt)

    def floats(values):
        return [NAN if values[k] is None else float(values[k]) for k in kept]

    wanted = {
        "variables/response": [None if g is None else p / g for p, g in zip(pt, gen["pt"], strict=True)],
        "variables/gen_mass": [None if m is None else m / 2 for m in gen["mass"]],
        "variables/gen_flavour": [None if f == 4 else f for f in gen["flavour"]],
        "variables/gen_code": gen["code"],
        "additional_labels/gen_long": gen["long"],
        "additional_labels/gen_isB": gen["isB"],
        "spectators/gen_pt": gen["pt"],
    }
    with h5py.File(tmp_path / "c.h5") as file:
        order = np.argsort(file["variables/number"][()])
        assert file["variables/number"][()][order].tolist() == kept
        assert file["label"][()][order].tolist() == [0 if gen["flavour"][k] == 5 else 1 for k in kept]
        for name, values in wanted.items():
            exact = name != "variables/response"
            found, expected = file[name][()][order].tolist(), floats(values)
            if exact:
                assert np.array_equal(found, expected, equal_nan=True), name
            else:
                assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_in_constituents_too(tmp_path, write_root):
    """As any other variable of the jet, as jet_gen_pt."""
    data = branches()
    data["Cl_jetIdx"] = ak.local_index(data["Jet_pt"])
    data["Cl_pt"] = data["Jet_pt"] / 2
    path = write_root(tmp_path / "b.root", data)
    raw = config(select=[])
    raw["constituents"] = {
        "cl": {"tree": {"links": "Cl"}, "define": {"share": "pt / jet_gen_pt"}, "variables": ["share"]}
    }
    clean_batch([path], tmp_path / "c.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    pt, gen = ak.flatten(data["Jet_pt"]).to_list(), one_by_one(path, "pt")
    with h5py.File(tmp_path / "c.h5") as file:
        order = np.argsort(file["variables/number"][()])
        found = file["constituents/cl/variables/share"][()][order]
    wanted = [NAN if g is None else p / 2 / g for p, g in zip(pt, gen, strict=True)]
    assert found == pytest.approx(wanted, rel=1e-6, nan_ok=True)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "n_none", "n_beyond"),
    [("pfnano.root", 12, 0), ("NanoAODv5_sample.root", 2017, 131), ("nano_tt_v12.root", 168, 0)],
)
def test_real_jets(shared_data, name, n_none, n_beyond):
    """Version 5 has indices of generated jets below 10 GeV, which it does not hold."""
    path = shared_data(name)
    variables = ["pt", "eta", "mass", "partonFlavour", "hadronFlavour"]
    names, matched = ["pt", *(f"gen_{v}" for v in variables)], {"gen": MATCHED["gen"] | {"out_of_range": "missing"}}
    found, _ = read(path, names, matched=matched)
    for variable in variables:
        got = found[f"gen_{variable}"].tolist()
        assert [None if np.isnan(x) else x for x in got] == one_by_one(path, variable)
    assert np.isnan(found["gen_pt"]).sum() == n_none + n_beyond
    # Jets and what they are matched to have much the same momentum.
    assert 0.8 < np.nanmedian(found["pt"] / found["gen_pt"]) < 1.2
    if n_beyond:
        with pytest.raises(JetmillError, match=r"'Jet_genJetIdx' holds \d+, but there are \d+ of 'GenJet_pt'"):
            read(path, names)
    else:
        read(path, names)


@pytest.mark.real_data
def test_real_subjets(shared_data):
    path = shared_data("NanoAODv5_sample.root")
    matched = {f"sub{k}": {"branches": "SubJet", "index": f"subJetIdx{k}"} for k in (1, 2)}
    found, _ = read(path, ["pt", "sub1_pt", "sub2_pt"], jets="FatJet", matched=matched)
    for k in (1, 2):
        wanted = one_by_one(path, "pt", jets="FatJet", index=f"subJetIdx{k}", of="SubJet")
        assert [None if np.isnan(x) else x for x in found[f"sub{k}_pt"].tolist()] == wanted
    assert (~np.isnan(found["sub1_pt"])).sum() > 50
