"""Streams and finished files in PyTorch and TensorFlow, against the files read with h5py."""

import pickle
import shutil
from collections import Counter

import numpy as np
import pytest
from stream_runs import assert_same_batches, assert_same_jets, identity, lengths, made, together

from jetmill.errors import JetmillError
from jetmill.formats.tfrecords import write as write_tfrecords

pytestmark = [pytest.mark.readers, pytest.mark.filterwarnings("ignore:This DataLoader will create")]

SOME = ["jets/event/jetPtRank", "jets/event/eventNumber", "jets/labels", "tracks/inputs", "tracks/valid"]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def torch_data(torch):
    return pytest.importorskip("jetmill.loading.torch")


@pytest.fixture
def loader(torch):
    return torch.utils.data.DataLoader


@pytest.fixture
def tensorflow_data():
    pytest.importorskip("tensorflow")
    return pytest.importorskip("jetmill.loading.tensorflow")


@pytest.fixture
def index(two):
    return two.results / "val.h5"


def in_torch(arrays):
    """Return arrays in the types that tensors have: integers as int64, event numbers with their bits."""
    return {name: x.astype(np.int64) if x.dtype.kind in "iu" else x for name, x in arrays.items()}


def arrays_of(batch):
    return {name: x.numpy() for name, x in batch.items()}


def read(loader):
    return [arrays_of(batch) for batch in loader]


def order(batches):
    return identity(together(batches)).tolist()


# StreamDataset


@pytest.mark.parametrize("n_workers", [0, 3])
@pytest.mark.parametrize("run", ["one", "two"], indirect=True)
def test_workers_yield_each_jet_as_often_as_the_file(run, n_workers, torch_data, loader):
    stream = run.stream(batch_size=300, jets_in_memory=500)
    batches = read(loader(torch_data.StreamDataset(stream), batch_size=None, num_workers=n_workers))
    assert_same_jets(together(batches), in_torch(run.arrays("train")))
    # Each worker has a rest.
    assert Counter(lengths(batches))[300] >= stream.n_jets // 300 - max(n_workers, 1)


def test_types_of_tensors(two, torch, torch_data, loader):
    batch = next(iter(loader(torch_data.StreamDataset(two.stream(batch_size=10)), batch_size=None)))
    of_file = next(iter(loader(torch_data.FileDataset(two.results / "train.h5"), batch_size=10)))
    for name, x in two.arrays("train").items():
        expected = {"i": torch.int64, "u": torch.int64, "b": torch.bool}.get(x.dtype.kind)
        expected = expected or {np.dtype("f2"): torch.float16, np.dtype("f4"): torch.float32}[x.dtype]
        for found in (batch, of_file):
            assert found[name].dtype == expected, name
            assert found[name].shape == (10, *x.shape[1:]), name
    assert batch["jets/inputs"].dtype == torch.float16
    torch.nn.functional.cross_entropy(torch.rand(10, 4), batch["jets/labels"])


@pytest.mark.parametrize(("n_workers", "persistent"), [(0, False), (1, False), (2, True)])
def test_each_iteration_is_another_epoch(one, n_workers, persistent, torch, torch_data, loader):
    def iterations(n):
        torch.manual_seed(7)
        data = torch_data.StreamDataset(one.stream("val", batch_size=100, jets_in_memory=300))
        batches = loader(data, batch_size=None, num_workers=n_workers, persistent_workers=persistent)
        return [read(batches) for _ in range(n)]

    first = iterations(3 if n_workers == 0 else 2)
    expected = in_torch(one.arrays("val"))
    for batches in first:
        assert_same_jets(together(batches), expected)
    orders = [order(batches) for batches in first]
    for i, a in enumerate(orders):
        for b in orders[:i]:
            assert np.mean([x == y for x, y in zip(a, b, strict=True)]) < 0.1
    for batches, again in zip(first, iterations(2), strict=False):
        assert_same_batches(again, batches)


def test_workers_depend_on_the_seed_of_torch(one, torch, torch_data, loader):
    def first(seed):
        torch.manual_seed(seed)
        return order(read(loader(torch_data.StreamDataset(one.stream("val")), batch_size=None, num_workers=2)))

    assert first(1) != first(2)


def test_more_workers_than_jets_in_torch(small, torch_data, loader):
    stream = small.stream("test", batch_size=2)
    batches = read(loader(torch_data.StreamDataset(stream), batch_size=None, num_workers=4))
    assert_same_jets(together(batches), in_torch(small.arrays("test")))
    assert read(loader(torch_data.StreamDataset(small.stream("val")), batch_size=None, num_workers=2)) == []


