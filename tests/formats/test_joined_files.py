"""A joined file that is copied without its parts, as salt's `move_files_temp` does: nothing in it looks like data."""

import os
import shutil

import h5py
import numpy as np
import pytest

import jetmill
from jetmill.errors import JetmillError
from jetmill.files import missing_sources
from jetmill.formats.files.joining import join
from jetmill.formats.tfrecords import write as write_tfrecords

N_JETS, N_SLOTS = 30, 4
TYPES = ["f2", "f4", "f8", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "?"]
# A jet has none of these: an input of NaN, a class of 255, a label that every loss refuses; slots are in use.
EXPECTED = {
    "u1": 2**8 - 1,
    "u2": 2**16 - 1,
    "u4": 2**32 - 1,
    "u8": 2**64 - 1,
    "i1": -(2**7),
    "i2": -(2**15),
    "i4": -(2**31),
    "i8": -(2**63),
    "?": True,
}
RECORD = np.dtype([(f"x_{t.replace('?', 'bool')}", t) for t in TYPES])


def content(rng):
    """Return datasets of every type, two of them of records."""
    found = {f"jets/x_{t.replace('?', 'bool')}": rng.integers(0, 2, N_JETS).astype(t) for t in TYPES}
    found["jets/inputs"] = rng.normal(size=(N_JETS, 3)).astype("f4")
    for name, shape in (("records", N_JETS), ("tracks", (N_JETS, N_SLOTS))):
        found[name] = np.zeros(shape, RECORD)
        for t in TYPES:
            found[name][f"x_{t.replace('?', 'bool')}"] = rng.integers(0, 2, shape)
    return found


@pytest.fixture
def run(tmp_path):
    """A joined file beside its two parts, and what they hold."""
    rng, parts, whole = np.random.default_rng(1), [], []
    for number in range(2):
        whole.append(content(rng))
        parts.append(tmp_path / f"run/hdf5/train/part_{number:04d}.h5")
        parts[-1].parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(parts[-1], "w") as file:
            for name, values in whole[-1].items():
                file[name] = values
    join(parts, tmp_path / "run/train.h5", merge=False)
    return tmp_path / "run", {name: np.concatenate([w[name] for w in whole]) for name in whole[0]}


@pytest.fixture
def alone(run, tmp_path, monkeypatch):
    """The joined file without its parts, read from where there are none either."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return shutil.copy(run[0] / "train.h5", tmp_path / "elsewhere")


def assert_no_data(values):
    kind = values.dtype.str.lstrip("<>|")
    kind = "?" if kind == "b1" else kind
    if kind.startswith("f"):
        assert np.isnan(values).all()
    else:
        assert set(np.unique(values).tolist()) == {EXPECTED[kind]}


def test_every_value_is_one_that_no_jet_has(run, alone):
    with h5py.File(alone) as file:
        for name, values in run[1].items():
            found = file[name][()]
            assert (found.shape, found.dtype) == (values.shape, values.dtype)
            for column in [found[field] for field in found.dtype.names] if found.dtype.names else [found]:
                assert_no_data(column)


def test_only_the_rows_of_a_part_that_is_gone(run, alone, tmp_path):
    part = tmp_path / "elsewhere/hdf5/train/part_0001.h5"
    part.parent.mkdir(parents=True)
    shutil.copy(run[0] / "hdf5/train/part_0001.h5", part)
    with h5py.File(alone) as file:
        np.testing.assert_array_equal(file["jets/x_f4"][N_JETS:], run[1]["jets/x_f4"][N_JETS:])
        assert np.isnan(file["jets/x_f4"][:N_JETS]).all()
        assert (file["jets/x_u1"][:N_JETS] == 255).all()


@pytest.mark.parametrize("link", [False, True])
def test_with_its_parts_it_is_what_they_hold(run, link, tmp_path, monkeypatch):
    path = run[0] / "train.h5"
    if link:
        (tmp_path / "links").mkdir()
        monkeypatch.chdir(tmp_path / "links")
        path = tmp_path / "links/train.h5"
        path.symlink_to(os.path.relpath(run[0] / "train.h5", path.parent))
    with h5py.File(path) as file:
        for name, values in run[1].items():
            np.testing.assert_array_equal(file[name][()], values)
        assert missing_sources(path, file["jets/inputs"]) == []


def test_the_file_says_where_its_data_is(run):
    directory, _ = run
    with h5py.File(directory / "train.h5") as file:
        assert list(file.attrs["parts"]) == [f"hdf5/train/part_000{k}.h5" for k in range(2)]
        assert "write.merge: true" in file.attrs["note"]
    join(sorted((directory / "hdf5/train").iterdir()), directory / "train.h5", merge=True)
    with h5py.File(directory / "train.h5") as file:
        assert not {"parts", "note"} & set(file.attrs)
        assert file["jets/inputs"].fillvalue == 0


def refusals():
    def load(path):
        return jetmill.load(path)

    def torch(path):
        pytest.importorskip("torch", reason="PyTorch is not installed")
        from jetmill.loading.torch import FileDataset

        return FileDataset(path)

    def tfrecords(path):
        return write_tfrecords(path, path.with_suffix(""), records_per_file=10)

    return [load, torch, tfrecords]


@pytest.mark.parametrize("read", refusals(), ids=lambda read: read.__name__)
def test_readers_refuse_it(read, run, tmp_path, monkeypatch):
    with h5py.File(run[0] / "train.h5", "r+") as file:
        file["jets/labels"] = file["jets/inputs"]
    # HDF5 would take these.
    monkeypatch.chdir(run[0])
    alone = tmp_path / "train.h5"
    shutil.copy(run[0] / "train.h5", alone)
    with pytest.raises(JetmillError) as error:
        read(alone)
    assert str(error.value) == (
        f"{alone}: points to 'hdf5/train/part_0000.h5', which is not there; copy its parts too, or write one file with"
        " write.merge: true"
    )


def test_atlas_ftag_tools_reads_no_jets_either(run, alone):
    """What salt takes its jets from."""
    reader = pytest.importorskip("ftag.hdf5", reason="atlas-ftag-tools is not installed")
    with h5py.File(alone, "r+") as file:
        file.move("jets", "arrays")
        file.move("records", "jets")
    found = reader.H5Reader(alone, shuffle=False).load({"jets": ["x_f4", "x_i8"], "tracks": ["x_f4", "x_bool"]})
    assert np.isnan(found["jets"]["x_f4"]).all()
    assert (found["jets"]["x_i8"] == -(2**63)).all()
    assert np.isnan(found["tracks"]["x_f4"]).all()
