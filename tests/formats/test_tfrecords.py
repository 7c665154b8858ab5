"""TFRecord files, against protobuf encoded by hand here, and against TensorFlow itself."""

import struct
import sys
import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tfrecord_files import read_tfrecord

from jetmill.errors import JetmillError
from jetmill.formats.files.tfrecord_files import RecordWriter

google_crc32c = pytest.importorskip("google_crc32c")

INT64 = np.iinfo(np.int64)
# Either side of every change of the size of a varint, and of the sign.
EDGES = sorted({sign * (2**n + d) for n in range(63) for d in (-1, 0, 1) for sign in (-1, 1)} | {INT64.min, INT64.max})


@st.composite
def blocks(draw, *, max_rows=5):
    """Features of every type, trailing shape and name, with the same rows; integers small, or of any size."""
    n_rows = draw(st.integers(0, max_rows))
    features = {}
    for name in draw(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=150), min_size=1, max_size=5, unique=True)
    ):
        dtype = draw(st.sampled_from(["f4", ">f4", "f2", "?", "i1", "u1", "<i2", "i4", "u4", "i8", ">i8"]))
        shape = (n_rows, *draw(st.lists(st.integers(0, 4), max_size=2)))
        elements = [hnp.from_dtype(np.dtype(dtype))]
        if "i" in dtype:
            elements += [st.integers(-1, 3), st.integers(0, 127)]
        if "i8" in dtype:
            elements += [st.sampled_from(EDGES)]
        features[name] = draw(hnp.arrays(dtype, shape, elements=draw(st.sampled_from(elements))))
    return features


def write(path, *several, **options):
    with RecordWriter(path, **options) as writer:
        for features in several:
            writer.write(features)
    return path


def flattened(values):
    """What a record should hold of a feature, (n_rows, n_values)."""
    values = np.asarray(values)
    return values.reshape(len(values), int(np.prod(values.shape[1:]))).astype(
        "f4" if values.dtype.kind == "f" else "i8"
    )


def assert_same(found, features):
    assert found.keys() == features.keys()
    for name, values in features.items():
        np.testing.assert_array_equal(found[name], flattened(values), strict=True)


# Protobuf and TFRecord, the slow and obvious way.


def varint(value):
    value %= 2**64
    octets = []
    while value > 127:
        octets.append(value % 128 + 128)
        value //= 128
    return bytes([*octets, value])


def field(number, content):
    return varint(number * 8 + 2) + varint(len(content)) + content


def masked(content):
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)


def example(features, row):
    entries = b""
    for name in sorted(features):
        values = flattened(features[name])[row]
        if values.dtype.kind == "f":
            number, packed = 2, struct.pack(f"<{len(values)}f", *values)
        else:
            number, packed = 3, b"".join(map(varint, values.tolist()))
        content = field(number, field(1, packed) if packed else b"")
        entries += field(1, field(1, name.encode()) + field(2, content))
    return field(1, entries)


def framed(data):
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


