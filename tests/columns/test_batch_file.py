import h5py
import numpy as np
import pytest
from batches import at, write_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from jetmill.columns.batch_file import Batch
from jetmill.columns.schema import Kind, variable
from jetmill.randomness import mix

SIZES = [40, 0, 23]


@pytest.fixture(scope="module")
def batch_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("columns") / "deep/batch.h5"
    key = np.concatenate([np.sort(mix(np.arange(n, dtype=np.uint64) + np.uint64(n))) for n in SIZES])
    columns = {"key": key, "label": np.arange(63, dtype=np.uint8), "variables/pt": np.arange(63, dtype=np.float32)}
    columns["event/event"] = np.arange(63, dtype=np.uint64) + np.uint64(2**60)
    write_batch(path, iter(columns.items()), {"splits": np.array(SIZES), "cutflow": [("read", 70)], "sample": "tt"})
    return path


def test_what_is_written_is_read(batch_file):
    with Batch(batch_file) as batch:
        np.testing.assert_array_equal(batch.read(at("label")), np.arange(63))
        np.testing.assert_array_equal(batch.read(at("variables/pt"), slice(5, 9)), [5, 6, 7, 8])
        np.testing.assert_array_equal(batch.read(at("event/event")) - np.uint64(2**60), np.arange(63))
        assert batch.columns(Kind.VARIABLE) == [variable("pt")]
        assert batch.columns(Kind.SPECTATOR) == []
        assert batch.attribute("sample") == "tt"
        assert batch.attribute("cutflow") == [["read", 70]]
        np.testing.assert_array_equal(batch.attribute("splits"), SIZES)
        assert [batch.rows(s) for s in range(3)] == [[slice(0, 40)], [slice(40, 40)], [slice(40, 63)]]
        np.testing.assert_array_equal(batch.split_codes(), [0] * 40 + [2] * 23)


@settings(max_examples=30)
@given(st.integers(1, 80))
def test_parts_share_the_rows_exactly(batch_file, n_parts):
    with Batch(batch_file) as batch:
        keys = batch.read(at("key"))
        for split in range(3):
            (rows,) = batch.rows(split)
            end = rows.start
            for part in range(n_parts):
                (found,) = batch.rows_with_keys(split, part, n_parts)
                assert found.start == end
                assert all(int(k) * n_parts // 2**64 == part for k in keys[found])
                end = found.stop
            assert end == rows.stop


@pytest.mark.parametrize("n_parts", [1, 2, 3, 7])
def test_keys_at_the_ends_of_the_ranges(tmp_path, n_parts):
    limits = [-(-i * 2**64 // n_parts) for i in range(n_parts + 1)]
    near = {k + d for k in limits for d in (-1, 0, 1) if 0 <= k + d < 2**64}
    keys = np.array(sorted(near), dtype=np.uint64)
    write_batch(tmp_path / "b.h5", iter({"key": keys}.items()), {"splits": np.array([len(keys), 0, 0])})
    with Batch(tmp_path / "b.h5") as batch:
        slices = [batch.rows_with_keys(0, part, n_parts)[0] for part in range(n_parts)]
    parts = np.concatenate([np.full(s.stop - s.start, i) for i, s in enumerate(slices)])
    assert parts.tolist() == [int(k) * n_parts // 2**64 for k in keys]


def test_a_failed_write_leaves_nothing(tmp_path):
    def columns():
        yield "key", np.arange(3)
        raise RuntimeError("disk")

    (tmp_path / "batch.h5").write_text("before")
    with pytest.raises(RuntimeError, match="disk"):
        write_batch(tmp_path / "batch.h5", columns(), {})
    assert [p.name for p in tmp_path.iterdir()] == ["batch.h5"]
    assert (tmp_path / "batch.h5").read_text() == "before"


def test_columns_are_plain_datasets(batch_file):
    with h5py.File(batch_file) as file:
        assert file["key"].dtype == np.uint64
        assert file["variables/pt"].dtype == np.float32
        assert file["event/event"].dtype == np.uint64
