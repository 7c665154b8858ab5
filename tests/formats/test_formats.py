"""All output formats of ATLAS jets with tracks, against numpy that starts from the toy dumps themselves.

Two runs: `ONE` in float32, lz4, all jet variables concatenated, resampled; `TWO` in
float16, gzip, two jet variables concatenated, one file per split, not resampled.
"""

import json

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
import workflow_runs as runs
import yaml
from format_runs import CLASSES, MAX, ORIGINS, OUTPUTS, finished
from stream_runs import CONFIGS, make

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return finished("one", tmp_path_factory)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return finished("two", tmp_path_factory)


@pytest.fixture(scope="module", params=["one", "two"])
def run(request):
    return request.getfixturevalue(request.param)


# The layout of arrays.


def test_outputs(one, two):
    assert one.outputs == [*OUTPUTS, "val_resampled"]
    assert two.outputs == OUTPUTS


@pytest.mark.parametrize("output", OUTPUTS)
def test_which_jets(run, output):
    truth, rows = run.truth, run.rows(output)
    wanted = np.flatnonzero(truth.split == OUTPUTS.index(output))
    if output == "train" and run.config["balance"]["resampling"]["method"] == "pdf":
        assert set(rows) <= set(wanted)
        assert np.bincount(rows).max() > 1
        return
    np.testing.assert_array_equal(np.sort(rows), wanted)


def test_which_validation_jets_are_resampled(one):
    rows = one.rows("val_resampled")
    assert len(rows)
    assert (one.truth.split[rows] == 1).all()