@pytest.mark.parametrize(
    ("content", "crc"),
    # RFC 3720, B.4, and the check value of the catalogue of CRCs.
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_checksum_is_crc32c(content, crc):
    assert google_crc32c.value(content) == crc


def test_a_file_that_tensorflow_wrote(tmp_path):
    """Bytes of tf.io.TFRecordWriter 2.21 for n = [300] and pt = [1.5]."""
    expected = bytes.fromhex(
        "1f00000000000000 514b44180a1d 0a0b 0a016e 1206 1a04 0a02ac020a0e 0a027074 1208 1206 0a040000c03fad84902f"
    )
    path = write(tmp_path / "a", {"pt": np.array([[1.5]], "f4"), "n": np.array([300])})
    assert path.read_bytes() == expected


@given(blocks())
def test_bytes_are_those_of_the_obvious_encoder(tmp_path_factory, features):
    path = write(tmp_path_factory.mktemp("a") / "a", features)
    n_rows = len(next(iter(features.values())))
    assert path.read_bytes() == b"".join(framed(example(features, row)) for row in range(n_rows))


@given(blocks())
def test_what_is_written_is_read(tmp_path_factory, features):
    found = read_tfrecord(write(tmp_path_factory.mktemp("a") / "a", features))
    if len(next(iter(features.values()))):
        assert_same(found, features)
    else:
        assert found == {}


def test_every_size_of_integer_side_by_side_and_alone(tmp_path):
    edges = np.array(EDGES)
    features = {"a": edges, "b": edges[::-1], "pair": np.stack([edges, np.zeros_like(edges)], axis=1)}
    assert_same(read_tfrecord(write(tmp_path / "a", features)), features)
    # Alone in its block, where other widths of varint are chosen.
    alone = [{name: values[i : i + 1] for name, values in features.items()} for i in range(len(edges))]
    assert write(tmp_path / "b", *alone).read_bytes() == (tmp_path / "a").read_bytes()


@pytest.mark.parametrize("n_values", [0, 1, 5, 40, 120, 130, 4000, 5000])
def test_lengths_of_any_size(tmp_path, n_values):
    """The length of every message in the record is a varint as well."""
    rng = np.random.default_rng(n_values)
    labels = np.where(rng.random((30, n_values)) < rng.random((30, 1)), -1, 3)
    features = {"label": labels, "x": rng.normal(size=(30, n_values)).astype("f4"), "flag": labels > 0}
    path = write(tmp_path / "a", features)
    assert path.read_bytes() == b"".join(framed(example(features, row)) for row in range(30))
    assert_same(read_tfrecord(path), features)


@pytest.mark.parametrize("block_bytes", [1, 1000, 2**22])
def test_blocks_do_not_show(tmp_path, block_bytes):
    rng = np.random.default_rng(0)
    features = {"x": rng.normal(size=(100, 3, 2)).astype("f4"), "label": rng.integers(-1, 3, 100)}
    expected = write(tmp_path / "a", features).read_bytes()
    halves = [{name: values[rows] for name, values in features.items()} for rows in (slice(37), slice(37, None))]
    assert write(tmp_path / "b", *halves, block_bytes=block_bytes).read_bytes() == expected


def test_memory_does_not_grow_with_the_rows(tmp_path):
    features = {"x": np.ones((10_000, 20, 5), "f2"), "label": np.tile(np.array([-1, 3]), (10_000, 20))}
    tracemalloc.start()
    write(tmp_path / "a", features, block_bytes=2**16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * 2**16 < (tmp_path / "a").stat().st_size / 5


def test_arrays_that_are_not_contiguous(tmp_path):
    x = np.arange(60, dtype="f4").reshape(5, 4, 3)
    features = {"x": x.transpose(2, 0, 1), "y": x[:3, ::-2, 1:], "n": np.arange(12).reshape(4, 3).T}
    assert_same(read_tfrecord(write(tmp_path / "a", features)), features)


def test_special_floats_keep_their_bits(tmp_path):
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, np.finfo("f4").max], "f4")
    halves = np.array([np.nan, np.inf, -np.inf, -0.0, 6e-8, np.finfo("f2").max], "f2")
    found = read_tfrecord(write(tmp_path / "a", {"x": values, "half": halves}))
    np.testing.assert_array_equal(found["x"].ravel().view("u4"), values.view("u4"))
    np.testing.assert_array_equal(found["half"].ravel().view("u4"), halves.astype("f4").view("u4"))


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a"
    with pytest.raises(RuntimeError, match="broken"), RecordWriter(path) as writer:  # noqa: PT012
        writer.write({"x": np.ones(3)[:, None].astype("f4")})
        raise RuntimeError("broken")
    assert not list(path.parent.iterdir())
    with RecordWriter(path) as writer:
        assert not path.exists()
    assert path.read_bytes() == b""
    assert read_tfrecord(path) == {}


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"x": np.ones(2)}, "feature 'x' is of float64; records take float32, float16, integers and bool"),
        ({"x": np.array(["a"])}, "feature 'x' is of <U1"),
        ({"x": np.array([b"a"])}, "feature 'x' is of |S1"),
        ({"x": np.array([0], "M8[s]")}, "feature 'x' is of datetime64"),
        ({"x": np.array([None])}, "feature 'x' is of object"),
        ({"x": np.array([1, 2**63], "u8")}, "feature 'x' holds 9223372036854775808, beyond the int64"),
        ({"x": np.ones(2, "i4"), "y": np.ones(3, "i4")}, "equally many rows, not {'x': 2, 'y': 3}"),
        ({}, "equally many rows, not {}"),
    ],
)
def test_what_a_record_cannot_hold_is_refused(tmp_path, features, message):
    with pytest.raises(JetmillError) as error, RecordWriter(tmp_path / "a") as writer:
        writer.write(features)
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


