import awkward as ak
import numpy as np
import pytest
import uproot

from jetmill.errors import JetmillError
from jetmill.settings.input import Input
from jetmill.sources.root import open_root
from jetmill.stages.make_toy import write_toy_file


@pytest.fixture(autouse=True)
def _registry_of_uproot():
    """Forget the classes that uproot makes up from damaged files, or it reads others with them afterwards."""
    before = {
        name: dict(model.known_versions) for name, model in uproot.classes.items() if hasattr(model, "known_versions")
    }
    classes = dict(uproot.classes)
    yield
    uproot.classes.clear()
    uproot.classes.update(classes)
    for name, versions in before.items():
        uproot.classes[name].known_versions.clear()
        uproot.classes[name].known_versions.update(versions)


COUNTS = np.array([2, 0, 3, 1, 0, 4])
N = COUNTS.sum()
PT = np.arange(N, dtype=np.float32) + 20
FLAVOUR = np.arange(N, dtype=np.uint8) % 6


def jagged(values, counts=COUNTS):
    return ak.unflatten(values, counts)


def events(**more):
    return {
        "event": np.arange(6, dtype=np.uint64) + np.uint64(2**60),
        "Jet_pt": jagged(PT),
        "Jet_hadronFlavour": jagged(FLAVOUR),
        "Jet_tight": jagged(FLAVOUR > 2),
        "rho": np.linspace(0, 1, 6),
        **more,
    }


def read(path, names, **settings):
    """Return the columns of all chunks joined, with entry and position."""
    with open_root(str(path), Input(**settings), {}) as source:
        types, chunks = source.dtypes(names), list(source.chunks(names, {}))
    columns = {name: np.concatenate([c.columns[name] for c in chunks]) for name in names} if chunks else {}
    for name, values in columns.items():
        assert values.dtype == types[name]
    columns["entry"] = np.concatenate([c.entry for c in chunks]) if chunks else []
    columns["position"] = np.concatenate([c.position for c in chunks]) if chunks else []
    return columns, len(chunks)


def refusal(path, names=("pt",), **options):
    with pytest.raises(JetmillError) as error:
        read(path, list(names), **options)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.fixture
def event_file(tmp_path, write_root):
    return write_root(tmp_path / "events.root", events())


def test_jets_of_events(event_file):
    columns, _ = read(event_file, ["pt", "hadronFlavour", "tight", "event", "rho"])
    np.testing.assert_array_equal(columns["pt"], PT)
    np.testing.assert_array_equal(columns["hadronFlavour"], FLAVOUR)
    np.testing.assert_array_equal(columns["tight"], FLAVOUR > 2)
    np.testing.assert_array_equal(columns["event"], np.repeat(np.arange(6) + 2**60, COUNTS))
    np.testing.assert_array_equal(columns["rho"], np.repeat(np.linspace(0, 1, 6), COUNTS))
    np.testing.assert_array_equal(columns["entry"], np.repeat(np.arange(6), COUNTS))
    np.testing.assert_array_equal(columns["position"], np.concatenate([np.arange(n) for n in COUNTS]))
    assert columns["hadronFlavour"].dtype == np.uint8
    assert columns["event"].dtype == np.uint64


def test_jets_of_a_jet_tree(tmp_path, write_root):
    path = write_root(tmp_path / "jets.root", {"pt": PT, "flavour": FLAVOUR}, tree="deep/tree")
    columns, _ = read(path, ["pt", "flavour"], tree="deep/tree", level="jet", jets="")
    np.testing.assert_array_equal(columns["pt"], PT)
    np.testing.assert_array_equal(columns["entry"], np.arange(N))
    np.testing.assert_array_equal(columns["position"], np.zeros(N))


def test_a_branch_of_the_jets_comes_before_one_of_the_event(tmp_path, write_root):
    path = write_root(tmp_path / "f.root", events(pt=np.zeros(6)))
    np.testing.assert_array_equal(read(path, ["pt"])[0]["pt"], PT)


def test_a_jet_prefix_may_be_empty(tmp_path, write_root):
    path = write_root(tmp_path / "f.root", {"pt": jagged(PT)})
    np.testing.assert_array_equal(read(path, ["pt"], jets="")[0]["pt"], PT)


@pytest.mark.parametrize("counts", [[0, 0, 0], []])
def test_no_jets(tmp_path, write_root, counts):
    empty = jagged(PT[:0], np.array(counts, dtype=int)) if counts else jagged(PT)[:0]
    path = write_root(tmp_path / "f.root", {"Jet_pt": empty, "event": np.arange(len(counts))})
    columns, _ = read(path, ["pt", "event"])
    assert len(columns.get("pt", [])) == len(columns["entry"]) == 0


