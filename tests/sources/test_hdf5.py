"""Reading ATLAS dumps: every record against h5py, and what is said of files that cannot be read."""

import os
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

from jetmill.errors import JetmillError
from jetmill.settings.input import Input
from jetmill.sources import open_source

HDF5 = Input(format="hdf5", jets="jets")
N, SLOTS = 57, 6


def dump(path, jets, tracks=None, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("jets", data=jets, **options)
        if tracks is not None:
            file.create_dataset("tracks", data=tracks, **options)
    return path


def jets_of(n, **columns):
    columns = {"pt": np.arange(n, dtype="f4"), "eventNumber": 7 * np.arange(n, dtype="u8"), **columns}
    jets = np.zeros(n, [(name, v.dtype) for name, v in columns.items()])
    for name, values in columns.items():
        jets[name] = values
    return jets


def tracks_of(n, *, seed=0, valid=True, dtype=None):
    """Return tracks with a number each, in use at random slots; unused slots hold rubbish unless `valid` is False."""
    rng = np.random.default_rng(seed)
    used = rng.random((n, SLOTS)) < 0.5
    fields = [("hits", "u1"), ("d0", "f4"), ("z0", "f8"), ("origin", "i4")] + [("valid", "?")] * valid
    tracks = np.zeros((n, SLOTS), dtype or fields)
    tracks["d0"] = np.arange(n * SLOTS).reshape(n, SLOTS)
    tracks["z0"], tracks["hits"], tracks["origin"] = -tracks["d0"], tracks["d0"] % 251, tracks["d0"] % 8
    if valid:
        tracks["valid"] = used
    else:
        tracks["d0"][~used] = np.nan
    return tracks, used


def read_all(path, names, collection="tracks", variables=("d0",), settings=HDF5, mask=None):
    """Return columns of jets and constituents of all chunks joined, and the number of jets of each chunk."""
    found = {"entry": [], "position": [], "counts": []} | {n: [] for n in (*names, *variables)}
    with open_source(str(path), settings) as source:
        types = source.dtypes(names)
        of_tracks = source.constituent_dtypes(collection, variables)
        for chunk in source.chunks(names, {collection: variables}):
            jets = np.ones(len(chunk.entry), bool) if mask is None else mask[chunk.entry]
            constituents = chunk.constituents(collection, variables, jets)
            found["entry"].append(chunk.entry)
            found["position"].append(chunk.position)
            found["counts"].append(constituents.counts)
            for name in names:
                assert chunk.columns[name].dtype == types[name]
                found[name].append(chunk.columns[name])
            for name in variables:
                assert constituents.columns[name].dtype == of_tracks[name]
                found[name].append(constituents.columns[name])
    return {name: np.concatenate(parts) for name, parts in found.items()}, [len(x) for x in found["entry"]]


@pytest.mark.parametrize("chunk_bytes", [1, 500, 3000, 8_000_000])
@pytest.mark.parametrize("options", [{}, {"chunks": True}, {"chunks": True, "compression": "gzip"}], ids=str)
@pytest.mark.parametrize("valid", [True, False])
def test_every_valid_track_of_every_jet(tmp_path, chunk_bytes, options, valid):
    tracks, used = tracks_of(N, valid=valid)
    jets = jets_of(N, flag=np.arange(N) % 3 == 0)
    path = dump(tmp_path / "a.h5", jets, tracks, **options)
    settings = replace(HDF5, chunk_bytes=chunk_bytes)
    of_tracks = ["z0", "d0", "hits", "origin"]
    found, sizes = read_all(path, ["pt", "eventNumber", "flag"], variables=of_tracks, settings=settings)
    for name in ("pt", "eventNumber", "flag"):
        np.testing.assert_array_equal(found[name], jets[name])
    for name in ("d0", "z0", "hits", "origin"):
        np.testing.assert_array_equal(found[name], tracks[name][used])
    np.testing.assert_array_equal(found["counts"], used.sum(axis=1))
    np.testing.assert_array_equal(found["entry"], np.arange(N))
    assert not found["position"].any()
    assert sum(sizes) == N
    if chunk_bytes == 1 and not options:
        assert sizes == [1] * N


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_tracks_of_some_jets_only(tmp_path, share):
    mask = np.random.default_rng(1).random(N) < share
    tracks, used = tracks_of(N)
    path = dump(tmp_path / "a.h5", jets_of(N), tracks)
    settings = replace(HDF5, chunk_bytes=2000)
    found, _ = read_all(path, ["pt"], variables=["d0", "origin"], settings=settings, mask=mask)
    used &= mask[:, None]
    np.testing.assert_array_equal(found["counts"], used.sum(axis=1)[mask])
    np.testing.assert_array_equal(found["d0"], tracks["d0"][used])
    np.testing.assert_array_equal(found["origin"], tracks["origin"][used])
    assert found["counts"].dtype == np.int64


@pytest.mark.parametrize("flag", ["u1", "i4", "?"])
def test_valid_of_any_type(tmp_path, flag):
    fields = [("hits", "u1"), ("d0", "f4"), ("z0", "f8"), ("origin", "i4"), ("valid", flag)]
    tracks, used = tracks_of(N, dtype=fields)
    found, _ = read_all(dump(tmp_path / "a.h5", jets_of(N), tracks), ["pt"])
    np.testing.assert_array_equal(found["d0"], tracks["d0"][used])


def test_half_precision_and_big_endian(tmp_path):
    jets = jets_of(N, half=np.linspace(0, 9, N).astype("<f2"), big=np.arange(N).astype(">f4"))
    tracks, used = tracks_of(N, dtype=[("d0", ">f4"), ("z0", "f2"), ("hits", "u1"), ("origin", ">i4"), ("valid", "?")])
    path = dump(tmp_path / "a.h5", jets, tracks)
    found, _ = read_all(path, ["half", "big"], variables=["d0", "origin"])
    np.testing.assert_array_equal(found["half"], jets["half"])
    np.testing.assert_array_equal(found["big"], np.arange(N))
    np.testing.assert_array_equal(found["d0"], tracks["d0"][used])
    np.testing.assert_array_equal(found["origin"], tracks["origin"][used])


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_filters_of_hdf5plugin(tmp_path, compression):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    options = {"lz4": hdf5plugin.LZ4(), "zstd": hdf5plugin.Zstd()}[compression]
    tracks, used = tracks_of(N)
    found, _ = read_all(dump(tmp_path / "a.h5", jets_of(N), tracks, chunks=True, **options), ["pt"])
    np.testing.assert_array_equal(found["d0"], tracks["d0"][used])


def test_other_names_of_datasets(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["fatJets"] = jets_of(N)
        file["flow"] = tracks_of(N)[0]
        file["cutBookkeeper/nominal/counts"] = np.zeros(1, [("nEvents", "i8")])
        file["plain"] = np.zeros(3)
    found, _ = read_all(tmp_path / "a.h5", ["pt"], "flow", settings=Input(format="hdf5", jets="fatJets"))
    assert len(found["pt"]) == N


@pytest.fixture
def virtual(tmp_path):
    """A virtual dataset of two dumps, as `vds` of atlas-ftag-tools makes it."""
    parts = [dump(tmp_path / f"part{k}.h5", jets_of(N), tracks_of(N, seed=k)[0]) for k in range(2)]
    with h5py.File(tmp_path / "vds.h5", "w") as file:
        for name, tail in (("jets", ()), ("tracks", (SLOTS,))):
            with h5py.File(parts[0]) as first:
                dtype = first[name].dtype
            whole = h5py.VirtualLayout((2 * N, *tail), dtype)
            for k, path in enumerate(parts):
                whole[k * N : (k + 1) * N] = h5py.VirtualSource(path.name, name, (N, *tail), dtype)
            file.create_virtual_dataset(name, whole)
    return tmp_path / "vds.h5"


def test_virtual_dataset(virtual):
    found, _ = read_all(virtual, ["pt"])
    np.testing.assert_array_equal(found["pt"], np.r_[np.arange(N), np.arange(N)])
    assert found["counts"].sum() == sum(tracks_of(N, seed=k)[1].sum() for k in range(2))


def test_virtual_dataset_whose_source_is_gone(virtual):
    """HDF5 would give zeros, which are light jets of no momentum."""
    (virtual.parent / "part1.h5").unlink()
    assert "part1.h5" in message(virtual, collection="tracks")


def test_no_jets_at_all(tmp_path):
    path = dump(tmp_path / "a.h5", jets_of(0), tracks_of(0)[0])
    with open_source(str(path), HDF5) as source:
        assert source.dtypes(["pt"]) == {"pt": np.float32}
        assert list(source.chunks(["pt"], {"tracks": ["d0"]})) == []


def test_identity_is_the_size(tmp_path):
    path = dump(tmp_path / "a.h5", jets_of(3))
    with open_source(str(path), HDF5) as source:
        assert source.identity == {"size": path.stat().st_size}


@pytest.fixture
def good(tmp_path):
    return dump(tmp_path / "good.h5", jets_of(N), tracks_of(N)[0])


def read(path, jets, collection, variables, settings):
    with open_source(str(path), settings) as source:
        source.dtypes(jets)
        if collection:
            source.constituent_dtypes(collection, variables)
        for chunk in source.chunks(jets, {collection: variables} if collection else {}):
            if collection:
                chunk.constituents(collection, variables, np.ones(len(chunk.entry), bool))


def message(path, *, jets=("pt",), collection=None, variables=("d0",), settings=HDF5):
    with pytest.raises(JetmillError) as error:
        read(path, jets, collection, variables, settings)
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def test_no_such_file(tmp_path):
    assert message(tmp_path / "gone.h5").endswith("gone.h5: no such file")


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 100])
def test_not_hdf5(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    assert "cut short or not a readable HDF5 file" in message(tmp_path / "a.h5")


def test_directory(tmp_path):
    assert "not a readable HDF5 file" in message(tmp_path)


def test_cut_short(good):
    good.write_bytes(good.read_bytes()[:-500])
    assert "cut short" in message(good)


def test_damaged_content(tmp_path):
    path = dump(tmp_path / "a.h5", jets_of(20_000), chunks=(1000,), compression="gzip", fletcher32=True)
    with h5py.File(path) as file:
        chunk = file["jets"].id.get_chunk_info(3)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + 10 : chunk.byte_offset + 90] = bytes(80)
    path.write_bytes(content)
    assert "'jets' cannot be read" in message(path)