def test_the_largest_unsigned_integers_that_fit(tmp_path):
    found = read_tfrecord(write(tmp_path / "a", {"event": np.array([0, 2**63 - 1], "u8")}))
    assert found["event"].tolist() == [[0], [2**63 - 1]]


def test_without_google_crc32c(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(JetmillError, match=r"^write.formats: tfrecords needs google-crc32c; `pip install google"):
        RecordWriter(tmp_path / "a")


# Against TensorFlow.


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def tensorflow_record(tf, features, row):
    """Serialise a row as TensorFlow does it."""
    fields = {}
    for name, values in features.items():
        content = flattened(values)[row]
        fields[name] = (
            tf.train.Feature(float_list=tf.train.FloatList(value=content))
            if content.dtype.kind == "f"
            else tf.train.Feature(int64_list=tf.train.Int64List(value=content))
        )
    return tf.train.Example(features=tf.train.Features(feature=fields)).SerializeToString(deterministic=True)


@pytest.mark.readers
@settings(max_examples=100)
@given(blocks())
def test_records_are_those_of_tensorflow(tf, tmp_path_factory, features):
    path = write(tmp_path_factory.mktemp("a") / "a", features)
    ours = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    theirs = [tensorflow_record(tf, features, row) for row in range(len(next(iter(features.values()))))]
    assert [tf.train.Example.FromString(record).SerializeToString(deterministic=True) for record in ours] == theirs
    # The protobuf of Python puts a name that begins another after it.
    if not any(b.startswith(a) for a, b in permutations(features, 2)):
        assert ours == theirs


@pytest.mark.readers
def test_a_file_is_that_of_tensorflow_to_the_byte(tf, tmp_path):
    rng = np.random.default_rng(3)
    features = {"x": rng.normal(size=(50, 7)).astype("f4"), "label": rng.choice(EDGES, (50, 4)), "ok": np.ones(50, "?")}
    write(tmp_path / "ours", features)
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for row in range(50):
            writer.write(tensorflow_record(tf, features, row))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.readers
def test_tensorflow_reads_a_file_of_jets(tf, tmp_path):
    rng = np.random.default_rng(5)
    n_jets = 700
    valid = np.arange(40) < rng.integers(0, 41, (n_jets, 1))
    features = {
        "jets": rng.normal(size=(n_jets, 45)).astype("f2"),
        "tracks": rng.normal(size=(n_jets, 40, 21)).astype("f4"),
        "track_labels": np.where(valid[..., None], rng.integers(0, 200, (n_jets, 40, 2)), -1),
        "valid": valid,
        "one_hot": np.eye(4, dtype="u1")[rng.integers(0, 4, n_jets)],
        "event": rng.choice(EDGES, n_jets),
        "nothing": np.empty((n_jets, 0), "f4"),
    }
    path = write(tmp_path / "a.tfrecord", features)
    kinds = {name: tf.float32 if values.dtype.kind == "f" else tf.int64 for name, values in features.items()}
    wanted = {name: tf.io.FixedLenFeature(values.shape[1:], kinds[name]) for name, values in features.items()}
    data = tf.data.TFRecordDataset(str(path)).batch(300).map(lambda records: tf.io.parse_example(records, wanted))
    batches = list(data.as_numpy_iterator())
    for name, values in features.items():
        np.testing.assert_array_equal(np.concatenate([batch[name] for batch in batches]), values)
    assert_same(read_tfrecord(path), features)
