"""All fields of the input in test files (write.keep_all): real NanoAOD against plain uproot, and HDF5 dumps."""

from importlib.util import find_spec

import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs

from jetmill.errors import JetmillError
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


def test_an_output_holds_what_all_files_have_in_one_type(tmp_path):
    raw = of_dumps(tmp_path, {"a": "i1", "b": "?", "only": "f8"}, {"b": "?", "a": "i2"}, files_per_batch=1)
    with h5py.File(run_in_process(raw) / "structured/test.h5") as file:
        jets = file["jets"][()]
    assert {name: str(jets.dtype[name]) for name in ("a", "b")} == {"a": "int16", "b": "bool"}
    assert "only" not in jets.dtype.names
    expected = (jets["eventNumber"] % 300 + jets["eventNumber"] // 300) % 2
    assert np.array_equal(jets["a"], expected)


def test_files_of_a_batch_need_the_fields_of_the_first(tmp_path):
    with pytest.raises(JetmillError, match=r"1\.h5: write\.keep_all: lacks only, which the file before it has; give"):
        run_in_process(of_dumps(tmp_path, {"only": "f8"}, {}))
    raw = of_dumps(tmp_path, {"only": "f8"}, {}, optional={"only": 0.5})
    with h5py.File(run_in_process(raw | {"output_dir": str(tmp_path / "again")}) / "structured/test.h5") as file:
        jets = file["jets"][()]
    assert set(jets["only"][jets["eventNumber"] >= 300].tolist()) == {0.5}
