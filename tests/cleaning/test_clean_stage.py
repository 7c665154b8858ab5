import hashlib

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from batches import at, clean_batch, columns_of
from scipy import stats
from sklearn.model_selection import train_test_split

from jetmill.cleaning.column_buffer import LIMITS, Limits
from jetmill.columns.batch_file import Batch
from jetmill.columns.schema import Kind
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.splitting import TRAIN

NAN = np.nan


def jets(n_events, seed, *, nan=0.1):
    """Return the branches of an event tree with jets in three flavours."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3, n_events)
    n = counts.sum()
    pt = rng.uniform(10, 100, n).astype(np.float32)
    mass = rng.normal(10, 3, n).astype(np.float32)
    mass[rng.random(n) < nan] = rng.choice([NAN, np.inf, -999])
    columns = {
        "pt": pt,
        "eta": rng.normal(0, 1.5, n).astype(np.float32),
        "mass": mass,
        "nTracks": rng.integers(0, 4, n).astype(np.uint8),
        "trk_0": rng.normal(size=n).astype(np.float32),
        "trk_1": rng.normal(size=n).astype(np.float32),
        "hadronFlavour": rng.choice([0, 4, 5, 21], n).astype(np.int32),
        "btag": rng.choice([-1, NAN, 0.5, np.inf], n).astype(np.float32),
    }
    branches = {f"Jet_{name}": ak.unflatten(values, counts) for name, values in columns.items()}
    identity = {
        "run": np.full(n_events, 1, dtype=np.uint32),
        "luminosityBlock": (np.arange(n_events) // 100).astype(np.uint32),
        "event": np.arange(n_events, dtype=np.uint64) + np.uint64(2**60 + 10**6 * seed),
    }
    return branches | identity


CONFIG = {
    "samples": {"tt": {"toy": {"process": "ttbar"}}},
    "jets": {
        "define": {"abs_eta": "abs(eta)"},
        "missing": {"values": [-999], "slots": {"nTracks": ["trk"]}},
        "select": ["pt >= 20", "abs_eta <= 2.5", {"cut": "mass < 15", "missing": "keep"}],
        "variables": ["pt", "mass", "abs_eta", "trk_0", "trk_1", "nTracks"],
        "spectators": ["btag"],
    },
    "classes": {"b": "hadronFlavour == 5", "c": "hadronFlavour == 4", "light": "hadronFlavour == 0"},
    "balance": {"bins": {"eta": [-2.5, 2.5, 5], "pt": [20, 100, 4]}},
}


def settings(**changes):
    raw = CONFIG | {"jets": CONFIG["jets"] | changes.pop("jets", {})} | changes
    return load(raw).cleaning


def cleaned(files, output, *, sample="tt", first_file=0, limits=LIMITS, **changes):
    clean_batch(files, output, settings=settings(**changes), sample=sample, first_file=first_file, limits=limits)
    with Batch(output) as batch:
        names = [
            "key",
            "label",
            *(c.path for kind in (Kind.VARIABLE, Kind.SPECTATOR, Kind.EVENT) for c in batch.columns(kind)),
        ]
        attributes = {k: batch.attribute(k) for k in ("sample", "splits", "class_counts", "cutflow", "inputs")}
    whole, split = columns_of(output), np.repeat(range(len(attributes["splits"])), attributes["splits"])
    return {name: whole[name] for name in names} | {"split": split}, attributes


def expected(files):
    """Return the columns in file order, selected and labelled by hand."""
    rows = []
    for path in files:
        with uproot.open(path) as file:
            tree = file["Events"].arrays()
        flat = {k[4:]: ak.to_numpy(ak.flatten(tree[k])) for k in tree.fields if k.startswith("Jet_")}
        counts = ak.to_numpy(ak.num(tree["Jet_pt"]))
        flat |= {k: np.repeat(ak.to_numpy(tree[k]), counts) for k in ("run", "luminosityBlock", "event")}
        rows.append(flat)
    x = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
    x["mass"] = np.where(np.isinf(x["mass"]) | (x["mass"] == -999), NAN, x["mass"])
    x["trk_0"] = np.where(x["nTracks"] > 0, x["trk_0"], NAN)
    x["trk_1"] = np.where(x["nTracks"] > 1, x["trk_1"], NAN)
    x["abs_eta"] = np.abs(x["eta"])
    steps = [x["pt"] >= 20, x["abs_eta"] <= 2.5, ~(x["mass"] >= 15), np.isin(x["hadronFlavour"], [0, 4, 5])]
    left = np.logical_and.accumulate(steps)
    flow = [len(x["pt"]), *(int(step.sum()) for step in left)]
    return {name: values[left[-1]] for name, values in x.items()}, flow


@pytest.fixture(scope="module")
def files(tmp_path_factory, write_root):
    directory = tmp_path_factory.mktemp("ntuples")
    return [write_root(directory / f"{i}.root", jets(n, i), baskets=3) for i, n in enumerate((600, 1, 900, 500))]


@pytest.fixture(scope="module")
def batch(files, tmp_path_factory):
    return cleaned(files, tmp_path_factory.mktemp("clean") / "batch.h5")


def rows_of(columns, names):
    """Return the rows in an order of their own, with None for NaN."""
    lists = ([None if x != x else x for x in columns[name].tolist()] for name in names)
    return sorted(zip(*lists, strict=True), key=str)


def test_jets_are_those_selected_by_hand(files, batch):
    columns, attributes = batch
    truth, flow = expected(files)
    ours = rows_of(columns, ["event/event", "variables/pt", "variables/eta", "variables/mass", "label"])
    truth["label"] = np.select([truth["hadronFlavour"] == f for f in (5, 4, 0)], [0, 1, 2])
    assert ours == rows_of(truth, ["event", "pt", "eta", "mass", "label"])
    for name in ("trk_0", "trk_1", "nTracks", "abs_eta"):
        theirs = rows_of(
            {"e": truth["event"], "pt": truth["pt"], "x": truth[name].astype(np.float32)}, ["e", "pt", "x"]
        )
        assert rows_of(columns, ["event/event", "variables/pt", f"variables/{name}"]) == theirs
    assert rows_of(columns, ["event/event", "variables/pt", "spectators/btag"]) == rows_of(
        truth, ["event", "pt", "btag"]
    )
    titles = ["read", "pt >= 20", "abs_eta <= 2.5", "mass < 15", "in a class"]
    assert attributes["cutflow"] == [list(step) for step in zip(titles, flow, strict=True)]


def test_types(batch):
    columns, _ = batch
    types = {name: values.dtype for name, values in columns.items()}
    assert types["key"] == types["event/event"] == np.uint64
    assert types["event/run"] == np.uint32
    assert types["label"] == np.uint8
    assert all(types[name] == np.float32 for name in types if name.startswith(("variables", "spectators")))


def test_rows_are_grouped_by_split_and_sorted_by_key(batch):
    columns, attributes = batch
    assert (np.diff(columns["split"].astype(int)) >= 0).all()
    for split in range(3):
        keys = columns["key"][columns["split"] == split]
        assert (keys[1:] > keys[:-1]).all()
    np.testing.assert_array_equal(np.bincount(columns["split"], minlength=3), attributes["splits"])
    table = np.histogram2d(columns["split"], columns["label"], bins=(3, 3))[0]
    np.testing.assert_array_equal(attributes["class_counts"], table)


def test_the_order_is_random(files, batch):
    columns, _ = batch
    train = columns["split"] == TRAIN
    number = (columns["event/event"][train] - np.uint64(2**60)) // np.uint64(10**6)
    place = (np.arange(train.sum()) + 0.5) / train.sum()
    for file in (0, 2, 3):
        assert stats.kstest(place[number == file], "uniform").pvalue > 1e-3
    for name in ("variables/pt", "variables/eta", "event/event"):
        assert abs(stats.spearmanr(place, columns[name][train].astype(np.float64)).statistic) < 0.06


def test_events_do_not_straddle_splits(batch):
    columns, _ = batch
    event, split = columns["event/event"], columns["split"]
    pairs = np.unique(np.stack([event, split.astype(np.uint64)]), axis=1)
    assert pairs.shape[1] == len(np.unique(event))
    assert len(np.unique(split)) == 3
    assert len(event) > 2 * len(np.unique(event))


def test_splits_by_event_do_not_depend_on_the_batching(files, batch, tmp_path):
    whole = dict(zip(batch[0]["event/event"].tolist(), batch[0]["split"].tolist(), strict=True))
    half, _ = cleaned(files[2:], tmp_path / "half.h5", first_file=2)
    assert all(whole[e] == s for e, s in zip(half["event/event"].tolist(), half["split"].tolist(), strict=True))
    assert set(half["key"].tolist()) <= set(batch[0]["key"].tolist())


def splits_of_events(path, columns):
    """Return the splits that the jets of each event of a file are in; events as uproot reads them."""
    with uproot.open(path) as file:
        tree = file["Events"].arrays(["run", "luminosityBlock", "event", "Jet_pt", "Jet_eta"])
    kinematics = zip(columns["variables/pt"].tolist(), columns["variables/eta"].tolist(), strict=True)
    split = dict(zip(kinematics, columns["split"].tolist(), strict=True))
    assert len(split) == len(columns["split"])
    splits = {}
    for run, block, event, pts, etas in zip(*(tree[name].to_list() for name in tree.fields), strict=True):
        splits[run, block, event] = {split[jet] for jet in zip(pts, etas, strict=True) if jet in split}
    return splits


@pytest.mark.parametrize(
    "split", [{"by": "event"}, {"by": "modulo", "modulo": 300, "test": [*range(100)], "val": [*range(200, 250)]}]
)
@pytest.mark.parametrize("types", [("u4", "u4", "u8"), ("i8", "i2", "i8"), ("u1", "u2", "i4")])
def test_the_same_event_is_in_the_same_split_in_every_sample(tmp_path, write_root, split, types):
    # The largest that int32 holds.
    branches = jets(800, 3) | {"event": np.arange(2**31 - 800, 2**31, dtype=np.uint64)}
    others = dict(zip(("run", "luminosityBlock", "event"), types, strict=True))
    again = jets(800, 4) | {name: branches[name].astype(dtype) for name, dtype in others.items()}
    paths = [write_root(tmp_path / f"{n}.root", tree) for n, tree in enumerate((branches, again))]
    found = []
    for path, sample in zip(paths, ("tt", "qcd"), strict=True):
        columns, _ = cleaned([path], path.with_suffix(".h5"), sample=sample, split=split)
        found.append(splits_of_events(path, columns))
    assert found[0].keys() == found[1].keys()
    both = [found[0][event] | found[1][event] for event in found[0] if found[0][event] and found[1][event]]
    assert len(both) > 300
    assert all(len(splits) == 1 for splits in both)
    assert {0, 1, 2} == set().union(*both)


def test_split_by_jet_is_that_of_the_study(files, tmp_path):
    columns, _ = cleaned(files, tmp_path / "b.h5", split={"by": "jet"})
    truth, _ = expected(files)
    rest, test = train_test_split(np.arange(len(truth["pt"])), test_size=0.2, random_state=1)
    train, val = train_test_split(rest, test_size=0.1, random_state=1)
    for code, rows in enumerate((train, val, test)):
        np.testing.assert_array_equal(
            np.sort(columns["variables/pt"][columns["split"] == code]), np.sort(truth["pt"][rows])
        )


def test_split_by_modulo(files, tmp_path):
    columns, _ = cleaned(files, tmp_path / "b.h5", split={"by": "modulo", "modulo": 5, "test": [0], "val": [1]})
    remainder = np.array([e % 5 for e in columns["event/event"].tolist()])
    np.testing.assert_array_equal(columns["split"], np.select([remainder == 0, remainder == 1], [2, 1], 0))


def test_split_by_expression(files, tmp_path):
    """Test first, then val; a jet without mass is for training."""
    split = {"by": "expression", "test": "event % 5 == 0 & pt > 40", "val": "mass <= 0 | abs_eta < 1.2"}
    columns, _ = cleaned(files, tmp_path / "b.h5", split=split)
    fifth = np.array([e % 5 for e in columns["event/event"].tolist()]) == 0
    pt, mass, eta = (columns[f"variables/{name}"].astype(np.float64) for name in ("pt", "mass", "abs_eta"))
    in_test, in_val = fifth & (pt > 40), ~np.isnan(mass) & ((mass <= 0) | (eta < np.float32(1.2)))
    np.testing.assert_array_equal(columns["split"], np.select([in_test, in_val], [2, 1], 0))
    assert {0, 1, 2} == set(columns["split"][np.isnan(mass) | in_test | in_val].tolist())


@pytest.mark.parametrize(
    "options",
    [{"input": {"chunk_bytes": 20_000}}, {"input": {"chunk_bytes": 1_500}}, {"limits": Limits(run_bytes=0)}],
    ids=str,
)
def test_chunks_and_memory_change_nothing(files, batch, tmp_path, options):
    columns, attributes = cleaned(files, tmp_path / "b.h5", **options)
    for name, values in batch[0].items():
        np.testing.assert_array_equal(columns[name], values)
    for name, value_before in batch[1].items():
        np.testing.assert_array_equal(attributes[name], value_before)
    assert [p.name for p in tmp_path.iterdir()] == ["b.h5"]


def test_the_directory_is_made_if_there_is_none(files, tmp_path):
    columns, _ = cleaned(files, tmp_path / "new/b.h5", limits=Limits(run_bytes=30))
    assert len(columns["key"])


def test_the_same_again_and_another_seed(files, batch, tmp_path):
    again, _ = cleaned(files, tmp_path / "a.h5")
    assert all(
        np.array_equal(again[name], values, equal_nan=values.dtype.kind == "f") for name, values in batch[0].items()
    )
    for changes in ({"seed": 2}, {"sample": "other"}, {"first_file": 1}):
        other, _ = cleaned(files, tmp_path / "b.h5", **changes)
        assert not np.intersect1d(other["key"], again["key"]).size or "first_file" in changes
        assert sorted(other["variables/pt"]) == sorted(again["variables/pt"])
        assert not np.array_equal(other["variables/pt"], again["variables/pt"])


def test_inputs_are_recorded(files, batch):
    for path, entry in zip(files, batch[1]["inputs"], strict=True):
        with uproot.open(path) as file:
            n_jets = int(ak.count(file["Events/Jet_pt"].array()))
        content = path.read_bytes()
        assert entry["path"] == str(path)
        assert (entry["size"], entry["jets"]) == (len(content), n_jets)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["kept"] == len(expected([path])[0]["pt"])


def test_without_checksums(files, tmp_path):
    _, attributes = cleaned(files[:1], tmp_path / "b.h5", input={"checksum": False})
    assert attributes["inputs"][0]["sha256"] is None
    with uproot.open(files[0]) as file:
        assert attributes["inputs"][0]["uuid"] == str(file.file.uuid)


@pytest.mark.parametrize("by", ["event", "jet"])
def test_files_without_jets(tmp_path, write_root, by):
    none = write_root(tmp_path / "none.root", {k: v[:0] for k, v in jets(50, 1).items()})
    only_empty = {
        k: ak.unflatten(ak.flatten(v)[:0], np.zeros(5, int)) if k[:3] == "Jet" else v[:5]
        for k, v in jets(50, 1).items()
    }
    empty = write_root(tmp_path / "empty.root", only_empty)
    columns, attributes = cleaned([none, empty], tmp_path / "b.h5", split={"by": by})
    assert all(len(values) == 0 for values in columns.values())
    assert list(attributes["splits"]) == [0, 0, 0]
    assert attributes["cutflow"][0] == ["read", 0]
    full = write_root(tmp_path / "full.root", jets(50, 2))
    columns, _ = cleaned([none, full, empty], tmp_path / "c.h5", split={"by": by})
    assert sorted(columns["variables/pt"]) == sorted(expected([full])[0]["pt"])


def test_a_jet_tree_without_event_id(tmp_path, write_root):
    rng = np.random.default_rng(0)
    branches = {"pt": rng.uniform(10, 90, 500), "eta": rng.normal(size=500).astype(np.float32)}
    branches["flav"] = rng.choice([0, 4, 5], 500)
    path = write_root(tmp_path / "jets.root", branches, tree="deep/tree")
    raw = {
        "samples": {"tt": {"toy": {"process": "ttbar"}}},
        "input": {"tree": "deep/tree", "level": "jet", "jets": "", "event_id": []},
        "jets": {"variables": ["pt", "eta"], "select": ["pt > 30"]},
        "classes": {"b": "flav == 5", "rest": "rest"},
        "split": {"by": "jet"},
        "balance": {"bins": {"pt": [30, 90, 3]}},
    }
    clean_batch([path], tmp_path / "b.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    with Batch(tmp_path / "b.h5") as batch:
        assert batch.columns(Kind.EVENT) == []
        np.testing.assert_array_equal(
            np.sort(batch.read(at("variables/pt"))), np.sort(branches["pt"][branches["pt"] > 30])
        )
        assert batch.read(at("variables/pt")).dtype == np.float64


def test_many_classes_are_counted(files, tmp_path):
    classes = {f"c{i}": f"hadronFlavour == {i if i < 80 else -i}" for i in range(90)} | {"last": "pt > 0"}
    columns, attributes = cleaned(files, tmp_path / "b.h5", classes=classes)
    assert attributes["class_counts"].shape == (3, 91)
    for split in range(3):
        counts = np.bincount(columns["label"][columns["split"] == split], minlength=91)
        np.testing.assert_array_equal(attributes["class_counts"][split], counts)


def test_a_defined_value_beyond_float32_is_missing(files, tmp_path):
    columns, _ = cleaned(
        files,
        tmp_path / "b.h5",
        jets={"define": {"abs_eta": "abs(eta)", "big": "exp(2 * pt)"}, "variables": ["pt", "big"], "missing": {}},
    )
    big, pt = columns["variables/big"], columns["variables/pt"].astype(np.float64)
    assert not np.isinf(big).any()
    np.testing.assert_allclose(big[pt < 44], np.exp(2 * pt[pt < 44]), rtol=1e-6)


@pytest.mark.parametrize(
    ("jets_changes", "others"),
    [
        ({"define": {"abs_eta": "abs(eta)", "a": "2 * b", "b": "2 * pt"}}, {}),
        ({"define": {"abs_eta": "abs(eta)", "pt": "pt / 1000"}}, {}),
        ({"define": {"abs_eta": "abs(eta)", "n": "nTracks + 0"}, "missing": {"slots": {"n": ["trk"]}}}, {}),
        ({"define": {"abs_eta": "abs(eta)", "twice": "2 * btag"}, "spectators": ["twice"]}, {}),
        ({"define": {"abs_eta": "abs(eta)", "ev": "event + 1"}}, {"input": {"event_id": ["run", "ev"]}}),
    ],
    ids=["order", "redefined", "count of slots", "reference", "event id"],
)
def test_definitions_in_unusual_places_work_or_are_refused(files, tmp_path, jets_changes, others):
    try:
        columns, _ = cleaned(files, tmp_path / "b.h5", jets=jets_changes, **others)
    except JetmillError as error:
        assert any(f"'{name}'" in str(error) for name in jets_changes["define"])  # noqa: PT017
    else:
        assert len(columns["key"])


def test_slots_of_defined_variables_are_not_ignored(files, tmp_path):
    columns, _ = cleaned(
        files,
        tmp_path / "b.h5",
        jets={
            "define": {"abs_eta": "abs(eta)", "twice_0": "2 * pt", "twice_1": "2 * pt"},
            "missing": {"slots": {"nTracks": ["twice"]}},
            "variables": ["pt", "twice_0", "twice_1", "nTracks"],
        },
    )
    for k in (0, 1):
        np.testing.assert_array_equal(np.isnan(columns[f"variables/twice_{k}"]), columns["variables/nTracks"] <= k)


def refusal(files, output, **changes):
    with pytest.raises(JetmillError) as error:
        cleaned(files, output, **changes)
    assert not output.exists()
    return str(error.value)


def test_a_missing_branch_names_file_and_nearest(files, tmp_path):
    message = refusal(files, tmp_path / "b.h5", jets={"variables": ["pt", "Mass", "trk_0"]})
    assert message == f"{files[0]}: tree 'Events' has no branch 'Jet_Mass' or 'Mass'. Did you mean 'Jet_mass'?"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_event_id_that_is_a_float(tmp_path, write_root, dtype):
    path = write_root(tmp_path / "f.root", jets(20, 1) | {"event": np.arange(20, dtype=dtype)})
    message = refusal([path], tmp_path / "b.h5")
    assert message == f"{path}: 'event' of input.event_id is {np.dtype(dtype)}; it must be an integer"


@pytest.mark.parametrize(
    ("branch", "types", "stored"),
    [
        ("Jet_mass", [np.float32, np.float64], np.float64),
        ("event", [np.uint32, np.uint64], np.uint64),
        ("event", [np.uint64, np.int64], np.uint64),
        ("Jet_nTracks", [np.uint8, np.int32], np.float64),
    ],
)
def test_files_with_other_types(tmp_path, write_root, branch, types, stored):
    paths = []
    for i, dtype in enumerate(types):
        content, per_event = jets(30, i), not branch.startswith("Jet")
        other = np.arange(30).astype(dtype) if per_event else ak.values_astype(ak.Array(content[branch]), dtype)
        paths.append(write_root(tmp_path / f"{i}.root", content | {branch: other}))
    truth, _ = expected(paths)
    name, column = ("event", "event/event") if per_event else (branch[4:], f"variables/{branch[4:]}")
    for order in (paths, paths[::-1]):
        columns, _ = cleaned(order, tmp_path / "c.h5")
        assert columns[column].dtype == stored
        np.testing.assert_array_equal(np.sort(columns[column]), np.sort(truth[name].astype(stored)))


def test_a_damaged_file_among_others_leaves_nothing(files, tmp_path):
    cut = tmp_path / "cut.root"
    cut.write_bytes(files[2].read_bytes()[: files[2].stat().st_size // 2])
    (tmp_path / "out").mkdir()
    message = refusal([files[0], cut], tmp_path / "out/b.h5")
    assert message.startswith(f"{cut}: ")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.real_data
def test_real_pfnano_with_the_study_configuration(shared_data, tmp_path):
    from pathlib import Path

    import yaml

    raw = yaml.safe_load((Path(__file__).parents[2] / "config/cms-deepcsv.yaml").read_text())
    path = shared_data("pfnano.root")
    config = load(raw | {"samples": {"qcd": {"files": str(path)}}})
    clean_batch([path], tmp_path / "b.h5", settings=config.cleaning, sample="qcd", first_file=0)
    with Batch(tmp_path / "b.h5") as batch:
        assert len(batch.columns(Kind.VARIABLE)) == 67
        assert batch.attribute("cutflow")[0] == ["read", 64]
        counts = batch.read(at("variables/DeepCSV_jetNSelectedTracks"))
        for k in range(6):
            trk = batch.read(at(f"variables/DeepCSV_trackSip3dSig_{k}"))
            assert np.isnan(trk[counts <= k]).all()
            assert (np.abs(trk[counts > k]) < 1e4).all()
        assert not any(np.isinf(batch.read(column)).any() for column in batch.columns(Kind.VARIABLE))


def test_position_of_a_jet_in_its_event(tmp_path, write_root):
    counts, pt = [3, 0, 1, 2], [10.0, 30, 50, 70, 90, 5]
    path = write_root(tmp_path / "a.root", {"event": [7, 8, 9, 11], "Jet_pt": ak.unflatten(pt, counts)})
    raw = {
        "samples": {"tt": {"files": [str(path)]}},
        "input": {"event_id": ["event"]},
        "jets": {"variables": ["pt"], "select": ["pt > 20"]},
        "classes": {"all": "rest"},
        "balance": {"bins": {"pt": [0, 100, 1]}},
    }
    clean_batch([path], tmp_path / "c.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    with h5py.File(tmp_path / "c.h5") as file:
        jets = [file[name][()].tolist() for name in ("variables/pt", "event/event", "event/jet")]
        assert file["event/jet"].dtype == np.int32
    assert sorted(zip(*jets, strict=True)) == [(30, 7, 1), (50, 7, 2), (70, 9, 0), (90, 11, 0)]