def test_missing_dataset(good):
    assert "no structured dataset 'jet'; it holds jets, tracks. Did you mean 'jets'?" in message(
        good, settings=Input(format="hdf5", jets="jet")
    )
    assert "no structured dataset 'track'" in message(good, collection="track")


def test_plain_arrays_are_no_dump(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets/inputs"] = np.zeros((3, 2))
        file["other"] = np.zeros((3, 2))
    assert "no structured dataset 'jets'; it holds none at all." in message(tmp_path / "a.h5")


def test_missing_field(good):
    assert "dataset 'jets' has no field 'pT'. Did you mean 'pt'?" in message(good, jets=["pT"])
    assert "dataset 'tracks' has no field 'd00'. Did you mean 'd0'?" in message(
        good, collection="tracks", variables=["d00"]
    )


def test_wrong_shapes(tmp_path, good):
    assert "dataset 'jets' has shape (57,), not (jets, slots)" in message(good, collection="jets", variables=["pt"])
    assert "has shape (57, 6), not (jets,)" in message(good, jets=["d0"], settings=Input(format="hdf5", jets="tracks"))
    path = dump(tmp_path / "a.h5", jets_of(N), tracks_of(N - 1)[0])
    assert "'tracks' has 56 rows and 'jets' 57" in message(path, collection="tracks")


@pytest.mark.parametrize("dtype", ["S5", "(3,)f4", "c8"])
def test_field_that_is_not_one_number(tmp_path, dtype):
    jets = np.zeros(4, [("pt", "f4"), ("odd", dtype)])
    assert "field 'odd' of 'jets'" in message(dump(tmp_path / "a.h5", jets), jets=["pt", "odd"])
    tracks = np.zeros((4, 2), [("d0", "f4"), ("odd", dtype)])
    path = dump(tmp_path / "b.h5", jets_of(4), tracks)
    assert "is not one number" in message(path, collection="tracks", variables=["odd"])


def test_no_way_to_tell_which_slots_are_in_use(tmp_path):
    path = dump(tmp_path / "a.h5", jets_of(4), np.zeros((4, 2), [("hits", "u1"), ("n", "i4")]))
    assert "neither a field 'valid' nor a float" in message(path, collection="tracks", variables=["hits"])


@pytest.mark.parametrize("plugins", [{}, {"HDF5_PLUGIN_PATH": "/tmp"}, {"HDF5_PLUGIN_PATH": "disable"}], ids=str)
def test_advice_without_hdf5plugin(tmp_path, plugins):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    path = dump(tmp_path / "a.h5", jets_of(N), chunks=(10,), **hdf5plugin.LZ4())
    code = f"""
import sys
sys.modules["hdf5plugin"] = None
from jetmill.settings.input import Input
from jetmill.sources import open_source
with open_source({str(path)!r}, Input(format="hdf5", jets="jets")) as source:
    list(source.chunks(["pt"], {{}}))
"""
    environment = {k: v for k, v in os.environ.items() if k != "HDF5_PLUGIN_PATH"} | plugins
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith(f"jetmill.errors.JetmillError: {path}: 'jets' cannot be read")
    assert "pip install hdf5plugin" in done.stderr.splitlines()[-1]
