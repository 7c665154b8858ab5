"""Variables that some files lack, and limits for a quick trial."""

import json
import re

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs

from jetmill.errors import JetmillError
from jetmill.plan import Plan
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources import open_source
from jetmill.workflow.in_process import run_in_process

COUNTS = [2, 3, 0, 1, 4]


@pytest.fixture
def files(tmp_path, write_root):
    """Two files of five events; the second one has neither HLT_x nor Jet_new."""

    def write(number, lacks=()):
        jets = ak.unflatten(np.arange(10) + 10.0 * number, COUNTS)
        branches = {
            "event": np.arange(5, dtype=np.uint64) + 5 * number,
            "Jet_pt": jets,
            "Jet_flavour": ak.values_astype(jets % 2, np.int32),
            "HLT_x": np.array([True, False, True, True, True]),
            "Jet_new": ak.values_astype(jets, np.int32),
        }
        kept = {name: values for name, values in branches.items() if name not in lacks}
        return str(write_root(tmp_path / f"{number}.root", kept))

    return [write(0), write(1, ["HLT_x", "Jet_new"])]


def config(tmp_path, files, **settings):
    return {
        "output_dir": str(tmp_path / "results"),
        "strict": False,
        "samples": {"tt": {"files": files}},
        "input": {"event_id": ["event"], **settings},
        "jets": {"variables": ["pt", "new"], "spectators": ["HLT_x"]},
        "classes": {"odd": "flavour == 1", "even": "rest"},
        "scaling": {"unscaled": ["*"]},
        "balance": {"bins": {"pt": [0, 100, 1]}},
    }


def finished(raw):
    """Return pT, the other variable and the spectator of all jets, by rising pT, and the directory."""
    results = run_in_process(raw)
    splits = [runs.datasets(results / f"{split}.h5") for split in ("train", "val", "test")]
    inputs = np.concatenate([split["jets/inputs"] for split in splits])
    spectators = np.concatenate([split["jets/spectators/HLT_x"] for split in splits])
    order = np.argsort(inputs[:, 0])
    return inputs[order, 0], inputs[order, 1], spectators[order], results


@pytest.mark.parametrize("files_per_batch", [1, 2])
def test_values_where_a_file_lacks_a_variable(tmp_path, files, caplog, files_per_batch):
    optional = {"HLT_x": False, "new": -5}
    raw = config(tmp_path, files, optional=optional, files_per_batch=files_per_batch)
    pt, new, trigger, results = finished(raw)
    assert pt.tolist() == [*range(20)]
    assert new.tolist() == [*range(10), *[-5] * 10]
    assert trigger.tolist() == [*np.repeat([1, 0, 1, 1, 1], COUNTS), *[0] * 10]
    manifest = json.loads((results / "manifest.json").read_text())
    assert [entry.get("lacks") for entry in manifest["inputs"]] == [None, "new, HLT_x"]
    expected = f"1 of {files_per_batch} files lack 'HLT_x', an optional variable; it is False there"
    assert expected in caplog.text
    assert any(expected in warning for warning in map(str, manifest["warnings"]))


def test_missing_where_a_file_lacks_a_variable(tmp_path, files):
    raw = config(tmp_path, files, optional={"HLT_x": True, "new": "missing"})
    raw["scaling"] = {"unscaled": ["*"], "defaults": {"new": -99}}
    _, new, trigger, _ = finished(raw)
    assert new.tolist() == [*range(10), *[-99] * 10]
    assert trigger.tolist()[10:] == [1] * 10


def test_a_variable_that_is_not_optional(tmp_path, files):
    with pytest.raises(JetmillError, match=r"1\.root: tree 'Events' has no branch 'Jet_new' or 'new'"):
        run_in_process(config(tmp_path, files, optional={"HLT_x": False}))


def test_an_optional_variable_of_another_kind_is_an_error(tmp_path, write_root):
    path = write_root(tmp_path / "a.root", {"Jet_pt": ak.Array([[1.0]]), "Jet_x": ak.Array([[1.0, 2.0]])})
    expected = "'Jet_x' and 'Jet_pt' have different numbers of jets"
    with open_source(str(path), Input(optional={"x": 0}), {}) as source, pytest.raises(JetmillError, match=expected):
        list(source.chunks(["pt", "x"], {}))


