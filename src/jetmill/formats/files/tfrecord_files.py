"""TFRecord files of ``tf.train.Example``, written without TensorFlow.

A file is a sequence of records: length (uint64), masked CRC-32C of the length (uint32), data, masked CRC-32C of the
data (https://www.tensorflow.org/tutorials/load_data/tfrecord). The data is a message in the protobuf encoding
(https://protobuf.dev/programming-guides/encoding): fields of tag, size and content, where integers are varints, seven
bits to a byte, lowest first, the top bit set on all but the last.

Rows are written in blocks. Most bytes are at the same place in every record, so a block is a matrix with a row per
record. Where the size of a field differs between records, there is room for the largest, and a mask marks the bytes in
use.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from jetmill.errors import JetmillError
from jetmill.files import atomic_write
from jetmill.packages import Package

PACKAGE = Package("write.formats: tfrecords", "google-crc32c", ("google_crc32c",), "google-crc32c")

# Records are assembled in blocks of about this many bytes, close to the size of the cache.

# Numbers of fields in example.proto and feature.proto of TensorFlow.
_FEATURES, _ENTRY, _NAME, _FEATURE, _FLOATS, _INTEGERS, _VALUES = 1, 1, 1, 2, 2, 3, 1

_Checksum = Callable[[bytes | np.ndarray], int]


class RecordWriter(AbstractContextManager["RecordWriter"]):
    """A TFRecord file that appears under its name if the block succeeds; its directory is made.

    Records are made from about `block_bytes` of values at a time.

    Raises
    ------
    JetmillError
        If google-crc32c is not installed.
    """

    def __init__(self, path: str | Path, *, block_bytes: int = 2**22):
        self._checksum: _Checksum = PACKAGE.load().value
        self._block_bytes = block_bytes
        with ExitStack() as stack:
            self._file: BinaryIO = stack.enter_context(stack.enter_context(atomic_write(path)).open("wb"))
            self._stack = stack.pop_all()

    def __exit__(self, *exc: object) -> None:
        self._stack.__exit__(*exc)  # type: ignore[arg-type]

    def write(self, features: Mapping[str, np.ndarray]) -> None:
        """Append a record for each row.

        A record is that of ``tf.train.Example.SerializeToString(deterministic=True)`` to the byte, unless
        one name begins another: the shorter comes first here, and not in Python's protobuf.

        Parameters
        ----------
        features
            Name to values (n_rows, ...), all with the same rows. float32 and float16 become a
            ``float_list``, integers and bool an ``int64_list``; trailing axes are flattened in C order.

        Raises
        ------
        JetmillError
            If the rows differ, or values are of another type or beyond int64.
        """
        arrays = {name: _flat(name, features[name]) for name in sorted(features)}
        n_rows = {name: len(values) for name, values in arrays.items()}
        if len(set(n_rows.values())) != 1:
            raise JetmillError(f"records need features of equally many rows, not {n_rows}")
        step = max(1, self._block_bytes // sum(values.itemsize * values.shape[1] + 32 for values in arrays.values()))
        for start in range(0, max(n_rows.values()), step):
            block = {name: values[start : start + step] for name, values in arrays.items()}
            self._file.write(_records(block, self._checksum).data)


class _Part(NamedTuple):
    """Adjacent bytes of every record of a block.

    Attributes
    ----------
    data : ndarray of uint8, shape (n_rows, width), or (1, width) if the same in every record
    used : ndarray of bool, shape (n_rows, width), or None if all are there
        Which of them are there.
    size : ndarray of int, shape (n_rows,) or (1,)
        How many of them are there.
    """

    data: np.ndarray
    used: np.ndarray | None
    size: np.ndarray


def _part(data: np.ndarray) -> _Part:
    return _Part(data, None, np.array([data.shape[1]]))


def _size(parts: list[_Part]) -> np.ndarray:
    return sum((part.size for part in parts), np.zeros(1, dtype=int))


def _text(content: bytes) -> _Part:
    return _part(np.frombuffer(content, np.uint8)[None])


def _floats(values: np.ndarray) -> _Part:
    return _part(np.ascontiguousarray(values, dtype="<f4").view(np.uint8))


def _varints(values: np.ndarray) -> _Part:
    """Encode integers (n_rows, n_values); negative ones as their 64 bits, in ten bytes."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low >= 0 and high < 128:
        return _part(values.astype(np.uint8))
    rest = values.astype(np.int64).view(np.uint64)
    data: np.ndarray = np.empty((*rest.shape, 10 if low < 0 else -(-high.bit_length() // 7)), np.uint8)
    used: np.ndarray = np.ones(data.shape, bool)
    for place in range(data.shape[-1]):
        more = rest > 127
        data[..., place] = rest.astype(np.uint8) | more.view(np.uint8) << 7
        used[..., place + 1 : place + 2] = more[..., None]
        rest >>= 7
    data, used = data.reshape(len(rest), -1), used.reshape(len(rest), -1)
    return _part(data) if used.all() else _Part(data, used, used.sum(axis=1))


def _field(number: int, parts: list[_Part]) -> list[_Part]:
    return [_text(bytes([number << 3 | 2])), _varints(_size(parts)[:, None]), *parts]


def _entry(name: str, values: np.ndarray) -> list[_Part]:
    is_float = values.dtype.kind == "f"
    packed = _field(_VALUES, [_floats(values) if is_float else _varints(values)]) if values.shape[1] else []
    feature = _field(_FLOATS if is_float else _INTEGERS, packed)
    return _field(_ENTRY, _field(_NAME, [_text(name.encode())]) + _field(_FEATURE, feature))


def _records(features: Mapping[str, np.ndarray], checksum: _Checksum) -> np.ndarray:
    """Return the bytes of framed records, one per row."""
    n_rows = len(next(iter(features.values())))
    example = _field(_FEATURES, [part for name, values in features.items() for part in _entry(name, values)])
    size = _size(example)
    head = size.astype("<u8").view(np.uint8).reshape(-1, 8)
    lengths, which = np.unique(size, return_inverse=True)
    sums = _masked([checksum(length.tobytes()) for length in lengths.astype("<u8")])[which]
    flat = _join([_part(head), _part(sums), *example, _text(bytes(4))], n_rows)
    ends = np.cumsum(np.broadcast_to(size + 16, n_rows)) - 4
    starts = (ends - size).tolist()
    sums = _masked([checksum(flat[start:end]) for start, end in zip(starts, ends.tolist(), strict=True)])
    flat[ends[:, None] + np.arange(4)] = sums
    return flat


def _join(parts: list[_Part], n_rows: int) -> np.ndarray:
    data = np.empty((n_rows, sum(part.data.shape[1] for part in parts)), np.uint8)
    used = None if all(part.used is None for part in parts) else np.ones(data.shape, bool)
    end = 0
    for part in parts:
        start, end = end, end + part.data.shape[1]
        data[:, start:end] = part.data
        if used is not None and part.used is not None:
            used[:, start:end] = part.used
    return data.reshape(-1) if used is None else data[used]


def _masked(sums: list[int]) -> np.ndarray:
    """Mask CRC-32Cs as TFRecord does, and return their bytes, (n, 4)."""
    crc = np.array(sums, dtype=np.uint32)
    return ((crc >> 15 | crc << 17) + np.uint32(0xA282EAD8)).astype("<u4").view(np.uint8).reshape(-1, 4)


def _flat(name: str, values: np.ndarray) -> np.ndarray:
    if not (values.dtype.kind in "iub" or (values.dtype.kind == "f" and values.itemsize <= 4)):
        raise JetmillError(f"feature '{name}' is of {values.dtype}; records take float32, float16, integers and bool")
    if values.dtype.kind == "u" and values.max(initial=0) > np.iinfo(np.int64).max:
        raise JetmillError(f"feature '{name}' holds {values.max()}, beyond the int64 of records")
    return values.reshape(len(values), int(np.prod(values.shape[1:])))