@pytest.mark.parametrize("output", OUTPUTS)
def test_arrays_of_jets(run, output):
    truth, found, rows = run.truth, run.arrays(output), run.rows(output)
    precision = run.config["write"].get("precision", "float32")
    scaled, _, _ = truth.jets_scaled
    tolerance = {"rtol": 2e-3, "atol": 1e-3} if precision == "float16" else {"rtol": 2e-4, "atol": 2e-5}
    assert found["jets/inputs"].dtype == precision
    np.testing.assert_allclose(found["jets/inputs"], scaled[rows], **tolerance)
    np.testing.assert_array_equal(found["jets/is_default"], np.isnan(truth.jet_values[rows]))
    np.testing.assert_array_equal(found["jets/labels"], truth.labels[rows])
    assert found["jets/labels"].dtype == found["jets/labels_one_hot"].dtype == np.uint8
    np.testing.assert_array_equal(found["jets/labels_one_hot"], np.eye(4)[truth.labels[rows]])
    np.testing.assert_array_equal(found["jets/bins"], truth.bins[rows])
    np.testing.assert_array_equal(found["jets/sample"], truth.source[2][rows])
    jets = truth.source[0][rows]
    for name in ("GN2_pb", "GN2_pu"):
        np.testing.assert_array_equal(found[f"jets/spectators/{name}"], jets[name])
    target = found["jets/add_labels/HadronConeExclTruthLabelPt"]
    assert target.dtype == np.float32
    np.testing.assert_array_equal(target, np.nan_to_num(jets["HadronConeExclTruthLabelPt"]))
    assert (target == 0).any()
    flavour = found["jets/add_labels/HadronConeExclTruthLabelID"]
    assert flavour.dtype == np.int32
    np.testing.assert_array_equal(flavour, jets["HadronConeExclTruthLabelID"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_arrays_of_tracks(run, output):
    truth, found, rows = run.truth, run.arrays(output), run.rows(output)
    precision = run.config["write"].get("precision", "float32")
    concat = run.config["write"]["concat_jet_tracks"]
    variables = run.config["jets"]["variables"]
    ahead = [variables.index(v) for v in (variables if concat is True else concat)]
    valid = truth.valid[rows]
    expected = np.concatenate(
        [np.repeat(truth.jets_scaled[0][rows][:, None, ahead], MAX, axis=1), truth.tracks_scaled[0][rows]], axis=2
    )
    expected[~valid] = 0
    inputs = found["tracks/inputs"]
    assert inputs.dtype == precision
    assert inputs.shape == (len(rows), MAX, len(ahead) + 5)
    tolerance = {"rtol": 2e-3, "atol": 2e-3} if precision == "float16" else {"rtol": 2e-4, "atol": 1e-4}
    np.testing.assert_allclose(inputs, expected, **tolerance)
    assert not inputs[~valid].any()
    assert found["tracks/valid"].dtype == bool
    np.testing.assert_array_equal(found["tracks/valid"], valid)
    origin, vertex = (found[f"tracks/labels/{n}"] for n in ("ftagTruthOriginLabel", "ftagTruthVertexIndex"))
    assert (origin.dtype, vertex.dtype) == (np.int8, np.int32)
    np.testing.assert_array_equal(origin, truth.track_field("ftagTruthOriginLabel", -1)[rows])
    np.testing.assert_array_equal(vertex, truth.track_field("ftagTruthVertexIndex", -1)[rows])
    if run.config["constituents"]["tracks"]["scaling"].get("clip"):
        assert np.abs(inputs[..., len(ahead) :]).max() == 4


def test_conditional(one, two):
    found = one.arrays("train")
    np.testing.assert_array_equal(found["jets/conditional"], found["jets/inputs"][:, [1, 0]])
    assert "jets/conditional" not in two.arrays("train")


def test_attributes(run):
    with h5py.File(run.results / "train.h5") as file:
        assert list(file["jets"].attrs["flavour_label"]) == CLASSES
        assert list(file["jets/inputs"].attrs["jet_variables"]) == run.config["jets"]["variables"]
        for name in ("labels", "labels_one_hot"):
            assert list(file[f"jets/{name}"].attrs["label_classes"]) == CLASSES
        concat = run.config["write"]["concat_jet_tracks"]
        ahead = [f"jet_{v}" for v in (run.config["jets"]["variables"] if concat is True else concat)]
        tracks = file["tracks/inputs"]
        assert list(tracks.attrs["variables"]) == ahead + run.config["constituents"]["tracks"]["variables"]
        assert len(tracks.attrs["shift"]) == len(tracks.attrs["log"]) == tracks.shape[2]
        assert list(file["tracks/labels/ftagTruthOriginLabel"].attrs["label_classes"]) == ORIGINS
    if "conditional" in run.config["write"]:
        with h5py.File(run.results / "train.h5") as file:
            assert list(file["jets/conditional"].attrs["jet_variables"]) == ["eta_btagJes", "pt_btagJes"]


def test_rows_are_scaled_from_training_values_as_they_are_written(run):
    table = json.loads((run.results / "scale_dict.json").read_text())
    for of, (_, _, expected) in (("jets", run.truth.jets_scaled), ("tracks", run.truth.tracks_scaled)):
        assert list(table[of]) == list(expected)
        for name, (shift, scale, default) in expected.items():
            row = table[of][name]
            assert (row["shift"], row["scale"]) == pytest.approx((shift, scale), rel=2e-6, abs=1e-6), name
            if of == "jets":
                assert row["default"] == pytest.approx(default, rel=1e-5), name


@pytest.mark.parametrize("output", OUTPUTS)
def test_datasets_are_compressed_in_chunks_of_whole_rows(run, output):
    filters = {"lz4": "32004", "gzip": "1"}[run.config["write"]["compression"]]
    parts = [run.results / f"{output}.h5"] if run.config["write"].get("merge") else []
    parts += (run.results / f"hdf5/{output}").glob("*.h5")
    parts += (run.results / f"structured/{output}").glob("*.h5")
    assert len(parts) >= 2

    def check(_, item):
        if not isinstance(item, h5py.Dataset):
            return
        created = item.id.get_create_plist()
        codes = [str(created.get_filter(k)[0]) for k in range(created.get_nfilters())]
        assert filters in codes, (path, item)
        assert item.chunks[1:] == item.shape[1:], (path, item)
        size = item.dtype.itemsize * np.prod(item.chunks)
        assert item.chunks[0] == item.shape[0] or 2**19 < size <= 2**20, (path, item)

    for path in parts:
        with h5py.File(path) as file:
            file.visititems(check)


# Records, for salt: points 1 to 8 of what it needs.


@pytest.mark.parametrize("output", OUTPUTS)
def test_records_hold_the_values_of_the_dump(run, output):
    truth = run.truth
    jets, tracks = run.records(output)
    rows = truth.rows(jets["eventNumber"], jets["jetPtRank"])
    # Same jets in the same order as the arrays.
    np.testing.assert_array_equal(rows, run.rows(output))
    for values, fill, found, names in (
        (truth.jet_values[rows], truth.jets_scaled[1], jets, run.config["jets"]["variables"]),
        (truth.track_values[rows], truth.tracks_scaled[1], tracks, run.config["constituents"]["tracks"]["variables"]),
    ):
        for i, name in enumerate(names):
            expected = np.where(np.isnan(values[..., i]), fill[i], values[..., i])
            if found is tracks:
                expected = np.where(truth.valid[rows], expected, 0)
            assert found[name].dtype == np.float32
            np.testing.assert_allclose(found[name], expected, rtol=2e-6, atol=1e-30, err_msg=name)


@pytest.mark.parametrize("output", [*OUTPUTS, "val_resampled"])
def test_salt_1_structured_datasets(one, output):
    with h5py.File(one.results / f"structured/{output}.h5") as file:
        assert set(file) == {"jets", "tracks"}
        assert file["jets"].dtype.names
        assert file["tracks"].dtype.names
        assert file["tracks"].shape == (len(file["jets"]), MAX)
        batch = np.empty(50, dtype=file["jets"].dtype)
        file["jets"].read_direct(batch, np.s_[20:70])
        assert np.isfinite(batch["pt_btagJes"]).all()


@pytest.mark.parametrize("output", OUTPUTS)
def test_salt_2_valid_first_and_all_inputs_finite(run, output):
    jets, tracks = run.records(output)
    valid = tracks["valid"]
    assert valid.dtype == bool
    assert (valid[:, 1:] <= valid[:, :-1]).all()
    for name in run.config["jets"]["variables"]:
        assert np.isfinite(jets[name]).all(), name
    for name in run.config["constituents"]["tracks"]["variables"]:
        assert np.isfinite(tracks[name]).all(), name


def test_salt_3_labels(run):
    jets, tracks = run.records("train")
    rows = run.truth.rows(jets["eventNumber"], jets["jetPtRank"])
    # And the variables that only the histogram uses.
    np.testing.assert_array_equal(jets["absEta_btagJes"], run.truth.source[0]["absEta_btagJes"][rows])
    with h5py.File(run.results / "structured/train.h5") as file:
        assert list(file["jets"].attrs["flavour_label"]) == CLASSES
    assert jets["flavour_label"].dtype.kind == "i"
    np.testing.assert_array_equal(jets["flavour_label"], run.truth.labels[rows])
    for name in ("ftagTruthOriginLabel", "ftagTruthVertexIndex"):
        assert tracks[name].dtype.kind == "i"
        np.testing.assert_array_equal(tracks[name], run.truth.track_field(name, -1)[rows])
    assert -1 <= tracks["ftagTruthOriginLabel"].min() <= tracks["ftagTruthOriginLabel"].max() <= 7
    target = run.truth.source[0]["HadronConeExclTruthLabelPt"][rows]
    np.testing.assert_array_equal(jets["HadronConeExclTruthLabelPt"], target)
    np.testing.assert_array_equal(jets["weight"], run.arrays("train")["jets/weight"])
    np.testing.assert_array_equal(jets["weight_reference_c"], run.arrays("train")["jets/weight_reference_c"])


def test_salt_4_norm_dict(run):
    table = yaml.safe_load((run.results / "norm_dict.yaml").read_text())
    truth = run.truth
    unscaled = {"SV1_isDefaults"} | set(run.config["constituents"]["tracks"]["scaling"].get("unscaled", []))
    for of, values, names in (
        ("jets", truth.jet_values[truth.training], run.config["jets"]["variables"]),
        ("tracks", truth.training_tracks, run.config["constituents"]["tracks"]["variables"]),
    ):
        assert list(table[of]) == names
        for i, name in enumerate(names):
            row = table[of][name]
            assert np.isfinite([row["mean"], row["std"]]).all()
            assert row["std"] > 0
            expected = (0, 1) if name in unscaled else (np.nanmean(values[:, i]), np.nanstd(values[:, i]))
            assert (row["mean"], row["std"]) == pytest.approx(expected, rel=3e-6, abs=1e-7), name


def test_salt_5_class_dict(run):
    table = yaml.safe_load((run.results / "class_dict.yaml").read_text())
    rows = run.rows("train")
    counts = np.bincount(run.truth.labels[rows], minlength=4)
    assert table["jets"]["flavour_label"] == pytest.approx(counts.max() / counts, abs=1e-4)
    origin = run.arrays("train")["tracks/labels/ftagTruthOriginLabel"]
    counts = np.bincount(origin[run.truth.valid[rows]], minlength=8)
    assert table["tracks"]["ftagTruthOriginLabel"] == pytest.approx(counts.max() / counts, abs=1e-4)
    weights = json.loads((run.results / "scale_dict.json").read_text())["tracks_origin_weights"]
    expected = {str(k): counts.sum() / n for k, n in enumerate(counts)}
    assert weights["ftagTruthOriginLabel"] == pytest.approx(expected)


@pytest.mark.parametrize("output", OUTPUTS)
def test_salt_6_attributes_of_the_file(run, output):
    rows = run.rows(output)
    with h5py.File(run.results / f"structured/{output}.h5") as file:
        attributes = dict(file.attrs)
    assert {"unique_jets", "dsids", "jet_counts", "config"} <= set(attributes)
    assert attributes["unique_jets"] == len(set(rows))
    counts = np.bincount(run.truth.labels[rows], minlength=4)
    assert json.loads(attributes["jet_counts"]) == dict(zip(CLASSES, counts.tolist(), strict=True))
    assert json.loads(attributes["config"])["seed"] == 3


# TFRecords, Parquet and tensors.


@pytest.mark.parametrize("output", OUTPUTS)
def test_tfrecords(run, output):
    from tfrecord_files import read_tfrecord

    found = run.arrays(output)
    directory = run.results / "tfrecords" / output
    n = len(found["jets/labels"])
    files = sorted(directory.glob("*.tfrecord"))
    assert [f.name for f in files] == [f"{output}_{k + 1:04d}.tfrecord" for k in range(-(-n // 700))]
    assert {p.name for p in directory.iterdir()} == {f.name for f in files} | {"metadata.json"}
    parts = [read_tfrecord(f) for f in files]
    assert [len(p["Y_jets"]) for p in parts] == [700] * (n // 700) + [n % 700] * (n % 700 > 0)
    records = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    pairs = {
        "X_jets": "jets/inputs",
        "Y_jets": "jets/labels_one_hot",
        "Weights": "jets/weight",
        "tracks/inputs": "tracks/inputs",
        "tracks/valid": "tracks/valid",
        "tracks/labels/ftagTruthOriginLabel": "tracks/labels/ftagTruthOriginLabel",
        "tracks/labels/ftagTruthVertexIndex": "tracks/labels/ftagTruthVertexIndex",
    }
    if "conditional" in run.config["write"]:
        pairs["X_Add_Vars"] = "jets/conditional"
    assert set(records) == set(pairs)
    for name, dataset in pairs.items():
        np.testing.assert_array_equal(records[name], found[dataset].reshape(n, -1))


def test_metadata_of_tfrecords(run):
    conditional = run.config["write"].get("conditional", [])
    concat = run.config["write"]["concat_jet_tracks"]
    ahead = [f"jet_{v}" for v in (run.config["jets"]["variables"] if concat is True else concat)]
    tracks = ahead + run.config["constituents"]["tracks"]["variables"]
    assert json.loads((run.results / "tfrecords/train/metadata.json").read_text()) == {
        "n_jets": len(run.rows("train")),
        "n_jet_features": 6,
        "n_dim": 4,
        "n_trks": {"tracks": MAX},
        "n_trk_features": {"tracks": len(tracks)},
        "n_trks_labels": {"tracks": 2},
        "n_trks_classes": {"tracks": 8},
        "n_add_vars": len(conditional) or None,
        "jet_variables": run.config["jets"]["variables"],
        "label_classes": CLASSES,
        "add_variables": conditional,
        "variables": {"tracks": tracks},
        "labels": {"tracks": {"ftagTruthOriginLabel": ORIGINS, "ftagTruthVertexIndex": []}},
        "float_labels": {"tracks": []},
    }


@pytest.mark.parametrize("output", OUTPUTS)
def test_parquet(run, output):
    pq = pytest.importorskip("pyarrow.parquet")
    tables = [pq.read_table(p) for p in sorted((run.results / "parquet" / output).glob("*.parquet"))]
    jets, tracks = run.records(output)
    columns = {n: np.concatenate([t[n].to_numpy() for t in tables]) for n in jets.dtype.names}
    for name, values in columns.items():
        of_records = jets.dtype[name]
        assert values.dtype == (np.int64 if of_records.kind == "u" and of_records.itemsize > 1 else of_records)
        np.testing.assert_array_equal(values, jets[name])
    for number, name in enumerate(CLASSES):
        label = np.concatenate([t[f"label_{name}"].to_numpy() for t in tables])
        np.testing.assert_array_equal(label, jets["flavour_label"] == number)
    names = [n for n in tracks.dtype.names if n != "valid"]
    assert set(tables[0].column_names) == {*columns, *(f"label_{c}" for c in CLASSES), *(f"tracks_{n}" for n in names)}
    for name in names:
        lists = [x for t in tables for x in t[f"tracks_{name}"].to_pylist()]
        assert [len(x) for x in lists] == tracks["valid"].sum(axis=1).tolist()
        flat = np.array([v for x in lists for v in x])
        np.testing.assert_array_equal(flat, tracks[name][tracks["valid"]])


@pytest.mark.parametrize("output", ["train", "val"])
def test_tensors(run, output):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for path in sorted((run.results / "torch" / output).glob("*.pt")):
        found = torch.load(path, weights_only=True)
        arrays = runs.datasets(run.results / f"hdf5/{output}/{path.stem}.h5")
        pairs = {
            "inputs": "jets/inputs",
            "is_default": "jets/is_default",
            "labels": "jets/labels",
            "weight": "jets/weight",
            "weight_reference_c": "jets/weight_reference_c",
            "bins": "jets/bins",
            "tracks_inputs": "tracks/inputs",
            "tracks_valid": "tracks/valid",
            "tracks_labels_ftagTruthOriginLabel": "tracks/labels/ftagTruthOriginLabel",
            "tracks_labels_ftagTruthVertexIndex": "tracks/labels/ftagTruthVertexIndex",
        }
        for name, dataset in pairs.items():
            np.testing.assert_array_equal(found[name].numpy(), arrays[dataset])
        expected = np.stack([arrays[f"jets/spectators/{n}"] for n in found["spectator_names"]], axis=1)
        np.testing.assert_array_equal(found["spectators"].numpy(), expected)
        assert found["classes"] == CLASSES
        with h5py.File(run.results / f"hdf5/{output}/{path.stem}.h5") as file:
            np.testing.assert_array_equal(found["sample"].numpy(), file["jets/sample"][()])
            assert found["samples"] == file["jets/sample"].attrs["samples"].tolist()
            for name, values in file["jets/event"].items():
                np.testing.assert_array_equal(found[f"event_{name}"].numpy(), values[()].astype(np.int64))
            for prefix, dataset in (("", "jets/inputs"), ("tracks_", "tracks/inputs")):
                for key in ("shift", "scale", "default", "log", "clip"):
                    np.testing.assert_array_equal(found[prefix + key].numpy(), file[dataset].attrs[key])
        assert found["inputs"].dtype == getattr(torch, run.config["write"].get("precision", "float32"))


def test_tensors_say_which_variables_are_integers(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    raw = runs.changed(CONFIGS["small"], {"write": {"formats": ["hdf5", "torch"]}})
    results = make(tmp_path, raw).results
    with h5py.File(next((results / "toy").glob("*"))) as dump:
        types = dump["jets"].dtype
    assert [name for name in raw["jets"]["variables"] if name in types.names and types[name].kind in "iu"] == [
        "SV1_NGTinSvx",
        "SV1_isDefaults",
    ]
    found = torch.load(results / "torch/train/part_0000.pt", weights_only=True)
    # The first is missing for jets without a vertex, and so a float with NaN everywhere but in the files.
    assert found["is_default"][:, found["variables"].index("SV1_NGTinSvx")].any()
    assert found["integers"] == ["SV1_NGTinSvx", "SV1_isDefaults"]


def test_tensors_hold_what_a_regression_and_a_conditional_model_need(one):
    """The targets and the conditional inputs are in every other format."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    path = one.results / "torch/val/part_0000.pt"
    found, arrays = torch.load(path, weights_only=True), runs.datasets(one.results / "hdf5/val/part_0000.h5")
    names = " ".join(found)
    assert "HadronConeExclTruthLabelPt" in names or "add_labels" in names
    assert "conditional" in found
    assert len(arrays["jets/conditional"])


def test_loading_goes_back_to_the_dump(run):
    import jetmill

    jets = jetmill.load(run.results / "val.h5")
    rows, truth = run.rows("val"), run.truth
    tolerance = 5e-3 if run.config["write"].get("precision") == "float16" else 1e-5
    off = np.abs(jets.unscaled() - truth.jet_values[rows])
    np.testing.assert_array_equal(np.isnan(off), jets.is_default)
    spread = np.nanstd(truth.jet_values, axis=0) + np.abs(truth.jet_values[rows])
    assert (off <= tolerance * spread)[~jets.is_default].all()
    tracks = jets.constituents["tracks"]
    np.testing.assert_array_equal(np.isnan(tracks.variable("dr")), ~truth.valid[rows])
    expected = truth.track_values[rows][..., 2]
    close = np.abs(tracks.inputs[..., -3]) < 3.9
    np.testing.assert_allclose(tracks.variable("dr")[close], expected[close], rtol=1e-2, atol=1e-6)