def test_an_optional_field_of_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"] = np.array([(1.0,), (2.0,)], dtype=[("pt", "f4")])
    settings = Input(format="hdf5", jets="jets", optional={"flag": True, "n": 300, "x": 0.5})
    with open_source(str(tmp_path / "a.h5"), settings) as source:
        types = source.dtypes(["n", "pt", "x", "flag"])
        (chunk,) = source.chunks(["n", "pt", "x", "flag"], {})
    assert {name: str(dtype) for name, dtype in types.items()} == {
        "n": "uint16",
        "pt": "float32",
        "x": "float32",
        "flag": "bool",
    }
    assert {name: values.tolist() for name, values in chunk.columns.items()} == {
        "n": [300] * 2,
        "pt": [1, 2],
        "x": [0.5] * 2,
        "flag": [True] * 2,
    }


TRACKS = [[1.0, 2], [], [3], [4, 5]]


def tracks_of(arrays):
    """Return the values of each jet with valid slots, of all outputs, by rising pT."""
    found = {}
    for jets in arrays:
        for pt, valid, inputs, label in zip(*jets, strict=True):
            found[float(pt[0])] = inputs[valid].tolist(), label[valid].tolist()
    return [found[pt] for pt in sorted(found)]


@pytest.mark.parametrize("files_per_batch", [1, 2])
def test_variables_of_constituents_that_a_file_lacks(tmp_path, write_root, caplog, files_per_batch):
    whole = {"trk_pt": ak.Array(TRACKS), "trk_hits": ak.values_astype(ak.Array(TRACKS), np.uint8)}
    whole["trk_origin"] = whole["trk_hits"]
    files = [{"pt": np.arange(4.0), **whole}, {"pt": np.arange(4.0) + 4, "trk_pt": ak.Array(TRACKS)}]
    raw = {
        "output_dir": str(tmp_path / "results"),
        "strict": False,
        "samples": {"tt": {"files": [str(write_root(tmp_path / f"{n}.root", f)) for n, f in enumerate(files)]}},
        "input": {"level": "jet", "jets": "", "event_id": [], "files_per_batch": files_per_batch},
        "jets": {"variables": ["pt"]},
        "constituents": {
            "trk": {
                "optional": {"hits": 7, "origin": -1},
                "select": ["hits > 1"],
                "variables": ["pt", "hits"],
                "labels": ["origin"],
                "scaling": {"unscaled": ["*"]},
                "max": 3,
            }
        },
        "classes": {"low": "pt < 2", "high": "rest"},
        "split": {"by": "jet"},
        "scaling": {"unscaled": ["*"]},
    }
    results = run_in_process(raw)
    names = ("jets/inputs", "trk/valid", "trk/inputs", "trk/labels/origin")
    splits = [runs.datasets(results / f"{split}.h5") for split in ("train", "val", "test")]
    assert tracks_of([[split[name] for name in names] for split in splits]) == [
        *(([[x, x] for x in jet if x > 1], [x for x in jet if x > 1]) for jet in TRACKS),
        *(([[x, 7] for x in jet], [-1] * len(jet)) for jet in TRACKS),
    ]
    manifest = json.loads((results / "manifest.json").read_text())
    assert [entry.get("lacks") for entry in manifest["inputs"]] == [None, "hits of trk, origin of trk"]
    assert f"1 of {files_per_batch} files lack 'hits of trk', an optional variable; it is 7 there" in caplog.text
    del raw["constituents"]["trk"]["optional"]["hits"]
    with pytest.raises(JetmillError, match=r"1\.root: tree 'Events' has no branch 'trk_hits'"):
        run_in_process(raw | {"output_dir": str(tmp_path / "again")})
    raw["constituents"]["trk"]["optional"] = {"hit": 7}
    expected = "constituents.trk.optional: nothing reads a variable 'hit'. Did you mean 'hits'?"
    with pytest.raises(JetmillError, match=re.escape(expected)):
        Plan.from_raw(raw)


