import shutil
import sys

import h5py
import numpy as np
import pytest

import jetmill
from jetmill.errors import JetmillError
from jetmill.formats.files.joining import join
from jetmill.formats.files.layout import write_rows
from jetmill.formats.files.names import Names
from jetmill.loading.jets import load

OF_JETS = Names()
NAMES, CLASSES, AXES = ("pt", "eta", "mass"), ("b", "light"), ("eta", "pt")
SHIFT, SCALE, LOG = np.array([50.0, 0.0, -2.0]), np.array([20.0, 1.5, 3.0]), [False, True, False]
SLOTS = 4


def arrays(n, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n).astype(np.uint8)
    return {
        OF_JETS.inputs: rng.normal(size=(n, 3)).astype(np.float32),
        OF_JETS.is_default: rng.random((n, 3)) < 0.2,
        OF_JETS.labels: label,
        OF_JETS.one_hot: np.eye(2, dtype=np.uint8)[label],
        OF_JETS.weight: rng.random(n).astype(np.float32),
        f"{OF_JETS.weight}_flat": rng.random(n).astype(np.float32),
        OF_JETS.bins: rng.integers(0, 9, (n, 2)).astype(np.uint8),
        f"{OF_JETS.spectators}/btag": rng.random(n).astype(np.float32),
        f"{OF_JETS.additional_labels}/mass": rng.random(n),
        f"{OF_JETS.event}/event": rng.integers(2**60, 2**61, n).astype(np.uint64),
        "tracks/inputs": rng.normal(size=(n, SLOTS, 2)).astype(np.float32),
        "tracks/valid": np.arange(SLOTS) < rng.integers(0, SLOTS + 1, (n, 1)),
        "tracks/labels/origin": rng.integers(-1, 7, (n, SLOTS)).astype(np.int8),
    }


ATTRIBUTES = {
    "jets": {"flavour_label": list(CLASSES)},
    OF_JETS.inputs: {
        "jet_variables": list(NAMES),
        "shift": SHIFT,
        "scale": SCALE,
        "default": [0.0] * 3,
        "log": LOG,
        "clip": [np.inf] * 3,
    },
    OF_JETS.labels: {"label_classes": list(CLASSES)},
    OF_JETS.bins: {"bin_variables": list(AXES)},
    "tracks/inputs": {
        "variables": ["d0", "pt"],
        "shift": [1.0, 0.5],
        "scale": [2.0, 0.1],
        "log": [False, True],
        "clip": [np.inf] * 2,
    },
}


def write(path, content, *, order=None, types=None, compression="none"):
    n = len(content[OF_JETS.labels])
    write_rows(path, content, np.arange(n) if order is None else order, ATTRIBUTES, types or {}, compression)
    return path


@pytest.fixture
def run(tmp_path):
    """Return a directory with three parts, one of them empty, and what they hold."""
    parts = [arrays(n, seed) for seed, n in enumerate((70, 0, 30))]
    for number, content in enumerate(parts):
        write(tmp_path / f"run/hdf5/train/part_{number:04d}.h5", content)
    joined = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    return tmp_path / "run", joined


def part_files(directory):
    return sorted((directory / "hdf5/train").iterdir())


def check(path, expected):
    with h5py.File(path) as file:
        for name, values in expected.items():
            np.testing.assert_array_equal(file[name][()], values)
            assert file[name].dtype == values.dtype
        for name, attributes in ATTRIBUTES.items():
            assert set(file[name].attrs) == set(attributes)
            for key, value in attributes.items():
                assert list(file[name].attrs[key]) == list(value)


@pytest.mark.parametrize("n", [257, 300_000])
def test_rows_in_another_order(tmp_path, n):
    """Of one block, and of several."""
    content, order = arrays(n), np.random.default_rng(1).permutation(n)
    check(write(tmp_path / "a.h5", content, order=order), {name: v[order] for name, v in content.items()})


def test_precision(tmp_path):
    content = arrays(100)
    expected = content | {OF_JETS.inputs: content[OF_JETS.inputs].astype(np.float16)}
    check(write(tmp_path / "a.h5", content, types={OF_JETS.inputs: "float16"}), expected)


