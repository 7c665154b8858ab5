"""Files whose size fields lie, or that lack a part: a quick error or a warning, never zeros for data."""

import logging
import re
import struct
import time
from contextlib import contextmanager
from dataclasses import replace

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from jetmill.errors import JetmillError
from jetmill.settings.input import Input
from jetmill.sources import UnreadableError, open_source

N = 600
HDF5, ROOT = Input(format="hdf5", jets="jets"), Input()
SECONDS = 3


def jets_of(n=N):
    jets = np.zeros(n, [("pt", "f4"), ("eventNumber", "u8")])
    jets["pt"], jets["eventNumber"] = np.random.default_rng(0).uniform(10, 100, n), np.arange(n) + 10**6
    return jets


def dump(path, jets, tracks=None, **options):
    with h5py.File(path, "w") as file:
        for name, values in {"jets": jets, "tracks": tracks}.items():
            if values is not None:
                file.create_dataset(name, data=values, **options)
    return path


def read(path, settings, names=("pt",), constituents=()):
    """Return the variables of all jets; reading constituents too."""
    columns, started = {name: [] for name in names}, time.process_time()
    try:
        with open_source(str(path), settings) as source:
            source.dtypes(names)
            for collection, variables in dict(constituents).items():
                source.constituent_dtypes(collection, variables)
            for chunk in source.chunks(names, dict(constituents)):
                for name in names:
                    columns[name].append(chunk.columns[name])
                for collection, variables in dict(constituents).items():
                    chunk.constituents(collection, variables, np.ones(len(chunk.entry), bool))
    finally:
        assert time.process_time() - started < SECONDS
    return {name: np.concatenate(found) for name, found in columns.items()}


def overwritten(path, before, after, number=0):
    """Replace the one occurrence, or that of a number, of some bytes."""
    content = path.read_bytes()
    place = -1
    for _ in range(number + 1):
        place = content.index(before, place + 1)
    path.write_bytes(content[:place] + after + content[place + len(after) :])


# --- HDF5 ---

LAYOUTS = {
    "contiguous": {},
    "chunked": {"chunks": (100,), "maxshape": (None,)},
    "gzip": {"chunks": (100,), "maxshape": (None,), "compression": "gzip"},
    "lzf": {"chunks": (100,), "compression": "lzf"},
}


@pytest.mark.parametrize("twice", [True, False], ids=["maximum too", "maximum not"])
@pytest.mark.parametrize("announced", [N + 101, 10**6, 2**40, 2**62])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_rows_than_the_file_holds(tmp_path, layout, announced, twice):
    """HDF5 gives zeros for them: 2**40 of them take weeks to read."""
    path = dump(tmp_path / "a.h5", jets_of(), **LAYOUTS[layout])
    before = struct.pack("<Q", N)
    twice = twice and "maxshape" not in LAYOUTS[layout]
    overwritten(path, before * (1 + twice), struct.pack("<Q", announced) * (1 + twice))
    with pytest.raises(UnreadableError, match="cannot be read"):
        read(path, HDF5)


def test_a_chunk_that_was_never_written(tmp_path):
    jets, path = jets_of(), tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("jets", (N,), jets.dtype, chunks=(100,))
        dataset[:300], dataset[400:] = jets[:300], jets[400:]
    with pytest.raises(UnreadableError, match=r"'jets' cannot be read \(5 of 6 chunks are there\)"):
        read(path, HDF5)


def test_rows_that_were_never_written(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("jets", (N,), jets_of().dtype)
    with pytest.raises(UnreadableError, match=r"'jets' cannot be read \(0 of 7200 bytes are there\)"):
        read(tmp_path / "a.h5", HDF5)


def test_a_chunk_that_is_somewhere_else(tmp_path):
    """The index of chunks says at which row each starts."""
    path = dump(tmp_path / "a.h5", jets_of(), chunks=(100,), compression="gzip")
    overwritten(path, struct.pack("<QQ", 300, 0), struct.pack("<Q", 1300))
    with pytest.raises(UnreadableError, match=r"5 of 6 chunks are there"):
        read(path, HDF5)


def test_external_and_virtual_datasets_are_read(tmp_path):
    jets, path = jets_of(), tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("jets", data=jets, external=[(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)])
    np.testing.assert_array_equal(read(path, HDF5)["pt"], jets["pt"])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        layout = h5py.VirtualLayout((N,), jets.dtype)
        layout[:] = h5py.VirtualSource("a.h5", "jets", (N,), jets.dtype)
        file.create_virtual_dataset("jets", layout)
    np.testing.assert_array_equal(read(tmp_path / "b.h5", HDF5)["pt"], jets["pt"])


# --- a tail of zeros ---


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("n_rows", "n_zeros"), [(N, 1), (N, 99), (N, 100), (N, 350), (N, N), (1, 1), (50, 20)])
def test_zeros_at_the_end_of_the_jets_are_a_warning(tmp_path, caplog, layout, n_rows, n_zeros):
    jets = jets_of(n_rows)
    jets[n_rows - n_zeros :] = 0
    options = LAYOUTS[layout] | ({"maxshape": (None,)} if layout == "lzf" else {})
    read(dump(tmp_path / "a.h5", jets, **options), replace(HDF5, chunk_bytes=2000))
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.startswith(f"{tmp_path}/a.h5: the last {n_zeros} of {n_rows} rows of 'jets' are all zeros")