def test_an_optional_field_of_constituents_in_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"] = np.array([(1.0,), (2.0,)], dtype=[("pt", "f4")])
        file["tracks"] = np.array(
            [[(1.0, True), (2.0, True)], [(3.0, True), (0.0, False)]], [("d0", "f4"), ("valid", "?")]
        )
    tracks = {"tracks": Constituents(variables=("d0", "z0"), optional={"z0": "missing"})}
    with open_source(str(tmp_path / "a.h5"), Input(format="hdf5", jets="jets"), tracks) as source:
        assert source.constituent_dtypes("tracks", ["z0", "d0"]) == {"z0": np.float32, "d0": np.float32}
        (chunk,) = source.chunks(["pt"], {"tracks": ["d0", "z0"]})
        found = chunk.constituents("tracks", ["z0", "d0"], np.array([True, True]))
    assert (found.counts.tolist(), found.columns["d0"].tolist()) == ([2, 1], [1, 2, 3])
    assert np.isnan(found.columns["z0"]).tolist() == [True] * 3


@pytest.mark.parametrize(
    ("optional", "expected"),
    [
        ({"HLT_y": False}, "input.optional: nothing reads a variable 'HLT_y'. Did you mean 'HLT_x'?"),
        ({"event": 0}, "input.optional: 'event' identifies the event (input.event_id); no file may lack it"),
        ({"HLT_x": "perhaps"}, "input.optional.HLT_x"),
    ],
)
def test_mistakes(tmp_path, files, optional, expected):
    with pytest.raises(JetmillError) as error:
        Plan.from_raw(config(tmp_path, files, optional=optional))
    assert str(error.value).startswith(expected)


# Quick trials.


@pytest.mark.parametrize(("most", "read"), [(1, 2), (2, 2), (3, 5), (5, 5), (6, 6), (7, 10), (100, 10)])
@pytest.mark.parametrize("chunk_bytes", [10, 10**6])
def test_the_first_jets_of_a_file(tmp_path, files, most, read, chunk_bytes):
    """In whole events, however many are read at a time."""
    with open_source(files[0], Input(max_jets_per_file=most, chunk_bytes=chunk_bytes)) as source:
        chunks = list(source.chunks(["pt"], {}))
    assert np.concatenate([chunk.columns["pt"] for chunk in chunks]).tolist() == [*range(read)]
    assert np.concatenate([chunk.entry for chunk in chunks]).tolist() == np.repeat(range(5), COUNTS)[:read].tolist()


def test_what_comes_after_the_first_jets_is_not_read(tmp_path, write_root, monkeypatch):
    path = write_root(tmp_path / "a.root", {"Jet_pt": ak.unflatten(np.arange(5000.0), np.full(1000, 5))}, baskets=50)
    taken, iterate = [], uproot.TTree.iterate

    def counted(tree, *arguments, **options):
        for arrays in iterate(tree, *arguments, **options):
            taken.append(len(arrays))
            yield arrays

    monkeypatch.setattr(uproot.TTree, "iterate", counted)
    with open_source(str(path), Input(max_jets_per_file=200, chunk_bytes=1000)) as source:
        n = sum(len(chunk.entry) for chunk in source.chunks(["pt"], {}))
    assert n == 200
    assert sum(taken) < 100


@pytest.mark.parametrize("files_per_batch", [1, 2])
def test_a_quick_trial(tmp_path, files, files_per_batch):
    optional = {"HLT_x": False, "new": 0}
    raw = config(tmp_path, files, optional=optional, max_jets_per_file=3, files_per_batch=files_per_batch)
    assert finished(raw)[0].tolist() == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    one = Plan.from_raw(config(tmp_path, files, optional=optional, max_files=1))
    assert one.files == {"tt": files[:1]}


def test_constituents_of_the_first_jets(tmp_path, write_root):
    tracks = ak.Array([[1.0, 2], [], [3], [4, 5]])
    path = write_root(tmp_path / "a.root", {"pt": np.arange(4.0), "trk_pt": tracks})
    settings = Input(level="jet", jets="", max_jets_per_file=3)
    with open_source(str(path), settings, {"trk": Constituents(variables=("pt",))}) as source:
        (chunk,) = source.chunks(["pt"], {"trk": ["pt"]})
        found = chunk.constituents("trk", ["pt"], np.array([True, False, True]))
    assert (found.counts.tolist(), found.columns["pt"].tolist()) == ([2, 1], [1, 2, 3])
