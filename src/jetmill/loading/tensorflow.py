"""Jets for TensorFlow and Keras: streams and TFRecords as ``tf.data`` datasets.

With `as_supervised` their elements are what ``model.fit`` takes: x, y (n, n_classes) one-hot, and the weight (n,). x is
the inputs of the jets, or with constituents a dictionary of ``jets`` (or what they are called), and for each collection
``tracks`` and ``tracks_valid``. Truth objects are not among them.
"""

import json
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import Any

import tensorflow as tf

from jetmill.errors import JetmillError
from jetmill.formats.files.layout import OBJECTS
from jetmill.formats.files.names import GLOBAL_OBJECT, JETS, Names
from jetmill.loading.streams import Stream

# Files that records are drawn from together.
FILES_AT_A_TIME = 16


def stream_dataset(stream: Stream, epoch: int = 0, *, as_supervised: bool = False) -> tf.data.Dataset:
    """Return the batches of a stream as dictionaries of tensors; each iteration is a new epoch, from `epoch` on."""
    first = next(stream.epoch(epoch), None)
    if first is None:
        raise JetmillError("there are no jets to stream")
    signature = {name: tf.TensorSpec((None, *x.shape[1:]), tf.as_dtype(x.dtype)) for name, x in first.items()}
    epochs = count(epoch)
    batches = tf.data.Dataset.from_generator(lambda: stream.epoch(next(epochs)), output_signature=signature)
    if as_supervised:
        names = stream.names
        of_jets = names.jets, names.inputs, names.one_hot, names.weight
        batches = batches.map(lambda batch: _supervised(batch, *of_jets, stream.objects))
    return batches.apply(tf.data.experimental.assert_cardinality(len(stream)))


def record_dataset(
    directory: str | Path,
    batch_size: int,
    *,
    shuffle: bool = True,
    as_supervised: bool = False,
    buffer: int = 10_000,
    seed: int = 0,
) -> tf.data.Dataset:
    """Return batches from a directory of TFRecords, as dictionaries of tensors by name of the feature.

    With `shuffle` the next record is drawn from `buffer` ones in memory, of several files at a time; each iteration has
    a new order, which depends on `seed`.

    Raises
    ------
    JetmillError
        If the directory holds no TFRecords of jetmill.
    """
    directory = Path(directory)
    files = sorted(map(str, directory.glob("*.tfrecord")))
    if not files or not (directory / "metadata.json").exists():
        raise JetmillError(f"{directory}: holds no TFRecords with a metadata.json")
    metadata = json.loads((directory / "metadata.json").read_text())
    jets_name = metadata.get(GLOBAL_OBJECT, JETS)
    features = record_features(metadata)
    if shuffle:
        paths = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files), seed=seed)
        records = paths.interleave(tf.data.TFRecordDataset, cycle_length=min(len(files), FILES_AT_A_TIME))
        records = records.shuffle(buffer, seed=seed)
    else:
        records = tf.data.TFRecordDataset(files)
    batches = records.batch(batch_size).map(
        lambda batch: tf.io.parse_example(batch, features), num_parallel_calls=tf.data.AUTOTUNE
    )
    if as_supervised:
        of_jets = jets_name, f"X_{jets_name}", f"Y_{jets_name}", "Weights"
        batches = batches.map(lambda batch: _supervised(batch, *of_jets, metadata.get(OBJECTS, [])))
    return batches.apply(tf.data.experimental.assert_cardinality(-(-metadata[f"n_{jets_name}"] // batch_size)))


def _supervised(
    batch: dict[str, tf.Tensor], jets_name: str, inputs: str, one_hot: str, weight: str, objects: Collection[str]
) -> tuple[Any, tf.Tensor, tf.Tensor]:
    """Return x, y and the weight of a batch; `inputs`, `one_hot` and `weight` are the names of those of the jets."""
    x = {jets_name: batch[inputs]}
    for name in batch:
        collection, _, what = name.rpartition("/")
        if what == "valid" and collection not in objects:
            x |= {collection: batch[f"{collection}/inputs"], f"{collection}_valid": tf.cast(batch[name], tf.bool)}
    y = tf.cast(batch[one_hot], tf.float32)
    return x if len(x) > 1 else x[jets_name], y, tf.reshape(batch[weight], [-1])


def record_features(metadata: dict[str, Any]) -> dict[str, tf.io.FixedLenFeature]:
    """Return what ``tf.io.parse_example`` needs to know, from ``metadata.json``."""

    def floats(*shape: int) -> tf.io.FixedLenFeature:
        return tf.io.FixedLenFeature(shape, tf.float32)

    def integers(*shape: int) -> tf.io.FixedLenFeature:
        return tf.io.FixedLenFeature(shape, tf.int64)

    names = Names(metadata.get(GLOBAL_OBJECT, JETS))
    features = {
        f"X_{names.jets}": floats(metadata[f"n_{names.jet}_features"]),
        f"Y_{names.jets}": integers(metadata["n_dim"]),
        "Weights": floats(1),
    }
    if metadata["n_add_vars"]:
        features["X_Add_Vars"] = floats(metadata["n_add_vars"])
    for name, slots in metadata["n_trks"].items():
        features[f"{name}/inputs"] = floats(slots, metadata["n_trk_features"][name])
        features[f"{name}/valid"] = integers(slots)
        for label in metadata["labels"][name]:
            kind = floats if label in metadata["float_labels"][name] else integers
            features[f"{name}/labels/{label}"] = kind(slots)
    return features