@pytest.mark.parametrize("chunk_bytes", [1, 10_000, 40_000])
@pytest.mark.parametrize("level", ["event", "jet"])
def test_chunks_do_not_change_the_jets(tmp_path, write_root, chunk_bytes, level):
    rng = np.random.default_rng(0)
    n = 60 if chunk_bytes == 1 else 3000
    counts = rng.integers(0, 5, n)
    pt = rng.normal(size=counts.sum())
    branches = {"Jet_pt": jagged(pt, counts) if level == "event" else pt[:n], "event": np.arange(n)}
    path = write_root(tmp_path / "f.root", branches, baskets=5)
    whole, n_chunks = read(path, ["pt", "event"], level=level)
    assert n_chunks == 1
    parts, n_chunks = read(path, ["pt", "event"], level=level, chunk_bytes=chunk_bytes)
    assert n_chunks > 1
    assert whole.keys() == parts.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(parts[name], values)


def test_toy_files_are_reproducible(tmp_path):
    def toy(name, **changes):
        options = {"process": "ttbar", "n_jets": 500, "seed": 1, "sample": "tt", "number": 0} | changes
        write_toy_file(tmp_path / name, "root", **options)
        return read(tmp_path / name, ["pt", "event", "DeepCSV_trackSip3dSig_0"])[0]

    one, two = toy("a.root"), toy("b.root")
    for name, values in one.items():
        np.testing.assert_array_equal(two[name], values)
    for changes in ({"seed": 2}, {"sample": "qcd"}, {"number": 1}, {"process": "qcd"}):
        assert not np.array_equal(toy("c.root", **changes)["pt"], one["pt"])
    assert abs(len(one["pt"]) - 500) < 30


@pytest.mark.real_data
def test_real_pfnano(shared_data):
    columns, _ = read(shared_data("pfnano.root"), ["pt", "hadronFlavour", "DeepCSV_trackJetPt", "run"])
    with uproot.open(shared_data("pfnano.root")) as file:
        expected = ak.flatten(file["Events/Jet_pt"].array())
    np.testing.assert_array_equal(columns["pt"], expected)
    assert len(columns["pt"]) == 64
    assert np.bincount(columns["hadronFlavour"]).tolist() == [61, 0, 0, 0, 3]


@pytest.mark.real_data
def test_a_branch_of_many_numbers_per_jet(shared_data):
    name = "AnalysisJetsAuxDyn.NumTrkPt500"
    message = refusal(shared_data("physlite_ttbar_100events.root"), [name], tree="CollectionTree", jets="")
    assert f"branch '{name}' (std::vector<std::vector<int32_t>>) is not one number per jet" in message


def test_a_missing_tree_names_the_nearest(event_file):
    message = refusal(event_file, tree="Event")
    assert "no tree 'Event'; it holds Events. Did you mean 'Events'?" in message


def test_a_file_without_trees(tmp_path):
    with uproot.recreate(tmp_path / "f.root") as file:
        file["h"] = np.histogram([1, 2, 3])
    assert "no tree 'Events'; it holds no tree at all" in refusal(tmp_path / "f.root")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ptt", "tree 'Events' has no branch 'Jet_ptt' or 'ptt'. Did you mean 'Jet_pt'?"),
        ("hadronflavour", "has no branch 'Jet_hadronflavour' or 'hadronflavour'. Did you mean 'Jet_hadronFlavour'?"),
        ("Rho", "Did you mean 'rho'?"),
        ("zzzzzzzzzzzzzzzzzzz", "has no branch 'Jet_zzzzzzzzzzzzzzzzzzz'"),
    ],
)
def test_a_missing_branch_names_the_nearest(event_file, name, wanted):
    assert wanted in refusal(event_file, ["pt", name])


def test_a_missing_branch_of_a_jet_tree(tmp_path, write_root):
    path = write_root(tmp_path / "f.root", {"pt": PT, "eta": PT})
    assert "tree 'Events' has no branch 'etta'. Did you mean 'eta'?" in refusal(path, ["etta"], level="jet", jets="")


def test_only_branches_of_events(event_file):
    assert "none of event, rho is a branch with one number per jet" in refusal(event_file, ["event", "rho"])


