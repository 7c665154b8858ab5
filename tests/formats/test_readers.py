"""The programs that the formats are for, reading what a run has written."""

import json
import shutil

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
import yaml
from format_runs import ALL, CLASSES, MAX, finished

from jetmill.errors import JetmillError
from jetmill.formats.parquet import signed

pytestmark = [pytest.mark.workflow, pytest.mark.readers]


@pytest.fixture(scope="module", params=["one", "two"])
def run(request, tmp_path_factory):
    return finished(request.param, tmp_path_factory)


# atlas-ftag-tools


@pytest.fixture
def reader(run):
    hdf5 = pytest.importorskip("ftag.hdf5")

    def make(output="train", **options):
        path = run.results / f"structured/{output}.h5"
        return hdf5.H5Reader(path, **{"batch_size": 300, "shuffle": False} | options)

    return make


def test_ftag_streams_all_rows(run, reader):
    jets, tracks = run.records("train")
    variables = {"jets": ["pt_btagJes", "flavour_label"], "tracks": ["d0", "valid", "ftagTruthOriginLabel"]}
    batches = list(reader().stream(variables))
    assert [len(b["jets"]) for b in batches[:-1]] == [300] * (len(jets) // 300)
    for name, records in (("jets", jets), ("tracks", tracks)):
        found = np.concatenate([b[name] for b in batches])
        for field in variables[name]:
            np.testing.assert_array_equal(found[field], records[field])


def test_ftag_loads_all_fields(run, reader):
    jets, tracks = run.records("val")
    found = reader("val").load({"jets": None, "tracks": None})
    assert found["jets"].dtype.names == jets.dtype.names
    assert found["tracks"].shape == (len(jets), MAX)
    for name in jets.dtype.names:
        np.testing.assert_array_equal(found["jets"][name], jets[name])
    for name in tracks.dtype.names:
        np.testing.assert_array_equal(found["tracks"][name], tracks[name])


def test_ftag_cuts(run, reader):
    ftag = pytest.importorskip("ftag")
    jets, tracks = run.records("test")
    cuts = ftag.Cuts.from_list(["pt_btagJes > 100_000", "flavour_label == 1"])
    found = reader("test", shuffle=True).load({"jets": ["pt_btagJes"], "tracks": ["d0", "valid"]}, cuts=cuts)
    chosen = (jets["pt_btagJes"] > 100_000) & (jets["flavour_label"] == 1)
    assert chosen.sum() > 10
    np.testing.assert_array_equal(np.sort(found["jets"]["pt_btagJes"]), np.sort(jets["pt_btagJes"][chosen]))
    np.testing.assert_array_equal(
        np.sort(found["tracks"]["d0"][found["tracks"]["valid"]]), np.sort(tracks["d0"][chosen][tracks["valid"][chosen]])
    )


def test_ftag_types(run, reader):
    jets, tracks = run.records("train")
    types = reader().dtypes()
    assert types["jets"] == jets.dtype
    assert types["tracks"] == tracks.dtype


# salt: its data sets in a few lines, as `salt.data.datasets` and `InputNorm` read them.


def test_salt_batch(run):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    norm = yaml.safe_load((run.results / "norm_dict.yaml").read_text())
    weights = yaml.safe_load((run.results / "class_dict.yaml").read_text())
    with h5py.File(run.results / "structured/train.h5") as file:
        assert len(weights["jets"]["flavour_label"]) == len(file["jets"].attrs["flavour_label"])
        for name, variables in norm.items():
            for start in (0, 250):
                batch = np.empty((250, *file[name].shape[1:]), dtype=file[name].dtype)
                file[name].read_direct(batch, np.s_[start : start + 250])
                x = torch.from_numpy(np.stack([batch[v] for v in variables], axis=-1))
                mean, std = (torch.tensor([v[k] for v in variables.values()]) for k in ("mean", "std"))
                x = (x - mean) / std
                if "valid" in batch.dtype.names:
                    x = x[torch.from_numpy(batch["valid"])]
                assert torch.isfinite(x).all()
                assert x.dtype == torch.float32
        mixed = file["jets"]["flavour_label"][:250]
    assert set(mixed.tolist()) == {0, 1, 2, 3}


# TensorFlow


@pytest.mark.parametrize("output", ["train", "test"])
def test_tensorflow(run, output):
    tf = pytest.importorskip("tensorflow")
    directory = run.results / "tfrecords" / output
    m = json.loads((directory / "metadata.json").read_text())
    n_slots, n_variables = m["n_trks"]["tracks"], m["n_trk_features"]["tracks"]
    features = {
        "X_jets": tf.io.FixedLenFeature([m["n_jet_features"]], tf.float32),
        "Y_jets": tf.io.FixedLenFeature([m["n_dim"]], tf.int64),
        "Weights": tf.io.FixedLenFeature([1], tf.float32),
        "tracks/inputs": tf.io.FixedLenFeature([n_slots, n_variables], tf.float32),
        "tracks/valid": tf.io.FixedLenFeature([n_slots], tf.int64),
    }
    features |= {f"tracks/labels/{x}": tf.io.FixedLenFeature([n_slots], tf.int64) for x in m["labels"]["tracks"]}
    if m["n_add_vars"]:
        features["X_Add_Vars"] = tf.io.FixedLenFeature([m["n_add_vars"]], tf.float32)
    data = tf.data.TFRecordDataset(sorted(map(str, directory.glob("*.tfrecord")))).batch(500)
    batches = [{k: v.numpy() for k, v in tf.io.parse_example(b, features).items()} for b in data]
    found = {name: np.concatenate([b[name] for b in batches]) for name in features}
    arrays = run.arrays(output)
    assert m["n_jets"] == len(found["X_jets"]) == len(arrays["jets/labels"])
    pairs = {"X_jets": "jets/inputs", "Y_jets": "jets/labels_one_hot", "X_Add_Vars": "jets/conditional"}
    for name, values in found.items():
        if name == "Weights":
            np.testing.assert_array_equal(values[:, 0], arrays["jets/weight"])
        else:
            np.testing.assert_array_equal(values, arrays[pairs.get(name, name)])


# weaver, with the data configuration of the run


@pytest.fixture
def weaver(run, tmp_path):
    dataset = pytest.importorskip("weaver.utils.dataset", reason="weaver is not installed")

    def make(output, for_training):
        # weaver writes beside it.
        config = shutil.copy(run.results / "weaver/data.yaml", tmp_path)
        paths = sorted(map(str, (run.results / "parquet" / output).glob("*.parquet")))
        return dataset.SimpleIterDataset({"_": paths}, config, for_training=for_training)

    return make


def test_weaver_reads_scaled_inputs(run, weaver):
    # Not for training, where weaver draws jets by weight.
    rows = list(weaver("val", for_training=False))
    arrays, (jets, tracks) = run.arrays("val"), run.records("val")
    assert [int(labels["_label_"]) for _, labels, _ in rows] == arrays["jets/labels"].tolist()
    found = {name: np.stack([x[name] for x, _, _ in rows]) for name in rows[0][0]}
    close = {"rtol": 2e-3, "atol": 2e-3} if arrays["jets/inputs"].dtype == np.float16 else {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(found["jets"][:, :, 0], arrays["jets/inputs"], **close)
    np.testing.assert_array_equal(found["tracks_mask"][:, 0], tracks["valid"])
    own = arrays["tracks/inputs"][:, :, -found["tracks"].shape[1] :]
    np.testing.assert_allclose(
        found["tracks"].transpose(0, 2, 1), np.where(tracks["valid"][..., None], own, 0), **close
    )
    for name in ("eventNumber", "jetPtRank", "sample", "GN2_pb"):
        np.testing.assert_array_equal([observers[name] for *_, observers in rows], jets[name])


def test_weaver_batches_event_ids(weaver):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    *_, observers = next(iter(torch.utils.data.DataLoader(weaver("test", for_training=False), batch_size=50)))
    assert observers["eventNumber"].dtype == torch.int64


def test_weaver_draws_equal_shares_of_the_classes(run, weaver):
    """With weights as they are, probabilities beyond 1, the shares were 33, 25, 38 and 4 %."""
    weight = run.arrays("train")["jets/weight"]
    assert weight.max() > 1.5
    data, drawn = weaver("train", for_training=True), np.zeros(len(CLASSES))
    for _ in range(8):
        drawn += np.bincount([int(labels["_label_"]) for _, labels, _ in data], minlength=len(CLASSES))
    total = drawn.sum()
    assert total > 1000
    np.testing.assert_allclose(drawn / total, 1 / len(CLASSES), atol=5 * np.sqrt(0.25 * 0.75 / total))


def test_parquet_for_readers_of_a_few_rows(run):
    pq = pytest.importorskip("pyarrow.parquet")
    for path in (run.results / "parquet/train").glob("*.parquet"):
        file = pq.ParquetFile(path)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert sizes[:-1] == [1000] * (len(sizes) - 1)
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_integers_beyond_int64_are_no_event_ids_of_parquet():
    ids = np.array([1, 2**63 - 1], dtype=np.uint64)
    assert signed("event", ids).dtype == np.int64
    with pytest.raises(JetmillError) as error:
        signed("event", ids + np.uint64(1))
    assert str(error.value) == (
        "'event' has the value 9223372036854775808, beyond int64, in which Parquet files hold integers"
    )


def test_hugging_face_has_the_splits(run, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    found = datasets.load_dataset(str(run.results / "parquet"), cache_dir=str(tmp_path / "cache"))
    names = {"val": "validation", "val_resampled": "validation_resampled"}
    assert set(found) == {names.get(output, output) for output in run.outputs}
    for output in run.outputs:
        rows, (jets, tracks) = found[names.get(output, output)], run.records(output)
        np.testing.assert_array_equal(rows["eventNumber"], jets["eventNumber"])
        d0 = [value for track in rows["tracks_d0"] for value in track]
        np.testing.assert_array_equal(np.array(d0, np.float32), tracks["d0"][tracks["valid"]])


def test_every_format_has_the_same_jets_in_the_same_order(run):
    assert run.config["write"]["formats"] == ALL
    pq = pytest.importorskip("pyarrow.parquet")
    for output in run.outputs:
        arrays, (jets, _) = run.arrays(output), run.records(output)
        event = arrays["jets/event/eventNumber"]
        np.testing.assert_array_equal(jets["eventNumber"], event)
        tables = [pq.read_table(p) for p in sorted((run.results / "parquet" / output).glob("*.parquet"))]
        np.testing.assert_array_equal(np.concatenate([t["eventNumber"].to_numpy() for t in tables]), event)
