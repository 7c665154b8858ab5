"""One wrong byte in a working file: it is found where the file is read, or makes no difference."""

import h5py
import numpy as np
import pytest

from jetmill.columns.batch_file import Batch
from jetmill.columns.batch_list import read_batch_list
from jetmill.errors import JetmillError
from jetmill.files import create_hdf5, open_intermediate_file, put, read_json, write_json
from jetmill.splitting import SPLITS
from jetmill.workflow.in_process import run_in_process

# Working file to the first and the last stage that read it.
FILES = {
    "clean/a/batch_0000.h5": ("bin_jets", "write"),
    "clean/batches.json": ("bin_jets", "bin_jets"),
    "bins/0000.h5": ("balance", "balance"),
    "balance.h5": ("fit_scalers", "write"),
    "scalers/range_01.json": ("merge_scalers", "merge_scalers"),
    "scalers.json": ("write", "write"),
}


def finished(directory):
    """Return all datasets and attributes of the finished files, and the tables that these follow from."""
    found = {"tables": np.frombuffer((directory / "balance.h5").read_bytes(), np.uint8)}

    def visit(path, name, item):
        if isinstance(item, h5py.Dataset):
            found[path.name, name] = item[()]
        found.update({(path.name, name, key): value for key, value in item.attrs.items()})

    for path in (directory / f"{output}.h5" for output in SPLITS):
        with h5py.File(path) as file:
            file.visititems(lambda name, item, path=path: visit(path, name, item))
    return found


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k], equal_nan=False) for k in one)


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_dump):
    directory = tmp_path_factory.mktemp("run")
    raw = make_dump(directory)
    results = run_in_process(raw, last="write")
    return raw, results, finished(results)


@pytest.fixture(scope="module")
def make_dump():
    def make(directory):
        samples = {}
        for number, name in enumerate(("a", "b")):
            samples[name] = {"files": [str(directory / f"{name}{k}.h5") for k in range(2)]}
            for k, path in enumerate(samples[name]["files"]):
                write_dump(path, np.random.default_rng([number, k]), first=1000 * (2 * number + k))
        return {
            "output_dir": str(directory / "results"),
            "samples": samples,
            "input": {"format": "hdf5", "files_per_batch": 1},
            "jets": {"variables": ["pt", "eta"], "additional_labels": ["target"]},
            "constituents": {"tracks": {"variables": ["d0", "hits"], "labels": ["origin"], "max": 4}},
            "classes": {"b": "flavour == 5", "u": "flavour == 0"},
            "split": {"by": "modulo", "modulo": 5, "val": [3], "test": [4]},
            "balance": {"bins": {"pt": [0, 100, 4]}, "resampling": {"method": "count"}},
            "write": {"parts": {"train": 2, "val": 1, "test": 1}},
        }

    return make


def write_dump(path, rng, first, n=300):
    jets = np.zeros(n, [("pt", "f4"), ("eta", "f4"), ("flavour", "i4"), ("target", "i8"), ("eventNumber", "u8")])
    jets["pt"], jets["eta"] = rng.uniform(0, 100, n), rng.normal(size=n)
    jets["flavour"], jets["target"] = rng.choice([0, 5], n), rng.integers(-(2**62), 2**62, n)
    jets["eventNumber"] = np.arange(first, first + n)
    tracks = np.zeros((n, 6), [("d0", "f4"), ("hits", "u1"), ("origin", "i4"), ("valid", "?")])
    tracks["valid"] = np.arange(6) < rng.integers(0, 7, n)[:, None]
    tracks["d0"], tracks["hits"] = rng.normal(size=(n, 6)), rng.integers(0, 20, (n, 6))
    tracks["origin"] = rng.integers(0, 5, (n, 6))
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks


@pytest.fixture
def damage(run):
    """Return a function that changes a byte of a working file, which is as before at the end."""
    kept = {}

    def change(name, place, difference):
        path = run[1] / name
        kept.setdefault(path, path.read_bytes())
        content = bytearray(kept[path])
        content[place] ^= difference
        path.write_bytes(content)
        return path

    yield change
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_any_byte(run, damage, name):
    (raw, results, wanted), (first, last) = run, FILES[name]
    rng, found = np.random.default_rng(len(name)), 0
    for _ in range(15):
        path = damage(name, int(rng.integers((results / name).stat().st_size)), int(rng.integers(1, 256)))
        try:
            run_in_process(raw, first=first, last=last)
        except JetmillError as error:
            found += 1
            assert str(error).startswith(f"{path}: damaged (")  # noqa: PT017
            assert "emove it" in str(error)  # noqa: PT017
        else:
            made = finished(results) | ({"tables": wanted["tables"]} if name == "balance.h5" else {})
            assert equal(made, wanted)
    assert found or name == "bins/0000.h5"  # most of which is free space


def test_any_byte_of_any_column(run, damage):
    raw, results, _ = run
    name = "clean/b/batch_0001.h5"
    with h5py.File(results / name) as file:
        columns = {}
        file.visititems(lambda n, item: columns.update({n: item} if isinstance(item, h5py.Dataset) else {}))
        chunks = {n: dataset.id.get_chunk_info(0) for n, dataset in columns.items()}
    assert len(chunks) == 10
    rng = np.random.default_rng(3)
    for chunk in chunks.values():
        path = damage(name, chunk.byte_offset + int(rng.integers(chunk.size)), int(rng.integers(1, 256)))
        with pytest.raises(JetmillError) as error:
            run_in_process(raw, first="bin_jets", last="write")
        assert str(error.value) == (
            f"{path}: damaged (a checksum is wrong)."
            " Remove it and every batches.json that lists it, and start again:"
            " Snakemake then rebuilds them"
        )


def test_a_text_of_a_batch(run, damage):
    """Texts are in the heap, of which HDF5 has no checksum."""
    name = "clean/a/batch_0000.h5"
    place = (run[1] / name).read_bytes().index(b'"kept"')
    path = damage(name, place + 2, 1)
    with pytest.raises(JetmillError, match=f"^{path}: damaged .a checksum is wrong"):
        Batch(path)


def test_every_byte_of_json(tmp_path):
    path, content = tmp_path / "x.json", {"jets": {"pt": {"scale": 0.1, "name": "a"}, "m": [1, None]}, "sum": 3}
    for indent in (None, 1):
        write_json(path, content, indent)
        assert read_json(path) == content
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(JetmillError, match=f"^{path}: damaged .*Remove it and start again"):
                read_json(path)
        for end in (0, 1, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:end])
            with pytest.raises(JetmillError, match="damaged"):
                read_json(path)
    path.write_text('{"jets": 1}')
    with pytest.raises(JetmillError, match="checksum is wrong or not there"):
        read_json(path)


@pytest.mark.parametrize("values", [np.arange(3.0), np.zeros((2, 3)), np.zeros(0), np.arange(10**5, dtype=np.uint8)])
def test_working_files_in_hdf5_depend_on_their_content_alone(tmp_path, values):
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path in paths:
        with create_hdf5(path) as file:
            put(file, "deep/er/values", values)
            file.attrs["names"] = ["x", "yy"]
    with open_intermediate_file(paths[0]) as file:
        np.testing.assert_array_equal(file["deep/er/values"][()], values)
        assert list(file.attrs["names"]) == ["x", "yy"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_list_of_batches_says_that_it_is_damaged(run, damage):
    path = damage("clean/batches.json", 40, 7)
    with pytest.raises(JetmillError, match=f"^{path}: damaged"):
        read_batch_list(path)