def test_a_stream_can_be_pickled(one, torch_data):
    """As it is where workers are not forked."""
    data = torch_data.StreamDataset(one.stream("val", batch_size=200))
    copy = pickle.loads(pickle.dumps(data))
    assert_same_batches([arrays_of(b) for b in copy], [arrays_of(b) for b in data])


# FileDataset


@pytest.mark.parametrize("run", ["one", "two"], indirect=True)
def test_rows_of_a_file(run, torch_data):
    expected = in_torch(run.arrays("val"))
    data = torch_data.FileDataset(run.results / "val.h5")
    assert len(data) == len(expected["jets/labels"])
    for rows in (0, 17, -1, slice(5), slice(90, 200), slice(len(data) - 3, len(data) + 5), slice(4, 4), [3], [2, 5, 7]):
        found = arrays_of(data[rows])
        assert set(found) == set(expected)
        for name, x in found.items():
            assert x.dtype == expected[name].dtype
            np.testing.assert_array_equal(x, expected[name][rows])


@pytest.mark.parametrize("rows", [[7, 2], [4, 4, 1], np.array([9, 0]), []])
def test_rows_of_a_file_in_any_order(one, rows, torch_data):
    data = torch_data.FileDataset(one.results / "val.h5", ["jets/labels", "tracks/inputs"])
    for name, x in arrays_of(data[rows]).items():
        np.testing.assert_array_equal(x, one.arrays("val")[name][np.asarray(rows, int)])


def test_a_row_beyond_the_end(index, torch_data):
    data = torch_data.FileDataset(index, ["jets/labels"])
    with pytest.raises(IndexError):
        data[len(data)]