def tracks_of(n_zeros, *, share_of_empty):
    """Return tracks whose unused slots are all zeros, and rows of zeros at the end."""
    rng = np.random.default_rng(1)
    tracks = np.zeros((N, 3), [("d0", "f4"), ("valid", "?")])
    tracks["valid"] = (rng.random(N) >= share_of_empty)[:, None]
    tracks["d0"] = rng.normal(size=(N, 3)) * tracks["valid"]
    tracks[N - n_zeros :] = 0
    return tracks


@pytest.mark.parametrize("share_of_empty", [0, 0.3, 0.97])
@pytest.mark.parametrize("n_zeros", [0, 1, 5, 150])
def test_zeros_at_the_end_of_constituents_count_if_there_are_none_before(tmp_path, caplog, n_zeros, share_of_empty):
    """Where jets without constituents are usual, their rows say nothing."""
    path = dump(tmp_path / "a.h5", jets_of(), tracks_of(n_zeros, share_of_empty=share_of_empty))
    read(path, HDF5, constituents={"tracks": ["d0"]})
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    if n_zeros and not share_of_empty:
        assert len(warnings) == 1
        assert f"the last {n_zeros} of {N} rows of 'tracks' are all zeros" in warnings[0]
    else:
        assert warnings == []


# --- ROOT ---


@pytest.fixture(params=["zlib", "none"])
def tree_file(tmp_path, request):
    """Write a tree of 500 entries in 5 baskets."""
    rng, path = np.random.default_rng(3), tmp_path / "a.root"
    counts = rng.poisson(3, 500)
    pt = ak.unflatten(rng.uniform(10, 100, counts.sum()).round(1).astype("f4"), counts)
    with uproot.recreate(path, compression=None if request.param == "none" else uproot.ZLIB(1)) as file:
        file.mktree("Events", {"Jet_pt": pt.type})
        for start in range(0, 500, 100):
            file["Events"].extend({"Jet_pt": pt[start : start + 100]})
    np.testing.assert_array_equal(read(path, ROOT)["pt"], ak.flatten(pt))
    return path


def basket_key(path, number):
    with uproot.open(path) as file:
        return int(file["Events/Jet_pt"].basket_key(number).fSeekKey)


@pytest.mark.parametrize("announced", [0, 1, 10**5, 2**24, 2**31 - 1, -1])
@pytest.mark.parametrize("field", [0, 6], ids=["bytes of the basket", "bytes when it is decompressed"])
def test_the_size_of_a_basket(tree_file, field, announced):
    """uproot would make room for up to 2 GB, and read as data what the memory held before."""
    start = basket_key(tree_file, 3) + field
    whole, content = read(tree_file, ROOT)["pt"], tree_file.read_bytes()
    tree_file.write_bytes(content[:start] + struct.pack(">i", announced) + content[start + 4 :])
    try:
        # More bytes than there are do not matter where the compressed ones say where they end.
        np.testing.assert_array_equal(read(tree_file, ROOT)["pt"], whole)
        assert field == 0
    except UnreadableError as error:
        assert "cannot be read" in str(error)  # noqa: PT017


@pytest.mark.parametrize("announced", [0, 1, 499, 501, 10**6, 2**40, 2**62, -1])
def test_the_number_of_entries_of_a_tree(tree_file, announced):
    """It stands behind the scale 1.0 of the weights, first of all for the tree."""
    overwritten(tree_file, struct.pack(">dq", 1, 500)[6:], b"\0\0" + struct.pack(">q", announced))
    with pytest.raises(UnreadableError):
        read(tree_file, ROOT)


@pytest.mark.parametrize("announced", [2**45, 2**62])
def test_the_bytes_of_a_branch(tree_file, announced):
    """They say how many entries are read at a time: 1, if they are as many as that."""
    with uproot.open(tree_file) as file:
        before = struct.pack(">qq", *(file["Events/Jet_pt"].member(name) for name in ("fTotBytes", "fZipBytes")))
    overwritten(tree_file, before, struct.pack(">q", announced))
    with pytest.raises(UnreadableError, match="bytes are declared, in a file of"):
        read(tree_file, ROOT)


@pytest.mark.parametrize("tree_file", ["none"], indirect=True)
@pytest.mark.parametrize("letter", [b"/", b";", b"\x80", b"\n", b"\0"])
def test_names_that_are_damaged(tree_file, letter):
    """Of the tree, the branch, its counter, its class; what cannot be printed is written as ascii."""
    content, sentences = tree_file.read_bytes(), []
    for name in re.finditer(b"n?Jet_pt|TLeaf|Events", content):
        for place in range(name.start(), name.end()):
            tree_file.write_bytes(content[:place] + letter + content[place + 1 :])
            # Titles may be anything.
            with suppress_errors(sentences):
                read(tree_file, ROOT)
    assert len(sentences) > 5
    assert all(sentence.isprintable() for sentence in sentences)


@contextmanager
def suppress_errors(sentences):
    try:
        yield
    except JetmillError as error:
        sentences.append(str(error))