def test_chunks_hold_whole_rows_of_about_a_mebibyte(tmp_path):
    inputs = np.zeros((200_000, 20), dtype=np.float32)
    write_rows(tmp_path / "a.h5", {"x": inputs}, np.arange(len(inputs)), {}, {}, "none")
    with h5py.File(tmp_path / "a.h5") as file:
        rows, width = file["x"].chunks
    assert width == 20
    assert 0.9 * 2**20 < rows * width * 4 <= 2**20


COMPRESSIONS = ["none", "gzip", "lzf", "lz4", "zstd"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compression_changes_nothing_but_the_size(tmp_path, compression):
    if compression in ("lz4", "zstd"):
        pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed")
    content = {name: np.repeat(values, 50, axis=0) for name, values in arrays(100).items()}
    path = write(tmp_path / "a.h5", content, compression=compression)
    check(path, content)
    sizes = path.stat().st_size, write(tmp_path / "b.h5", content).stat().st_size
    assert (sizes[0] < 0.8 * sizes[1]) == (compression != "none")


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_filter_that_is_not_installed(tmp_path, monkeypatch, compression):
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(JetmillError, match=rf"write\.compression: {compression} needs hdf5plugin; `pip install"):
        write(tmp_path / "a.h5", arrays(10), compression=compression)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_merged_file_may_be_compressed(run, compression):
    directory, joined = run
    join(part_files(directory), directory / "train.h5", merge=True, compression=compression)
    check(directory / "train.h5", joined)
    with h5py.File(directory / "train.h5") as file:
        assert file[OF_JETS.inputs].compression == (None if compression == "none" else compression)


@pytest.mark.parametrize("merge", [False, True])
def test_a_joined_file_is_its_parts(run, merge):
    directory, joined = run
    join(part_files(directory), directory / "train.h5", merge=merge)
    assert len(load(directory / "train.h5")) == 100
    check(directory / "train.h5", joined)
    with h5py.File(directory / "train.h5") as file:
        assert file[OF_JETS.inputs].is_virtual != merge


@pytest.mark.parametrize("merge", [False, True])
def test_a_joined_file_of_empty_parts(tmp_path, merge):
    parts = [write(tmp_path / f"p{i}.h5", arrays(0)) for i in range(2)]
    join(parts, tmp_path / "val.h5", merge=merge)
    assert len(load(tmp_path / "val.h5")) == 0
    jets = load(tmp_path / "val.h5")
    assert len(jets) == 0
    assert jets.inputs.shape == (0, 3)
    assert jets.variable("pt").shape == (0,)
    assert jets.constituents["tracks"].variable("d0").shape == (0, SLOTS)


def test_a_joined_file_moves_with_its_parts(run, tmp_path, monkeypatch):
    directory, joined = run
    join(part_files(directory), directory / "train.h5", merge=False)
    decoy = tmp_path / "decoy/hdf5/train"
    decoy.mkdir(parents=True)
    for number, n in enumerate((70, 0, 30)):
        write(decoy / f"part_{number:04d}.h5", arrays(n, seed=99))
    monkeypatch.chdir(tmp_path / "decoy")
    shutil.move(directory, tmp_path / "moved")
    check(tmp_path / "moved/train.h5", joined)
    np.testing.assert_array_equal(load(tmp_path / "moved/train.h5").inputs, joined[OF_JETS.inputs])
    monkeypatch.chdir(tmp_path / "moved")
    np.testing.assert_array_equal(load("train.h5").labels, joined[OF_JETS.labels])


def test_a_failed_write_leaves_nothing(run):
    directory, _ = run
    files = part_files(directory)
    files[1].write_text("not a part")
    with pytest.raises(JetmillError, match=rf"^{files[1]}: damaged .*signature"):
        join(files, directory / "train.h5", merge=True)
    assert [p.name for p in directory.iterdir()] == ["hdf5"]


@pytest.mark.parametrize("rows", [slice(None), slice(10, 85), slice(0, 0), slice(95, 200)])
def test_load(run, rows):
    directory, joined = run
    join(part_files(directory), directory / "train.h5", merge=False)
    jets = jetmill.load(directory / "train.h5", rows)
    expected = {name: values[rows] for name, values in joined.items()}
    assert isinstance(jets, jetmill.Jets)
    assert len(jets) == len(expected[OF_JETS.labels])
    np.testing.assert_array_equal(jets.inputs, expected[OF_JETS.inputs])
    np.testing.assert_array_equal(jets.is_default, expected[OF_JETS.is_default])
    np.testing.assert_array_equal(jets.labels, expected[OF_JETS.labels])
    np.testing.assert_array_equal(jets.bins, expected[OF_JETS.bins])
    np.testing.assert_array_equal(jets.weight, expected[OF_JETS.weight])
    assert jets.weights.keys() == {"weight", "weight_flat"}
    np.testing.assert_array_equal(jets.weights["weight_flat"], expected["jets/weight_flat"])
    np.testing.assert_array_equal(jets.spectators["btag"], expected["jets/spectators/btag"])
    np.testing.assert_array_equal(jets.event["event"], expected["jets/event/event"])
    np.testing.assert_array_equal(jets.additional_labels["mass"], expected["jets/add_labels/mass"])
    assert list(jets.constituents) == ["tracks"]
    tracks = jets.constituents["tracks"]
    np.testing.assert_array_equal(tracks.inputs, expected["tracks/inputs"])
    np.testing.assert_array_equal(tracks.valid, expected["tracks/valid"])
    np.testing.assert_array_equal(tracks.labels["origin"], expected["tracks/labels/origin"])
    assert tracks.variables == ("d0", "pt")
    assert (jets.variables, jets.classes, jets.bin_variables) == (NAMES, CLASSES, AXES)


def test_back_to_units(run):
    directory, joined = run
    jets = load(part_files(directory)[0])
    values = joined[OF_JETS.inputs][:70].astype(np.float64) * SCALE + SHIFT
    values[:, 1] = np.exp(values[:, 1])
    expected = np.where(joined[OF_JETS.is_default][:70], np.nan, values)
    np.testing.assert_array_equal(jets.unscaled(), expected)
    assert jets.unscaled().dtype == np.float64
    for i, name in enumerate(NAMES):
        np.testing.assert_array_equal(jets.variable(name), expected[:, i])
    np.testing.assert_array_equal(jets.scaling.shift, SHIFT)
    np.testing.assert_array_equal(jets.scaling.scale, SCALE)
    np.testing.assert_array_equal(jets.scaling.log, LOG)


def test_constituents_back_to_units(run):
    directory, joined = run
    tracks = load(part_files(directory)[0]).constituents["tracks"]
    values, valid = joined["tracks/inputs"][:70].astype(np.float64), joined["tracks/valid"][:70]
    np.testing.assert_array_equal(tracks.variable("d0"), np.where(valid, values[..., 0] * 2 + 1, np.nan))
    np.testing.assert_allclose(tracks.variable("pt"), np.where(valid, np.exp(values[..., 1] * 0.1 + 0.5), np.nan))
    with pytest.raises(JetmillError, match=r"no variable 'd1'\."):
        tracks.variable("d1")


def test_an_unknown_variable_names_the_nearest(run):
    with pytest.raises(JetmillError, match=r"no variable 'masss'\. Did you mean 'mass'\?"):
        load(part_files(run[0])[0]).variable("masss")


def test_an_hdf5_file_that_is_not_ours(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["jets/x"] = np.arange(3)
    with pytest.raises(JetmillError, match=r"other\.h5: holds no 'jets/inputs'"):
        load(tmp_path / "other.h5")


@pytest.mark.parametrize("content", [b"", b"run,event\n", b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_not_hdf5(tmp_path, content):
    (tmp_path / "other.h5").write_bytes(content)
    with pytest.raises(JetmillError, match=r"other\.h5"):
        load(tmp_path / "other.h5")


def test_no_such_file(tmp_path):
    with pytest.raises((JetmillError, FileNotFoundError), match=r"gone\.h5"):
        load(tmp_path / "gone.h5")


def test_a_joined_file_whose_part_is_gone(run):
    directory, _ = run
    join(part_files(directory), directory / "train.h5", merge=False)
    part_files(directory)[2].unlink()
    with pytest.raises(JetmillError, match=r"train\.h5: points to 'hdf5/train/part_0002\.h5', which is not there"):
        load(directory / "train.h5")


@pytest.mark.parametrize("damage", ["cut", "other", "shorter"])
def test_a_joined_file_whose_part_is_damaged_is_not_read_as_zeros(run, damage):
    directory, _ = run
    join(part_files(directory), directory / "train.h5", merge=False)
    part = part_files(directory)[2]
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:5000])
    elif damage == "other":
        part.write_text("not a part")
    else:
        write(part, arrays(10, seed=5))
    with pytest.raises((JetmillError, OSError)):
        load(directory / "train.h5")