def test_some_datasets(two, index, torch_data):
    names = ["tracks/valid", "jets/inputs"]
    data = torch_data.FileDataset(index, names)
    assert list(data[:3]) == names
    with pytest.raises(JetmillError) as error:
        torch_data.FileDataset(index, ["jets/inputs", "jets/label"])
    assert str(error.value).startswith(f"{index}: has no dataset 'jets/label'; it has ")
    assert "jets/labels" in str(error.value)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_default_batching(two, index, n_workers, torch, torch_data, loader):
    expected = {name: in_torch(two.arrays("val"))[name] for name in SOME}
    data = torch_data.FileDataset(index, SOME)
    n = len(data)
    in_order = read(loader(data, batch_size=100, num_workers=n_workers))
    assert lengths(in_order) == [100] * (n // 100) + [n % 100]
    assert_same_batches([together(in_order)], [expected])
    torch.manual_seed(1)
    shuffled = loader(data, batch_size=100, shuffle=True, num_workers=n_workers)
    first, second = read(shuffled), read(shuffled)
    for batches in (first, second):
        assert_same_jets(together(batches), expected)
    assert order(first) != order(second) != order(in_order)


def test_rows_that_a_sampler_repeats(two, index, loader, torch_data):
    rows = [5, 3, 3, 300, 4, 5]
    (found,) = read(loader(torch_data.FileDataset(index), batch_size=6, sampler=rows))
    for name, x in in_torch(two.arrays("val")).items():
        np.testing.assert_array_equal(found[name], x[rows])


@pytest.mark.parametrize("n_workers", [0, 3])
def test_blocks(two, index, n_workers, torch_data, loader):
    data = torch_data.FileDataset(index)
    n, expected = len(data), in_torch(two.arrays("val"))
    sampler = torch_data.BlockSampler(n, 64)
    batches = loader(data, batch_size=None, sampler=sampler, num_workers=n_workers)
    assert len(sampler) == len(batches) == -(-n // 64)
    first, second = read(batches), read(batches)
    for found in (first, second):
        assert Counter(lengths(found)) == Counter([64] * (n // 64) + [n % 64] * (n % 64 > 0))
        assert_same_jets(together(found), expected)
    assert order(first) != order(second) != identity(expected).tolist()
    # Rows of a block are those of the file.
    place = {tuple(i): row for row, i in enumerate(identity(expected).tolist())}
    for batch in first:
        start = place[tuple(identity(batch)[0].tolist())]
        assert start % 64 == 0
        for name, x in batch.items():
            np.testing.assert_array_equal(x, expected[name][start : start + 64])


def test_blocks_are_reproducible(torch_data):
    def blocks(**options):
        sampler = torch_data.BlockSampler(103, 10, **options)
        return [list(sampler) for _ in range(2)]

    first, second = blocks()
    assert sorted(first, key=lambda rows: rows.start) == [slice(k, min(k + 10, 103)) for k in range(0, 103, 10)]
    assert first != second
    assert blocks() == [first, second]
    assert blocks(seed=1)[0] != first
    assert list(torch_data.BlockSampler(0, 10)) == []


def test_a_file_that_was_read_goes_to_workers(two, index, torch_data, loader):
    data = torch_data.FileDataset(index)
    expected = arrays_of(data[:40])
    copy = pickle.loads(pickle.dumps(data))
    assert_same_batches([arrays_of(copy[:40])], [expected])
    # Forked workers are not given a pickle.
    found = read(loader(data, batch_size=50, num_workers=2))
    assert_same_jets(together(found), in_torch(two.arrays("val")))
    assert_same_batches([arrays_of(data[:40])], [expected])


def test_a_file_that_there_is_not(tmp_path, torch_data):
    with pytest.raises(JetmillError, match=r"none\.h5: no such file"):
        torch_data.FileDataset(tmp_path / "none.h5")


def test_a_file_without_finished_jets(two, torch_data):
    with pytest.raises(JetmillError, match=r"balance\.h5: .*not a file of finished jets"):
        torch_data.FileDataset(two.results / "balance.h5")


def test_a_file_whose_parts_are_gone(one, tmp_path, torch_data):
    """HDF5 would fill in zeros."""
    shutil.copy(one.results / "val.h5", tmp_path)
    with pytest.raises(JetmillError, match="which is not there"):
        torch_data.FileDataset(tmp_path / "val.h5")


# TensorFlow


@pytest.mark.parametrize(("run", "output"), [("one", "train"), ("two", "val")], indirect=["run"])
def test_a_stream_in_tensorflow(run, output, tensorflow_data):
    stream = run.stream(output, batch_size=300, jets_in_memory=500)
    for epoch in (0, 3):
        data = tensorflow_data.stream_dataset(stream, epoch)
        for iteration in range(2):
            expected = list(stream.epoch(epoch + iteration))
            batches = [arrays_of(batch) for batch in data]
            assert_same_batches(batches, expected)
            assert_same_jets(together(batches), run.arrays(output))
    assert len(data) == len(expected)
    assert {name: x.shape[0] for name, x in data.element_spec.items()} == dict.fromkeys(expected[0])


def test_an_empty_stream_in_tensorflow(small, tensorflow_data):
    with pytest.raises(JetmillError, match="no jets"):
        tensorflow_data.stream_dataset(small.stream("val"))


@pytest.mark.parametrize("name", ["one", "two"])
def test_records_in_tensorflow(name, tmp_path, tmp_path_factory, tensorflow_data):
    run = made(name, tmp_path_factory)
    write_tfrecords(run.results / "val.h5", tmp_path / "val", records_per_file=150)
    assert len(list((tmp_path / "val").glob("*.tfrecord"))) > 1
    batches = [arrays_of(b) for b in tensorflow_data.record_dataset(tmp_path / "val", batch_size=64, shuffle=False)]
    expected = run.arrays("val")
    n = len(expected["jets/labels"])
    sizes = [len(b["X_jets"]) for b in batches]
    assert sizes == [64] * (n // 64) + [n % 64] * (n % 64 > 0)
    renamed = {"X_jets": "jets/inputs", "Y_jets": "jets/labels_one_hot", "X_Add_Vars": "jets/conditional"}
    found = together(batches)
    tracks = {feature for feature in expected if feature.startswith("tracks/")}
    assert set(found) == {"X_jets", "Y_jets", "Weights", *tracks, *(["X_Add_Vars"] if name == "one" else [])}
    np.testing.assert_array_equal(found.pop("Weights")[:, 0], expected["jets/weight"])
    for feature, x in found.items():
        values = expected[renamed.get(feature, feature)]
        assert x.dtype == (np.float32 if values.dtype.kind == "f" else np.int64), feature
        np.testing.assert_array_equal(x, values, err_msg=feature)


@pytest.mark.parametrize("buffer", [100, 10**6])
@pytest.mark.parametrize("records_per_file", [150, 10**6])
def test_records_in_another_order_in_each_epoch(one, buffer, records_per_file, tmp_path, tensorflow_data):
    write_tfrecords(one.results / "val.h5", tmp_path / "val", records_per_file=records_per_file)

    def iterations(**options):
        data = tensorflow_data.record_dataset(tmp_path / "val", batch_size=64, buffer=buffer, **options)
        return [together([arrays_of(batch) for batch in data]) for _ in range(3)]

    def rows(arrays):
        return [tuple(row) for row in np.c_[arrays["X_jets"], arrays["Weights"]].tolist()]

    first = iterations()
    n_jets = len(one.arrays("val")["jets/labels"])
    assert len(tensorflow_data.record_dataset(tmp_path / "val", batch_size=64)) == -(-n_jets // 64)
    in_file = {"X_jets": one.arrays("val")["jets/inputs"], "Weights": one.arrays("val")["jets/weight"][:, None]}
    orders = [rows(arrays) for arrays in (*first, in_file, *iterations(seed=1))]
    for i, a in enumerate(orders):
        assert sorted(a) == sorted(orders[0])
        for b in orders[:i]:
            assert np.mean([x == y for x, y in zip(a, b, strict=True)]) < 0.1
    # All features of a record stay together, and a seed gives the same again.
    again = iterations()
    for a, b in zip(first, again, strict=True):
        assert_same_batches([a], [b])
    assert_same_jets(
        {"inputs": first[0]["X_jets"], "tracks": first[0]["tracks/inputs"]},
        {"inputs": in_file["X_jets"], "tracks": one.arrays("val")["tracks/inputs"]},
    )


def test_keras_sees_another_order_in_each_epoch(one, tensorflow_data):
    """`fit` iterates over the data set once for each epoch."""
    import tensorflow as tf

    seen = []

    class Model(tf.keras.Model):
        def train_step(self, batch):
            seen.append(batch["jets/inputs"][0].numpy().tolist())
            return {"loss": tf.zeros(())}

    model = Model()
    model.compile(run_eagerly=True)
    model.fit(tensorflow_data.stream_dataset(one.stream(batch_size=10**6)), epochs=3, verbose=0, shuffle=False)
    assert len(seen) == 3
    assert len({tuple(row) for row in seen}) == 3


def test_streams_and_records_agree(one, tmp_path, tensorflow_data):
    write_tfrecords(one.results / "train.h5", tmp_path / "train", records_per_file=10**6)
    records = together([arrays_of(b) for b in tensorflow_data.record_dataset(tmp_path / "train", batch_size=500)])
    stream = together([arrays_of(b) for b in tensorflow_data.stream_dataset(one.stream())])
    columns = {"X_jets": "jets/inputs", "X_Add_Vars": "jets/conditional", "tracks/inputs": "tracks/inputs"}
    assert_same_jets({n: records[n] for n in columns}, {n: stream[column] for n, column in columns.items()})


def test_what_keras_is_fitted_to(one, tmp_path, tensorflow_data):
    """Inputs, one-hot labels and weights of the same jets, from records and from a stream."""
    write_tfrecords(one.results / "val.h5", tmp_path / "val", records_per_file=10**6)
    records = tensorflow_data.record_dataset(tmp_path / "val", batch_size=64, shuffle=False, as_supervised=True)
    arrays = one.arrays("val")
    stream = tensorflow_data.stream_dataset(one.stream("val", batch_size=64), as_supervised=True)
    streamed = next(one.stream("val", batch_size=64).epoch())
    for data, expected in ((records, {name: x[:64] for name, x in arrays.items()}), (stream, streamed)):
        x, y, weight = next(iter(data))
        assert len(data) == -(-len(arrays["jets/labels"]) // 64)
        found = {**x, "y": y, "weight": weight}
        for name, dataset in {
            "jets": "jets/inputs",
            "tracks": "tracks/inputs",
            "tracks_valid": "tracks/valid",
            "y": "jets/labels_one_hot",
            "weight": "jets/weight",
        }.items():
            assert found.pop(name).numpy().tolist() == expected[dataset].tolist(), name
        assert found == {}


def test_keras_learns_from_jets_without_constituents(from_root, tmp_path, tensorflow_data):
    import tensorflow as tf

    write_tfrecords(from_root.results / "train.h5", tmp_path / "train", records_per_file=500)
    data = tensorflow_data.record_dataset(tmp_path / "train", batch_size=100, as_supervised=True)
    model = tf.keras.Sequential([tf.keras.layers.Dense(4, activation="softmax")])
    model.compile("adam", "categorical_crossentropy")
    losses = model.fit(data, epochs=3, verbose=0, shuffle=False).history["loss"]
    assert losses[0] > losses[-1]
    # As numpy computes it, with the weights.
    x, y, weight = next(iter(data))
    expected = np.mean(weight * -np.log(model(x).numpy()[y.numpy() == 1]))
    assert model.evaluate(x, y, sample_weight=weight, verbose=0) == pytest.approx(expected, rel=1e-4)


def test_directories_without_records(tmp_path, tensorflow_data):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(JetmillError, match=r"holds no TFRecords with a metadata\.json"):
            tensorflow_data.record_dataset(path, batch_size=10)
