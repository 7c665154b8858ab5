"""TFRecord files read without TensorFlow, one record after the other."""

import struct
from pathlib import Path

import numpy as np
import pytest

google_crc32c = pytest.importorskip("google_crc32c")


def read_tfrecord(path):
    """Return name to values (n_records, n_values), float32 or int64; checksums are verified."""
    examples = [parse(record) for record in records(Path(path).read_bytes())]
    return {name: np.stack([example[name] for example in examples]) for name in (examples[0] if examples else {})}


def records(content):
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        record = content[12 : 12 + size]
        assert content[8:12] == masked(content[:8])
        assert content[12 + size : 16 + size] == masked(record)
        yield record
        content = content[16 + size :]


def masked(content):
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def parse(record):
    """Return the features of a tf.train.Example: Features features = 1; map<string, Feature> feature = 1."""
    values = {}
    for _, features in fields(record):
        for _, entry in fields(features):
            (_, name), (_, feature) = fields(entry)
            ((kind, numbers),) = fields(feature)
            packed = b"".join(content for _, content in fields(numbers))
            assert kind in (2, 3)  # FloatList, Int64List
            values[name.decode()] = np.frombuffer(packed, "<f4") if kind == 2 else integers(packed)
    return values


def fields(message):
    while message:
        assert message[0] & 7 == 2  # with a size
        size, rest = varint(message[1:])
        yield message[0] >> 3, rest[:size]
        message = rest[size:]


def integers(packed):
    values = []
    while packed:
        value, packed = varint(packed)
        values.append(value)
    return np.array(values, np.uint64).view(np.int64)


def varint(content):
    """Return a number and what follows it: seven bits to a byte, lowest first, the top bit set on all but the last."""
    value = 0
    for place, byte in enumerate(content):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, content[place + 1 :]
    raise AssertionError("an integer is cut short")
