"""Columns whose files store them in different types: exact, whatever the order of the files and the batches."""

import itertools

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_runs import run_stages

from jetmill import DumpStream
from jetmill.columns.promotion import Types, merge
from jetmill.columns.schema import Column, Kind
from jetmill.errors import JetmillError
from jetmill.splitting import SPLITS

N = 60
# Type of each column in each of five files, and the least and largest value.
FILES = [
    {"eventNumber": ("i8", 0, 2**63 - 1), "target": ("i8", -(2**63), 2**63 - 1), "mixed": ("i2", -50, 50)},
    {"eventNumber": ("u8", 2**62, 2**64 - 1), "target": ("u8", 0, 2**63 - 1), "mixed": ("f4", -1, 1)},
    {"eventNumber": ("i4", 0, 2**31 - 1), "target": ("i4", -(2**31), 2**31 - 1), "mixed": ("?", 0, 1)},
    {"eventNumber": ("u4", 2**31, 2**32 - 1), "target": ("?", 0, 1), "mixed": ("i4", -(2**31), 2**31 - 1)},
    {"eventNumber": ("u8", 2**63, 2**64 - 1), "target": ("u1", 0, 255), "mixed": ("i8", -(2**53), 2**53)},
]
EXPECTED = {"eventNumber": np.uint64, "target": np.int64, "mixed": np.float64}
PT_TYPES = ["f4", "f8", "i2", "i4", "f4"]


def numbers(rng, code, low, high):
    """Return values of a type as it is and as Python numbers, the ends of the range among them."""
    if code[0] == "f":
        values = rng.uniform(low, high, N).astype(code)
    else:
        values = rng.integers(low, high, N, dtype=np.uint64 if high >= 2**63 else np.int64, endpoint=True).astype(code)
        values[0], values[1] = low, high
    return values


def write(path, columns, pt_type, number):
    rng = np.random.default_rng(number)
    made = {name: numbers(rng, *kind) for name, kind in columns.items()}
    jets = np.zeros(N, [(name, values.dtype) for name, values in made.items()] + [("pt", pt_type), ("serial", "f4")])
    for name, values in made.items():
        jets[name] = values
    jets["pt"], jets["serial"] = rng.uniform(1, 1000, N), np.arange(N) + N * number
    tracks = np.zeros((N, 3), [("d0", "f8" if number % 2 else "f4"), ("valid", "?")])
    tracks["valid"], tracks["d0"] = rng.random((N, 3)) < 0.7, rng.normal(size=(N, 3))
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return {int(s): {n: made[n][i].item() for n in made} for i, s in enumerate(jets["serial"])}


def config(directory, files, **changes):
    return {
        "output_dir": str(directory),
        "samples": {name: {"files": [str(path) for path in paths]} for name, paths in files.items()},
        "input": {"format": "hdf5"},
        "jets": {"variables": ["pt"], "additional_labels": ["target", "mixed", "serial"]},
        "constituents": {"tracks": {"variables": ["d0"], "max": 3}},
        "classes": {"all": "rest"},
        "split": {"by": "event", "test": 0.2, "val": 0.2},
        "balance": {"bins": {"pt": [0, 1e4, 1]}},
        "write": {"parts": {"train": 3, "val": 1, "test": 1}, "formats": ["hdf5"]},
    } | changes


