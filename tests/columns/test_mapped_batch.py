"""Batch files that are read without HDF5, against the same files read with it."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from batches import write_batch

from jetmill.columns.batch_file import Batch
from jetmill.columns.mapped_batch import MappedBatch, fletcher32
from jetmill.columns.schema import KEY, Column, Kind, variable
from jetmill.errors import JetmillError

# Several chunks of each column.
N = 150_000
PT, FLAG = variable("pt"), Column(Kind.ADDITIONAL_LABEL, "isB")
ROWS = [slice(0, 5), slice(65_530, 65_540), slice(60_000, 140_000), slice(N - 3, N + 5), slice(7, 7), slice(None)]


def write(path, seed=0):
    rng = np.random.default_rng(seed)
    columns = {
        KEY: np.sort(rng.integers(2**64, size=N, dtype=np.uint64)),
        PT: rng.normal(size=N).astype(np.float32),
        FLAG: rng.random(N) < 0.5,
        variable("none"): np.empty(0, np.float32),
    }
    by_path = ((column.path, values) for column, values in columns.items())
    write_batch(path, by_path, {"splits": np.array([N - 10, 10, 0])})
    return columns


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "batch.h5")


@pytest.mark.parametrize("rows", ROWS)
def test_rows_are_those_of_the_file(path, rows):
    columns = write(path)
    mapped = pickle.loads(pickle.dumps(MappedBatch(path, {}, ((0,), (1,), (2,)))))
    for column, values in columns.items():
        found = mapped.read(column, rows)
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values[rows])


def test_columns_and_ranges_of_keys(path):
    keys = write(path)[KEY]
    mapped = MappedBatch(path, {}, ((0, 1), (), (2,)))
    assert mapped.columns(Kind.VARIABLE) == Batch(path).columns(Kind.VARIABLE) == [variable("none"), PT]
    edges = [0, 2**64 // 3 + 1, 2 * 2**64 // 3 + 1, 2**64]
    for k in range(3):
        training, validation = mapped.rows_with_keys(0, k, 3)
        inside = [edges[k] <= key < edges[k + 1] for key in keys.tolist()]
        assert np.flatnonzero(inside[: N - 10]).tolist() == list(range(training.start, training.stop))
        assert np.flatnonzero(inside[N - 10 :]).tolist() == [
            n - N + 10 for n in range(validation.start, validation.stop)
        ]


def test_damage_is_found_when_a_chunk_is_first_used(path):
    write(path)
    with h5py.File(path) as file:
        place = file["variables/pt"].id.get_chunk_info(1).byte_offset
    with Path(path).open("r+b") as file:
        file.seek(place + 1000)
        byte = file.read(1)
        file.seek(place + 1000)
        file.write(bytes([byte[0] ^ 1]))
    mapped = MappedBatch(path, {}, ((0,), (1,), (2,)))
    mapped.read(PT, slice(0, 10))
    with pytest.raises(JetmillError, match=r"batch.h5: damaged \(a checksum is wrong\). Remove it"):
        mapped.read(PT, slice(65_530, 65_540))


def test_another_file_under_the_same_name(path):
    write(path)
    mapped = MappedBatch(path, {}, ((0,), (1,), (2,)))
    write(path, seed=1)
    with pytest.raises(JetmillError, match=r"batch.h5: was written again meanwhile; make the stream again"):
        mapped.read(PT, slice(0, 10))


@pytest.mark.parametrize("n", [1, 2, 7, 720, 1001, 100_000])
@pytest.mark.parametrize("of", ["random", "zeros", "ones"])
def test_checksum_is_that_of_hdf5(tmp_path, n, of):
    values = {
        "random": np.random.default_rng(n).integers(256, size=n, dtype=np.uint8),
        "zeros": np.zeros(n, np.uint8),
        "ones": np.full(n, 255, np.uint8),
    }[of]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", data=values, chunks=(n,), fletcher32=True)
        stored = dataset.id.read_direct_chunk((0,))[1]
    assert fletcher32(values.tobytes()) == int.from_bytes(stored[-4:], "little")
