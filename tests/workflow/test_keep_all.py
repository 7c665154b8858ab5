"""All fields of the input in test files (write.keep_all): real NanoAOD against plain uproot, and HDF5 dumps."""

from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs
from tfrecord_files import read_tfrecord

import jetmill
from jetmill.workflow.in_process import run_in_process

pytestmark = pytest.mark.workflow

CONFIG = {
    "strict": False,
    "jets": {"select": ["pt > 20"], "variables": ["pt", "eta", "nConstituents"]},
    "classes": {"b": "hadronFlavour == 5", "light": "rest"},
    "balance": {"bins": {"pt": [20, 1000, 2]}, "outside": "drop"},
    "write": {"formats": runs.FORMATS, "keep_all": True, "native_types": True, "parts": {"test": 2}},
    "report": {"plots": False},
}


@pytest.fixture(scope="module")
def path(shared_data):
    return shared_data("nano_tt_v12.root")


@pytest.fixture(scope="module")
def run(path, tmp_path_factory):
    config = CONFIG | {"samples": {"tt": {"files": [str(path)]}}}
    return runs.succeeds(tmp_path_factory.mktemp("keep_all"), "--cores", "2", config=config)


@pytest.fixture(scope="module")
def truth(path):
    """Branches of jets that are one number each: name to type, and (event, jet) to the values of each jet."""
    with uproot.open(path) as file:
        tree = file["Events"]
        branches = tree.keys()
        names = [key.removeprefix("Jet_") for key in branches if key.startswith("Jet_")]
        types = {name: tree[f"Jet_{name}"].interpretation.content.to_dtype.newbyteorder("=") for name in names}
        events = tree.arrays(["event", *(f"Jet_{name}" for name in names)]).to_list()
    jets = {
        (event["event"], i): {name: event[f"Jet_{name}"][i] for name in names}
        for event in events
        for i in range(len(event["Jet_pt"]))
    }
    return types, jets


def test_every_field_has_its_value_and_type(run, truth):
    types, jets = truth
    arrays = runs.datasets(run.results / "test.h5")
    found = {name.removeprefix("jets/fields/"): x for name, x in arrays.items() if name.startswith("jets/fields/")}
    assert {name: x.dtype for name, x in found.items()} == types
    assert len(types) > 30
    assert {dtype.kind for dtype in types.values()} == {"f", "i", "u"}
    ids = list(zip(arrays["jets/event/event"].tolist(), arrays["jets/event/jet"].tolist(), strict=True))
    assert len(ids) > 100
    for name, values in found.items():
        assert values.tolist() == [jets[i][name] for i in ids]


def test_records_and_tables_hold_them_by_name(run, truth):
    types, jets = truth
    with h5py.File(run.results / "structured/test.h5") as file:
        records = file["jets"][()]
    for name, dtype in types.items():
        if name not in CONFIG["jets"]["variables"]:
            assert records.dtype[name] == dtype
    assert records.dtype["nConstituents"] == np.uint8
    for record in records:
        jet = jets[int(record["event"]), int(record["jet"])]
        assert [record[name] for name in types] == list(jet.values())
    if find_spec("pyarrow"):
        import pyarrow.parquet as pq

        table = pq.read_table(run.results / "parquet/test")
        for row in table.to_pylist():
            jet = jets[row["event"], row["jet"]]
            assert [row[name] for name in types] == list(jet.values())


def test_other_outputs_have_none_and_are_as_without(run, path, tmp_path):
    config = CONFIG | {"samples": {"tt": {"files": [str(path)]}}, "output_dir": str(tmp_path / "results")}
    plain = run_in_process(config | {"write": CONFIG["write"] | {"keep_all": False, "formats": ["hdf5", "structured"]}})
    for split in runs.SPLITS:
        found, expected = (runs.datasets(results / f"{split}.h5") for results in (run.results, plain))
        assert split == "test" or found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert (run.results / "scale_dict.json").read_text() == (plain / "scale_dict.json").read_text()


def write_dump(path, number, fields):
    """Write jets of an ATLAS dump with further fields."""
    rng = np.random.default_rng(number)
    jets = np.zeros(300, [("pt", "f4"), ("flavour", "i4"), ("eventNumber", "u8"), *fields.items()])
    jets["pt"], jets["flavour"] = rng.uniform(0, 100, 300), rng.choice([0, 5], 300)
    jets["eventNumber"] = np.arange(300) + 300 * number
    for name in fields:
        jets[name] = (np.arange(300) + number) % 2
    with h5py.File(path, "w") as file:
        file["jets"] = jets
    return str(path)