@pytest.fixture(scope="module")
def dumps(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dumps")
    paths = [directory / f"{number}.h5" for number in range(len(FILES))]
    truth = {}
    for number, (path, columns, pt_type) in enumerate(zip(paths, FILES, PT_TYPES, strict=True)):
        truth |= write(path, columns, pt_type, number)
    return paths, truth


def contents(results):
    """Return all datasets of the finished arrays, and records of the training jets."""
    arrays = {}

    def visit(output, name, item):
        if isinstance(item, h5py.Dataset):
            arrays[output, name] = item[()]

    for output in SPLITS:
        with h5py.File(results / f"{output}.h5") as file:
            file.visititems(lambda name, item, output=output: visit(output, name, item))
    with h5py.File(results / "structured/train.h5") as file:
        arrays["structured", "jets"] = file["jets"][()]
    return arrays


def check(results, truth):
    """Compare every jet with what was written into its file, in Python's integers."""
    arrays, seen = contents(results), []
    for output in SPLITS:
        columns = {
            "eventNumber": arrays[output, "jets/event/eventNumber"],
            **{name: arrays[output, f"jets/add_labels/{name}"] for name in ("target", "mixed", "serial")},
        }
        assert {name: columns[name].dtype for name in EXPECTED} == EXPECTED
        for i, serial in enumerate(columns["serial"].astype(int).tolist()):
            assert {name: columns[name][i].item() for name in EXPECTED} == truth[serial]
            seen.append(serial)
    assert sorted(seen) == sorted(truth)
    records = arrays["structured", "jets"]
    for record in records:
        assert {name: record[name].item() for name in EXPECTED} == truth[int(record["serial"])]
    assert {name: records.dtype[name] for name in EXPECTED} == EXPECTED
    for part in sorted(results.glob("hdf5/*/*.h5")):
        with h5py.File(part) as file:
            assert file["jets/event/eventNumber"].dtype == np.uint64
            assert file["jets/add_labels/mixed"].dtype == np.float64
    return arrays


@pytest.fixture(scope="module")
def one_by_one(dumps, tmp_path_factory):
    paths, truth = dumps
    raw = config(tmp_path_factory.mktemp("one"), {"a": paths})
    raw["input"] |= {"files_per_batch": 1}
    return check(run_stages(raw, ["structured"]), truth)


@pytest.mark.parametrize("files_per_batch", [2, 3, 5])
def test_batches_make_no_difference(dumps, one_by_one, tmp_path, files_per_batch):
    paths, truth = dumps
    raw = config(tmp_path, {"a": paths})
    raw["input"] |= {"files_per_batch": files_per_batch}
    arrays = check(run_stages(raw, ["structured"]), truth)
    assert arrays.keys() == one_by_one.keys()
    for name, values in arrays.items():
        assert values.dtype == one_by_one[name].dtype
        np.testing.assert_array_equal(values, one_by_one[name])


@pytest.mark.parametrize("order", [(4, 3, 2, 1, 0), (1, 4, 0, 3, 2), (2, 0, 3, 1, 4)])
@pytest.mark.parametrize("files_per_batch", [1, 5])
def test_the_order_of_files_makes_no_difference(dumps, tmp_path, order, files_per_batch):
    paths, truth = dumps
    raw = config(tmp_path, {"a": [paths[n] for n in order]})
    raw["input"] |= {"files_per_batch": files_per_batch}
    check(run_stages(raw, ["structured"]), truth)


@pytest.mark.parametrize("files_per_batch", [1, 2])
def test_samples_may_have_types_of_their_own(dumps, tmp_path, files_per_batch):
    paths, truth = dumps
    raw = config(tmp_path, {"a": paths[:2], "b": paths[2:4], "c": paths[4:]})
    raw["input"] |= {"files_per_batch": files_per_batch}
    check(run_stages(raw, ["structured"]), truth)


def test_a_stream_of_files_has_the_types_of_the_run(dumps, tmp_path):
    paths, truth = dumps
    raw = config(tmp_path, {"a": paths})
    run_stages(raw)
    for path in paths:
        for batch in DumpStream(raw, [path], sample="a"):
            for i, serial in enumerate(batch["jets/add_labels/serial"].astype(int).tolist()):
                assert batch["jets/event/eventNumber"][i].item() == truth[serial]["eventNumber"]
                assert batch["jets/add_labels/target"][i].item() == truth[serial]["target"]
            assert batch["jets/event/eventNumber"].dtype in (np.uint64, np.int64, np.int32)


REFUSED = {
    "event": ("eventNumber", ("i8", -5, 7), ("u8", 0, 2**63), "'eventNumber'"),
    "label": ("target", ("i4", -5, 7), ("u8", 0, 2**64 - 1), "'target'"),
    "beside floats": ("target", ("i8", 0, 2**53 + 1), ("f4", 0, 1), "'target'"),
    "beside doubles": ("target", ("u8", 0, 2**64 - 1), ("f8", 0, 1), "'target'"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize(("files_per_batch", "swap"), [(1, False), (2, False), (1, True), (2, True)])
def test_what_no_type_holds_is_refused(tmp_path, case, files_per_batch, swap):
    name, one, other, named = REFUSED[case]
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for number, (path, kind) in enumerate(zip(paths, (one, other), strict=True)):
        write(path, FILES[3] | {name: kind}, "f4", number)
    raw = config(tmp_path / "r", {"s": paths[::-1] if swap else paths})
    raw["input"] |= {"files_per_batch": files_per_batch}
    with pytest.raises(JetmillError) as error:
        run_stages(raw)
    ends = [end for code, *span in (one, other) if code[0] != "f" for end in span]
    types = {np.dtype(one[0]).name: paths[0], np.dtype(other[0]).name: paths[1]}
    there = ", ".join(f"{dtype} in {path}" for dtype, path in sorted(types.items()))
    assert str(error.value) == (
        f"{named} is {there}, with integers from {min(ends)} to {max(ends)}: no type holds all values exactly."
        " Leave out the files of one type, or store the column in one type"
    )


EVENT = Column(Kind.EVENT, "x")
CODES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


@settings(max_examples=200)
@given(st.data())
def test_any_integers(data):
    """The type holds the values of all files, or none does; grouping and order do not matter."""
    parts, values = [], []
    for number in range(data.draw(st.integers(1, 4))):
        dtype = np.dtype(data.draw(st.sampled_from(CODES)))
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        ends = st.one_of(st.integers(int(low), int(high)), st.sampled_from([int(low), int(high), 0, 1]))
        array = np.array(data.draw(st.lists(ends, max_size=3)), dtype=dtype)
        parts.append(Types({EVENT: {str(dtype): f"{number}.h5"}}))
        parts[-1].count({EVENT: array})
        values += array.tolist()
    found = set()
    for order in itertools.permutations(parts):
        for cut in range(len(order)):
            try:
                found.add(merge([merge(order[:cut]), merge(order[cut:])]).stored()[EVENT])
            except JetmillError:
                found.add(None)
    (dtype,) = found
    types = {name for part in parts for name in part.found[EVENT]}
    if dtype is None:
        assert min(values) < 0
        assert max(values) >= 2**63
    else:
        assert np.array(values, dtype=dtype).tolist() == values
        assert dtype.kind in "iub"
        if len(types) == 1:
            assert str(dtype) in types
