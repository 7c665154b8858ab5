"""All output formats of ATLAS jets with tracks, against numpy that starts from the toy dumps themselves.

Two runs of the workflow: `ONE` in float32, lz4, all jet variables concatenated, resampled; `TWO` in
float16, gzip, two jet variables concatenated, one file per split, not resampled.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
import workflow_runs as runs
import yaml

pytestmark = pytest.mark.workflow

TRUTH = [5, 4, 0, 15]
CLASSES = ["b", "c", "u", "tau"]
ORIGINS = ["pileup", "fake", "primary", "fromB", "fromBC", "fromC", "fromTau", "otherSecondary"]
ALL = runs.FORMATS
OUTPUTS = ["train", "val", "test"]
MAX = 12
PT_EDGES = np.r_[np.linspace(20e3, 250e3, 7), np.linspace(250e3, 6e6, 5)[1:]]
ETA_EDGES = np.linspace(0, 2.5, 4)
ONE = {
    "seed": 3,
    "samples": {name: {"toy": {"process": name, "files": 2, "jets": 3000}} for name in ("ttbar", "zprime")},
    "input": {"format": "hdf5", "files_per_batch": 1, "event_id": ["jetPtRank", "eventNumber"]},
    "jets": {
        "define": {"mass_ratio": "mass / pt_btagJes"},
        "missing": {"values_of": {"SV1_NGTinSvx": [-1]}},
        "select": ["pt_btagJes >= 20e3", "pt_btagJes < 6000e3", "absEta_btagJes < 2.5"],
        "variables": ["pt_btagJes", "eta_btagJes", "SV1_masssvx", "SV1_NGTinSvx", "SV1_isDefaults", "mass_ratio"],
        "additional_labels": ["HadronConeExclTruthLabelPt", "HadronConeExclTruthLabelID"],
        "spectators": ["GN2_pb", "GN2_pu"],
    },
    "constituents": {
        "tracks": {
            "define": {"significance": "abs(IP3D_signed_d0_significance)"},
            "missing": {"values_of": {"numberOfInnermostPixelLayerHits": [0]}},
            "select": ["numberOfPixelHits >= 4", "significance < 20"],
            "sort_by": "ptfrac",
            "max": MAX,
            "variables": ["d0", "ptfrac", "dr", "numberOfInnermostPixelLayerHits", "significance"],
            "labels": ["ftagTruthOriginLabel", "ftagTruthVertexIndex"],
            "label_classes": {"ftagTruthOriginLabel": ORIGINS},
            "scaling": {"log": ["ptfrac", "dr"], "default": "mean"},
        }
    },
    "classes": {c: f"HadronConeExclTruthLabelID == {t}" for c, t in zip(CLASSES, TRUTH, strict=True)},
    "split": {"by": "modulo", "modulo": 10, "val": [8], "test": [9]},
    "scaling": {"log": ["pt_btagJes"], "defaults": {"SV1_masssvx": -100.0}, "variables_per_range": 4},
    "balance": {
        "bins": {"pt_btagJes": [[20e3, 250e3, 6], [250e3, 6e6, 4]], "absEta_btagJes": [0, 2.5, 3]},
        "weights": ["average", {"reference": "c"}],
        "resampling": {"method": "pdf", "target": "c", "max_upsampling": 3, "validation": True},
    },
    "write": {
        "parts": {"train": 2},
        "concat_jet_tracks": True,
        "conditional": ["eta_btagJes", "pt_btagJes"],
        "formats": ALL,
        "compression": "lz4",
        "records_per_file": 700,
    },
    "report": {"plots": False},
}
TWO = runs.changed(
    ONE,
    {
        "constituents": {
            "tracks": ONE["constituents"]["tracks"]
            | {"scaling": {"method": "robust", "log": ["dr"], "clip": 4.0, "unscaled": ["ptfrac"]}}
        },
        "scaling": {"method": "robust", "clip": None},
        "balance": {"resampling": {"method": "none"}},
        "write": {
            "precision": "float16",
            "compression": "gzip",
            "merge": True,
            "concat_jet_tracks": ["eta_btagJes", "pt_btagJes"],
            "conditional": None,
        },
    },
)


@dataclass(frozen=True)
class Truth:
    """What the toy dumps hold, read with h5py alone; jets in the order of the files."""

    config: dict
    results: Path

    @cached_property
    def source(self):
        """Jets and tracks of all files, and the number of the sample of each jet."""
        jets, tracks, sample = [], [], []
        for number, name in enumerate(self.config["samples"]):
            for path in sorted(self.results.glob(f"toy/{name}_*.h5")):
                with h5py.File(path) as file:
                    jets.append(file["jets"][()])
                    tracks.append(file["tracks"][()])
                sample.append(np.full(len(jets[-1]), number))
        return np.concatenate(jets), np.concatenate(tracks), np.concatenate(sample)

    @cached_property
    def row_of(self):
        jets = self.source[0]
        keys = zip(jets["eventNumber"].tolist(), jets["jetPtRank"].tolist(), strict=True)
        found = {key: row for row, key in enumerate(keys)}
        assert len(found) == len(jets)
        return found

    def rows(self, event, rank):
        return np.array([self.row_of[key] for key in zip(event.tolist(), rank.tolist(), strict=True)], dtype=int)

    @cached_property
    def split(self):
        """0 train, 1 val, 2 test, -1 cut away."""
        jets = self.source[0]
        pt, eta, remainder = jets["pt_btagJes"], jets["absEta_btagJes"], jets["eventNumber"] % 10
        split = np.where(remainder == 9, 2, np.where(remainder == 8, 1, 0))
        return np.where((pt >= 20e3) & (pt < 6e6) & (eta < 2.5), split, -1)

    @cached_property
    def labels(self):
        return np.array([TRUTH.index(t) for t in self.source[0]["HadronConeExclTruthLabelID"]])

    @cached_property
    def bins(self):
        jets = self.source[0]
        pt, eta = (jets[v].astype(np.float64) for v in ("pt_btagJes", "absEta_btagJes"))
        return np.stack([np.digitize(pt, PT_EDGES) - 1, np.digitize(eta, ETA_EDGES) - 1], axis=1)

    @cached_property
    def jet_values(self):
        """Variables of all jets, float64 (n, n_variables), NaN where missing."""
        jets = self.source[0]
        columns = {name: jets[name].astype(np.float64) for name in jets.dtype.names}
        columns["SV1_NGTinSvx"] = np.where(columns["SV1_NGTinSvx"] == -1, np.nan, columns["SV1_NGTinSvx"])
        columns["mass_ratio"] = columns["mass"] / columns["pt_btagJes"]
        return np.stack([columns[v] for v in self.config["jets"]["variables"]], axis=1)

    @cached_property
    def track_rows(self):
        """Slots of the tracks of each jet that stay, in their order, jet by jet."""
        chosen = []
        for tracks in self.source[1]:
            good = tracks["valid"] & (tracks["numberOfPixelHits"] >= 4)
            good &= np.abs(tracks["IP3D_signed_d0_significance"]) < 20
            slots = np.flatnonzero(good)
            chosen.append(slots[np.argsort(-tracks["ptfrac"][slots], kind="stable")][:MAX])
        return chosen

    @cached_property
    def valid(self):
        return np.arange(MAX) < np.array([len(x) for x in self.track_rows])[:, None]

    def track_field(self, name, padding):
        """Return one field of the tracks that stay, padded, (n_jets, MAX)."""
        values = self.source[1][name]
        rows = np.full((len(values), MAX), padding, dtype=np.float64)
        for jet, slots in enumerate(self.track_rows):
            rows[jet, : len(slots)] = values[jet, slots]
        return rows

    @cached_property
    def track_values(self):
        """Variables of the tracks, float64 (n_jets, MAX, n_variables), NaN where missing or empty."""
        hits = self.track_field("numberOfInnermostPixelLayerHits", np.nan)
        columns = [self.track_field(n, np.nan) for n in ("d0", "ptfrac", "dr")]
        columns += [np.where(hits == 0, np.nan, hits), np.abs(self.track_field("IP3D_signed_d0_significance", np.nan))]
        return np.stack(columns, axis=-1)

    def scaled(self, of, values, training):
        """Scale as the configuration says, from training values (n, n_variables); return the shift and all."""
        c = self.config["scaling"] if of == "jets" else self.config["constituents"]["tracks"]["scaling"]
        names = self.config["jets" if of == "jets" else "constituents"]
        names = names["variables"] if of == "jets" else names["tracks"]["variables"]
        values, fill, table = values.copy(), np.empty(len(names)), {}
        for i, name in enumerate(names):
            log, x = name in c.get("log", []), training[:, i]
            x = np.log(x[~np.isnan(x)]) if log else x[~np.isnan(x)]
            values[..., i] = np.log(values[..., i]) if log else values[..., i]
            default = x.mean() if c.get("default") == "mean" else x.min() - 0.001
            default = c.get("defaults", {}).get(name, default)
            shift, scale = x.mean(), x.std()
            if c.get("method") == "robust":
                first, shift, third = np.percentile(x, [25, 50, 75])
                scale = third - first or 1.0
            if "isDefaults" in name or name in c.get("unscaled", []):
                shift, scale = 0.0, 1.0
            known = ~np.isnan(values[..., i])
            values[..., i] = (np.where(known, values[..., i], default) - shift) / scale
            if c.get("clip"):
                values[..., i] = np.clip(values[..., i], -c["clip"], c["clip"])
            fill[i] = np.exp(default) if log else default
            table[name] = (shift, scale, default)
        return values, fill, table

    @cached_property
    def training(self):
        """Rows of the training jets as they are written, each as often."""
        with h5py.File(self.results / "train.h5") as file:
            return self.rows(*(file[f"jets/event/{name}"][()] for name in ("eventNumber", "jetPtRank")))

    @cached_property
    def training_tracks(self):
        return self.track_values[self.training][self.valid[self.training]]

    @cached_property
    def jets_scaled(self):
        return self.scaled("jets", self.jet_values, self.jet_values[self.training])

    @cached_property
    def tracks_scaled(self):
        return self.scaled("tracks", self.track_values, self.training_tracks)


@dataclass(frozen=True)
class Finished:
    """A finished run."""

    config: dict
    results: Path
    truth: Truth

    @property
    def outputs(self):
        return [*OUTPUTS, *["val_resampled"] * ("val_resampled.h5" in {p.name for p in self.results.iterdir()})]

    def arrays(self, output):
        return runs.datasets(self.results / f"{output}.h5")

    def records(self, output):
        with h5py.File(self.results / f"structured/{output}.h5") as file:
            return file["jets"][()], file["tracks"][()]

    def rows(self, output):
        """Return the row in the toy dumps of each jet of an output."""
        found = self.arrays(output)
        return self.truth.rows(found["jets/event/eventNumber"], found["jets/event/jetPtRank"])


def finished(name, tmp_path_factory):
    """Run the workflow once per configuration and session."""
    config = {"one": ONE, "two": TWO}[name]

    def make(directory):
        return runs.succeeds(directory, "--cores", "2", config=config)

    run = runs.once(tmp_path_factory, f"formats_{name}", make)
    return Finished(config, run.results, Truth(config, run.results))


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
    # Snakemake's time stamp, and what the records were made from.
    hidden = {".snakemake_timestamp", ".made_from"}
    assert {p.name for p in directory.iterdir()} - hidden == {f.name for f in files} | {"metadata.json"}
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
    }


@pytest.mark.parametrize("output", OUTPUTS)
def test_parquet(run, output):
    pq = pytest.importorskip("pyarrow.parquet")
    tables = [pq.read_table(p) for p in sorted((run.results / "parquet" / output).glob("*.parquet"))]
    jets, tracks = run.records(output)
    columns = {n: np.concatenate([t[n].to_numpy() for t in tables]) for n in jets.dtype.names}
    for name, values in columns.items():
        assert values.dtype == jets.dtype[name]
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
        assert found["inputs"].dtype == getattr(torch, run.config["write"].get("precision", "float32"))


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