def of_dumps(tmp_path, *of_files, **input_keys):
    files = [write_dump(tmp_path / f"{k}.h5", k, fields) for k, fields in enumerate(of_files)]
    return {
        "output_dir": str(tmp_path / "results"),
        "samples": {"a": {"files": files}},
        "input": {"format": "hdf5", **input_keys},
        "jets": {"variables": ["pt"]},
        "classes": {"b": "flavour == 5", "light": "rest"},
        "balance": {"bins": {"pt": [0, 100, 5]}},
        "write": {"keep_all": True, "formats": ["structured"]},
        "report": {"plots": False},
    }


@pytest.mark.parametrize("files_per_batch", [1, 2])
def test_an_output_holds_what_all_files_have_in_one_type(tmp_path, files_per_batch):
    raw = of_dumps(
        tmp_path, {"a": "i1", "b": "?", "only": "f8"}, {"b": "?", "a": "i2"}, files_per_batch=files_per_batch
    )
    with h5py.File(run_in_process(raw) / "structured/test.h5") as file:
        jets = file["jets"][()]
    assert {name: str(jets.dtype[name]) for name in ("a", "b")} == {"a": "int16", "b": "bool"}
    assert "only" not in jets.dtype.names
    expected = (jets["eventNumber"] % 300 + jets["eventNumber"] // 300) % 2
    assert np.array_equal(jets["a"], expected)


def test_a_field_that_a_file_lacks_is_there_if_it_has_a_value(tmp_path):
    raw = of_dumps(tmp_path, {"only": "f8"}, {}, optional={"only": 0.5})
    with h5py.File(run_in_process(raw) / "structured/test.h5") as file:
        jets = file["jets"][()]
    assert set(jets["only"][jets["eventNumber"] >= 300].tolist()) == {0.5}


def test_a_damaged_file_takes_no_fields_from_the_others(tmp_path):
    raw = of_dumps(tmp_path, {"a": "i1"}, {"a": "i1"}, unreadable="skip")
    Path(raw["samples"]["a"]["files"][0]).write_bytes(b"no HDF5 file")
    with h5py.File(run_in_process(raw) / "structured/test.h5") as file:
        assert "a" in file["jets"].dtype.names


# Constituents

LINKED = {
    "strict": False,
    "jets": {"variables": ["pt"]},
    "constituents": {
        "pf": {
            "tree": {"branches": "PFCands", "links": "JetPFCands", "index": "pFCandsIdx"},
            "units": {"eta": 2},
            "define": {"phi": "pt"},
            "select": ["pt > 1"],
            "sort_by": "pt",
            "max": 20,
            "variables": ["pt", "phi", "eta"],
            "labels": ["pdgId"],
        }
    },
    "classes": {"charm": "hadronFlavour == 4", "light": "rest"},
    "balance": {"bins": {"pt": [0, 1000, 1]}, "outside": "drop"},
    "split": {"by": "event", "test": 0.5, "val": 0.2},
    "write": {"keep_all": True, "formats": runs.FORMATS},
    "report": {"plots": False},
}


@pytest.fixture(scope="module")
def linked(shared_data, tmp_path_factory):
    """Return finished results of PFNano, names and types of all branches of the constituents, and those of each jet."""
    path = shared_data("pfnano.root")
    raw = LINKED | {
        "samples": {"qcd": {"files": [str(path)]}},
        "output_dir": str(tmp_path_factory.mktemp("pf") / "out"),
    }
    with uproot.open(path) as file:
        tree = file["Events"]
        types, tables = {}, {}
        for table in ("PFCands", "JetPFCands"):
            for key in tree.keys(filter_name=f"{table}_*"):
                name = key.removeprefix(f"{table}_")
                types.setdefault(name, tree[key].interpretation.content.to_dtype.newbyteorder("="))
                tables.setdefault(name, table)
        events = tree.arrays(["event", *(f"{table}_{name}" for name, table in tables.items())]).to_list()
    jets = {}
    for event in events:
        for link, jet in enumerate(event["JetPFCands_jetIdx"]):
            target = event["JetPFCands_pFCandsIdx"][link]
            place = {"PFCands": target, "JetPFCands": link}
            one = {name: event[f"{table}_{name}"][place[table]] for name, table in tables.items()}
            if one["pt"] > 1:
                jets.setdefault((event["event"], jet), []).append(one)
    # In the order of the output, and what a factor and a definition make of them.
    del types["phi"]
    types["eta"] = np.dtype(np.float32)
    for of_jet in jets.values():
        of_jet.sort(key=lambda one: -one["pt"])
        del of_jet[20:]
        for one in of_jet:
            one["eta"] *= 2
    return run_in_process(raw), types, jets


def test_fields_of_constituents_have_their_values_and_types(linked):
    results, types, truth = linked
    jets = jetmill.load(results / "test.h5")
    fields, valid = jets.constituents["pf"].fields, jets.constituents["pf"].valid
    assert {name: values.dtype for name, values in fields.items()} == types
    assert len(types) > 20
    assert {dtype.kind for dtype in types.values()} == {"f", "i"}
    assert len(jets) > 10
    for i, place in enumerate(zip(jets.event["event"].tolist(), jets.event["jet"].tolist(), strict=True)):
        for name, values in fields.items():
            expected = [one[name] for one in truth.get(place, [])]
            np.testing.assert_array_equal(values[i][valid[i]], np.array(expected, dtype=values.dtype))
            assert not values[i][~valid[i]].any()
    # The field of an input is as in the file, the input as it was made.
    np.testing.assert_allclose(jets.fields["pt"], jets.variable("pt"), rtol=1e-6)
    assert jetmill.load(results / "train.h5").constituents["pf"].fields == {}


def test_records_tables_and_tensors_hold_fields_of_constituents(linked):
    results, types, _ = linked
    jets = jetmill.load(results / "test.h5")
    fields, valid = jets.constituents["pf"].fields, jets.constituents["pf"].valid
    with h5py.File(results / "structured/test.h5") as file:
        records = file["pf"][()]
    own = {"pt", "eta", "pdgId"}
    for name in types.keys() - own:
        np.testing.assert_array_equal(records[name], fields[name])
        assert records.dtype[name] == types[name]
    part = results / "torch/test/part_0000.pt"
    if part.exists():
        import torch

        tensors = torch.load(part, weights_only=True)
        for name in types:
            np.testing.assert_array_equal(tensors[f"pf_fields_{name}"].numpy(), fields[name])
    features = read_tfrecord(results / "tfrecords/test/test_0001.tfrecord")
    for name in types:
        expected = fields[name].astype(np.float32 if types[name].kind == "f" else np.int64)
        np.testing.assert_array_equal(np.reshape(features[f"pf/fields/{name}"], expected.shape), expected)
    if find_spec("pyarrow"):
        import pyarrow.parquet as pq

        table = pq.read_table(results / "parquet/test")
        for name in types.keys() - own:
            for row, values, used in zip(table[f"pf_{name}"].to_pylist(), fields[name], valid, strict=True):
                np.testing.assert_array_equal(row, values[used])


def test_fields_of_constituents_change_nothing_else(linked, shared_data, tmp_path):
    samples = {"qcd": {"files": [str(shared_data("pfnano.root"))]}}
    plain = run_in_process(
        LINKED | {"samples": samples, "output_dir": str(tmp_path / "out"), "write": {"formats": ["hdf5"]}}
    )
    for split in runs.SPLITS:
        found = runs.datasets(linked[0] / f"{split}.h5")
        for name, values in runs.datasets(plain / f"{split}.h5").items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def write_tracks(path, number, fields):
    """Write jets with three slots of tracks, which have further fields."""
    write_dump(path, number, {})
    tracks = np.zeros((300, 3), [("d0", "f4"), ("valid", "?"), *fields.items()])
    tracks["d0"] = np.random.default_rng(number).normal(size=(300, 3))
    tracks["valid"] = np.arange(3) < (np.arange(300) % 4)[:, None]
    for name in fields:
        tracks[name] = np.arange(900).reshape(300, 3) % 100
    with h5py.File(path, "a") as file:
        file["tracks"] = tracks
    return str(path)


@pytest.mark.parametrize("files_per_batch", [1, 2, 3])
def test_constituents_of_files_with_different_fields(tmp_path, files_per_batch):
    """An output holds the fields that all of its files have, however these are divided into batches."""
    raw = of_dumps(tmp_path, files_per_batch=files_per_batch)
    given = [{"a": "i1", "b": "f8"}, {"a": "i2"}, {"a": "i1", "b": "f8", "c": "u1"}]
    raw["samples"]["a"]["files"] = [write_tracks(tmp_path / f"{k}.h5", k, of) for k, of in enumerate(given)]
    raw["constituents"] = {"tracks": {"variables": ["d0"], "max": 3}}
    with h5py.File(run_in_process(raw) / "structured/test.h5") as file:
        jets, tracks = file["jets"][()], file["tracks"][()]
    assert tracks.dtype.names == ("a", "d0", "valid")
    assert tracks.dtype["a"] == np.int16
    place = jets["eventNumber"].astype(int) % 300
    assert len(place) > 50
    expected = (place[:, None] * 3 + np.arange(3)) % 100
    assert np.array_equal(tracks["a"], np.where(tracks["valid"], expected, 0))
    assert np.array_equal(tracks["valid"], np.arange(3) < (place % 4)[:, None])
