"""Streams of inputs of every type of number, against the written file and numpy alone."""

import h5py
import numpy as np
import pytest
from stream_runs import assert_same_jets, make, together

import jetmill

TYPES = ["?", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
TYPES += [f">{t}" for t in ("i2", "u4", "u8", "f2", "f4", "f8")]
N_JETS, N_SLOTS = 900, 6
INTEGERS = [t for t in TYPES if np.dtype(t).kind in "iu"]


def named(prefix, dtype):
    return f"{prefix}_{dtype.replace('?', 'bool').replace('>', 'big_')}"


def columns_of(prefix, types, shape, rng):
    """Return numbers below 100, negative ones too where the type has them."""
    found = {}
    for t in types:
        dtype = np.dtype(t)
        low = 0 if dtype.kind in "ub" else -100
        x = rng.integers(0, 2, shape) if dtype.kind == "b" else rng.integers(low, 100, shape)
        found[named(prefix, t)] = (x / 8 if dtype.kind == "f" else x).astype(dtype)
    return found


def records(columns, shape):
    array = np.empty(shape, [(name, x.dtype) for name, x in columns.items()])
    for name, x in columns.items():
        array[name] = x
    return array


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    """A dump with a variable of jets and one of tracks of each type."""
    path, rng = tmp_path_factory.mktemp("types") / "dump.h5", np.random.default_rng(3)
    valid = np.arange(N_SLOTS) < rng.integers(0, N_SLOTS + 1, N_JETS)[:, None]
    jets = {"number": np.arange(N_JETS).astype(">u8"), "pt": rng.uniform(20, 100, N_JETS).astype("f4")}
    jets |= columns_of("jet", TYPES, N_JETS, rng)
    with h5py.File(path, "w") as file:
        file["jets"] = records(jets, N_JETS)
        file["tracks"] = records({"valid": valid} | columns_of("track", TYPES, valid.shape, rng), valid.shape)
    return path


def config_of(dump, precision, missing):
    """Return a configuration of all variables, which are labels of jets and tracks too where they may be."""
    return {
        "samples": {"some": {"files": [str(dump)]}},
        "input": {"format": "hdf5", "event_id": ["number"]},
        "jets": {
            "variables": [named("jet", t) for t in TYPES],
            "additional_labels": [named("jet", t) for t in TYPES],
            "spectators": [named("jet", t) for t in ("u1", "f2", ">f8")],
            "missing": {"values": missing},
        },
        "constituents": {
            "tracks": {
                "variables": [named("track", t) for t in TYPES],
                "labels": [named("track", t) for t in INTEGERS],
                "max": N_SLOTS,
                "missing": {"values": missing},
            }
        },
        "classes": {"low": f"{named('jet', 'i2')} < 0", "high": "rest"},
        "split": {"by": "modulo", "modulo": 5, "val": [3], "test": [4]},
        "balance": {"bins": {"pt": [20, 100, 3], named("jet", "?"): [0, 1, 2]}, "weights": ["flat"]},
        "write": {"precision": precision},
    }


@pytest.fixture(scope="module", params=[("float32", []), ("float16", []), ("float32", [7])], ids=str)
def run(request, dump, tmp_path_factory):
    return make(tmp_path_factory.mktemp("run") / "results", config_of(dump, *request.param))


def test_streams_of_every_type_are_what_the_files_hold(run, dump):
    stream = together(list(run.stream(batch_size=100).epoch()))
    assert_same_jets(stream, run.arrays("train"))
    of_dump = together(list(jetmill.DumpStream(run.config, [dump], sample="some", batch_size=100)))
    assert_same_jets(of_dump, run.arrays("train", "val", "test"))


def test_files_hold_every_type(run, dump):
    """Inputs are value minus mean over deviation of the training jets, labels the numbers themselves."""
    found = run.arrays("train", "val", "test")
    with h5py.File(dump) as file:
        rows = found["jets/event/number"].astype(int)
        jets, tracks = file["jets"][()][rows], file["tracks"][()][rows]
    train = jets["number"] % 5 < 3
    missing = run.config["jets"]["missing"]["values"]
    tolerance = (
        {"rtol": 2e-3, "atol": 2e-3} if found["jets/inputs"].dtype == np.float16 else {"rtol": 1e-5, "atol": 1e-5}
    )

    def check(inputs, values, used):
        values = values.astype(np.float64)
        values[np.isin(values, missing)] = np.nan
        known = values[used & train.reshape(-1, *[1] * (used.ndim - 1))]
        filled = np.where(np.isnan(values), np.nanmin(known) - 0.001, values)
        expected = (filled - np.nanmean(known)) / np.nanstd(known)
        np.testing.assert_allclose(inputs[used], expected[used], **tolerance)

    for i, t in enumerate(TYPES):
        check(found["jets/inputs"][:, i], jets[named("jet", t)], np.ones(len(jets), bool))
        check(found["tracks/inputs"][..., i], tracks[named("track", t)], tracks["valid"])
        label = found[f"jets/add_labels/{named('jet', t)}"]
        np.testing.assert_array_equal(label, jets[named("jet", t)])
        assert label.dtype == np.dtype(t).newbyteorder("=")
    for t in INTEGERS:
        label = found[f"tracks/labels/{named('track', t)}"]
        np.testing.assert_array_equal(label, np.where(tracks["valid"], tracks[named("track", t)].astype(int), -1))
