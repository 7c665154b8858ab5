"""Small integers and booleans of the input, as they are in records if asked for."""

import h5py
import numpy as np
import pytest

from jetmill.workflow.in_process import run_in_process

N = 400
JETS = {"pt": "f4", "flavour": "i4", "eventNumber": "u8", "nTracks": "u1", "charge": "i1", "tagged": "?", "layer": "i2"}
TRACKS = {"d0": "f4", "hits": "u1", "side": "i1", "shared": "?", "valid": "?"}


def write_dump(path, number, layer="i2"):
    rng = np.random.default_rng(number)
    jets = np.zeros(N, [*(JETS | {"layer": layer}).items()])
    jets["pt"], jets["flavour"] = rng.uniform(0, 100, N), rng.choice([0, 4, 5], N)
    jets["eventNumber"], jets["nTracks"] = np.arange(N) + N * number, rng.integers(0, 255, N)
    jets["charge"], jets["tagged"], jets["layer"] = rng.integers(-2, 3, N), rng.random(N) < 0.5, rng.integers(0, 9, N)
    tracks = np.zeros((N, 4), [*TRACKS.items()])
    tracks["valid"] = np.arange(4) < rng.integers(0, 5, N)[:, None]
    tracks["d0"], tracks["hits"] = rng.normal(size=(N, 4)), rng.integers(0, 20, (N, 4))
    tracks["side"], tracks["shared"] = rng.integers(-1, 2, (N, 4)), rng.random((N, 4)) < 0.5
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dumps")
    # Of the second file, a variable is a float.
    return [write_dump(directory / f"{k}.h5", k, layer="f4" if k else "i2") for k in range(2)]


def run(files, directory, *, native, **jets):
    config = {
        "output_dir": str(directory),
        "samples": {"a": {"files": files}},
        "input": {"format": "hdf5", "files_per_batch": 1},
        "jets": {"variables": ["pt", "nTracks", "charge", "tagged", "layer"], **jets},
        "constituents": {"tracks": {"variables": ["d0", "hits", "side", "shared"], "max": 3}},
        "classes": {"b": "flavour == 5", "other": "rest"},
        "scaling": {"log": ["nTracks"] if jets else []},
        "balance": {"bins": {"pt": [0, 100, 5]}},
        "write": {"formats": ["hdf5", "structured"], "native_types": native},
    }
    return run_in_process(config, last="write")


@pytest.fixture(scope="module")
def both(files, tmp_path_factory):
    return [run(files, tmp_path_factory.mktemp("run") / "results", native=native) for native in (False, True)]


def records(results, output, name):
    with h5py.File(results / f"structured/{output}.h5") as file:
        return file[name][()]


def test_types_are_those_of_the_files(both):
    jets, tracks = (records(both[1], "train", name).dtype for name in ("jets", "tracks"))
    expected = {"pt": "f4", "nTracks": "u1", "charge": "i1", "tagged": "?", "layer": "f4"}
    assert {name: jets[name] for name in expected} == {name: np.dtype(t) for name, t in expected.items()}
    assert {name: tracks[name] for name in TRACKS} == {name: np.dtype(t) for name, t in TRACKS.items()}
    floats = records(both[0], "train", "jets").dtype
    assert all(floats[name] == np.float32 for name in expected)


@pytest.mark.parametrize("output", ["train", "val", "test"])
def test_values_are_the_same(both, files, output):
    floats, native = ([records(results, output, name) for name in ("jets", "tracks")] for results in both)
    for one, other in zip(floats, native, strict=True):
        assert one.dtype.names == other.dtype.names
        assert len(one)
        for name in one.dtype.names:
            np.testing.assert_array_equal(one[name], other[name])
    truth = {}
    for path in files:
        with h5py.File(path) as file:
            truth |= {int(jet["eventNumber"]): jet for jet in file["jets"][()]}
    for jet in native[0]:
        for name in ("nTracks", "charge", "tagged", "layer"):
            assert jet[name] == truth[int(jet["eventNumber"])][name]


@pytest.mark.parametrize("output", ["train", "val", "test"])
def test_arrays_do_not_depend_on_it(both, output):
    with h5py.File(both[0] / f"{output}.h5") as one, h5py.File(both[1] / f"{output}.h5") as other:
        for name in ("jets/inputs", "jets/is_default", "tracks/inputs"):
            assert one[name][()].tobytes() == other[name][()].tobytes()


def test_what_can_be_missing_or_is_a_logarithm_is_a_float(files, tmp_path):
    missing = {"values_of": {"charge": [-2]}}
    results = run(files, tmp_path / "results", native=True, missing=missing, units={"layer": 0.5})
    found = records(results, "train", "jets")
    assert [found.dtype[name] for name in ("nTracks", "charge", "layer")] == [np.float32] * 3
    assert found.dtype["tagged"].kind == "b"
    assert (found["charge"] > -2.01).all()