@pytest.mark.parametrize(
    ("level", "branch", "per"),
    [("event", "cov", "jet"), ("event", "label", "jet"), ("jet", "Jet_pt", "entry"), ("jet", "cov", "entry")],
)
def test_a_branch_that_is_not_one_number(tmp_path, write_root, level, branch, per):
    path = write_root(tmp_path / "f.root", events(cov=np.zeros((6, 3)), flat=np.arange(6)))
    if branch == "label":
        with uproot.recreate(path) as file:
            file.mktree("Events", {"Jet_pt": jagged(PT).type, "label": "string"})
            file["Events"].extend({"Jet_pt": jagged(PT), "label": ak.Array(["a"] * 6)})
    message = refusal(path, ["pt" if branch == "Jet_pt" else branch], level=level)
    assert f"branch '{branch}' (" in message
    assert f"is not one number per {per}" in message


def test_branches_with_different_numbers_of_jets(tmp_path, write_root):
    path = write_root(tmp_path / "f.root", events(Jet_eta=jagged(PT, COUNTS[::-1])))
    message = refusal(path, ["pt", "eta"])
    assert "branches 'Jet_eta' and 'Jet_pt' have different numbers of jets per event" in message


def test_no_such_file(tmp_path):
    assert refusal(tmp_path / "gone.root").endswith("gone.root: no such file")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"run,event\n1", "it begins with 'run,even'"),
        (b"run,event\n1,2\n" * 100, ""),
        (b"root", "it is cut short"),
    ],
)
def test_not_a_root_file(tmp_path, content, why):
    (tmp_path / "f.root").write_bytes(content)
    assert f"not a readable ROOT file ({why}" in refusal(tmp_path / "f.root")


def test_a_directory(tmp_path):
    assert refusal(tmp_path).endswith("not a readable ROOT file (it is a directory)")


COMPRESSIONS = {"zstd": uproot.ZSTD(1), "zlib": uproot.ZLIB(1), "lz4": uproot.LZ4(1), "lzma": uproot.LZMA(1)}


@pytest.fixture(scope="module", params=[*COMPRESSIONS, "toy", "directory"])
def valid_file(request, tmp_path_factory, write_root):
    """Return a file with several baskets, the name of its tree and what it holds."""
    path = tmp_path_factory.mktemp("valid") / "f.root"
    tree, names = "deep/tree" if request.param == "directory" else "Events", ["pt", "event"]
    if request.param == "toy":
        write_toy_file(path, "root", process="ttbar", n_jets=800, seed=1, sample="tt", number=0)
        with uproot.open(path) as file:
            names = [key.removeprefix("Jet_") for key in file[tree].keys() if key != "nJet"]  # noqa: SIM118
    else:
        counts = np.random.default_rng(1).integers(0, 5, 2000)
        values = np.random.default_rng(2).normal(size=counts.sum()).round(2)
        branches = {"Jet_pt": jagged(values, counts), "event": np.arange(2000)}
        compression = COMPRESSIONS.get(request.param, COMPRESSIONS["zstd"])
        write_root(path, branches, tree=tree, baskets=4, compression=compression)
    return path.read_bytes(), tree, names, read(path, names, tree=tree)[0]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.6, 0.75, 0.9])
def test_a_truncated_file_is_refused(tmp_path, valid_file, share):
    content, tree, names, _ = valid_file
    (tmp_path / "cut.root").write_bytes(content[: int(share * len(content))])
    refusal(tmp_path / "cut.root", names, tree=tree)


def test_a_file_cut_anywhere_never_gives_fewer_or_other_jets(tmp_path, valid_file):
    # Behind the last basket there is nothing that holds jets, so the cut may go unnoticed there.
    content, tree, names, whole = valid_file
    names, cut = names[:2], tmp_path / "cut.root"
    for share in np.linspace(0.9, 1, 21)[:-1]:
        cut.write_bytes(content[: int(share * len(content))])
        try:
            columns, _ = read(cut, names, tree=tree)
        except JetmillError:
            continue
        for name in [*names, "entry", "position"]:
            np.testing.assert_array_equal(columns[name], whole[name])


@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
def test_a_damaged_file_raises_nothing_but_our_error(tmp_path, valid_file, filling):
    content, tree, names, _ = valid_file
    leaks, bad = {}, tmp_path / "bad.root"
    for place in np.linspace(0.005, 0.97, 40):
        start = int(place * len(content))
        bad.write_bytes(content[:start] + filling * 200 + content[start + 200 :])
        try:
            read(bad, names[:4], tree=tree)
        except JetmillError:
            pass
        except Exception as error:
            leaks.setdefault(type(error), (round(place, 3), error))
    assert not leaks
