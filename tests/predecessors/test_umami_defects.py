"""What umami, UPP and salt's tools get wrong (spec, sections 1, 2 and 6), on files made for it. Not so here.

A chain of the stages in one process, on dumps of a few hundred jets whose every number is known.
"""

import json
import math
import re
import sys

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
import workflow_runs as runs
import yaml
from dump_chain import chain, config, make, place, unless_refused
from scipy import stats

from jetmill.compression import filters
from jetmill.errors import JetmillError
from jetmill.formats.content.rows import Ragged, Valid
from jetmill.formats.files import layout
from jetmill.formats.parquet import write as write_parquet
from jetmill.formats.tfrecords import write as write_tfrecords
from jetmill.plan import Plan


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Files of two samples, and all their jets and tracks by event number."""
    return make(tmp_path_factory.mktemp("dumps"))


RESAMPLED = {"resampling": {"method": "pdf", "target": "c", "max_upsampling": 4, "validation": True}}


@pytest.fixture(scope="module")
def plain(made, tmp_path_factory):
    directory = tmp_path_factory.mktemp("plain")
    weights = {"balance": {"bins": {"pt": [[0, 100, 4], [100, 1000, 3]]}, "weights": ["average", {"reference": "c"}]}}
    return chain(config(directory, made.files, **weights), ("structured",))


@pytest.fixture(scope="module")
def resampled(made, tmp_path_factory):
    return chain(config(tmp_path_factory.mktemp("resampled"), made.files, balance=RESAMPLED), ("structured",))


# Old umami, writing and scaling.


@pytest.mark.parametrize("compression", ["none", "gzip", "lzf", "lz4", "zstd"])
def test_no_chunks_of_one_row(tmp_path, compression):
    rng = np.random.default_rng(1)
    n = 30_000
    counts = rng.integers(0, 41, n)
    rows = {
        "jets/labels": rng.integers(0, 4, n).astype(np.uint8),
        "tracks/inputs": Ragged(rng.normal(size=(counts.sum() + 1, 3)).astype(np.float32), counts, 40),
        "tracks/labels/origin": Ragged.of(rng.integers(0, 8, counts.sum()).astype(np.int8), counts, 40, -1),
        "tracks/valid": Valid(counts, 40),
    }
    order = rng.permutation(n)
    layout.write_rows(tmp_path / "a.h5", rows, order, {}, {"tracks/inputs": "float16"}, compression)
    with h5py.File(tmp_path / "a.h5") as file:
        for name, values in rows.items():
            found = file[name]
            expected = values[order] if isinstance(values, np.ndarray) else values.take(order)
            assert found.chunks[1:] == found.shape[1:]
            assert 2**19 < found.dtype.itemsize * math.prod(found.chunks) <= 2**20 or found.chunks[0] == n
            np.testing.assert_array_equal(found[()], expected.astype(found.dtype))
            assert bool(filters(compression)) == (found.id.get_create_plist().get_nfilters() > 0)
        assert file["tracks/inputs"].dtype == np.float16
        if compression != "none":
            assert file["tracks/valid"].id.get_storage_size() < n * 40 / 3


def test_parquet_without_pyarrow(monkeypatch):
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(JetmillError, match=r"write\.formats: parquet needs pyarrow; `pip install pyarrow`"):
        write_parquet(None, "")


def test_integer_variables_are_scaled_not_truncated(made, plain):
    found = plain.arrays()
    hits = made.jets["hits"].astype(float)
    expected = (hits[place(made, found)] - hits[made.train].mean()) / hits[made.train].std()
    np.testing.assert_allclose(found["jets/inputs"][:, 1], expected, atol=1e-5)
    assert len(np.unique(found["jets/inputs"][:, 1])) > 10


def test_weights_belong_to_the_class_and_are_not_truncated(made, plain):
    found = plain.arrays()
    label, weight, bins = (found[f"jets/{n}"] for n in ("labels", "weight", "bins"))
    assert weight.dtype == np.float32
    assert (weight % 1 != 0).mean() > 0.9
    assert weight.mean(dtype=float) == pytest.approx(1, rel=1e-5)
    totals = np.bincount(label, weight)
    np.testing.assert_allclose(totals, totals.mean(), rtol=1e-5)
    edges = np.r_[0, 25, 50, 75, 100, 400, 700, 1000]
    rows = place(made, found)
    np.testing.assert_array_equal(bins[:, 0], np.digitize(made.jets["pt"][rows], edges) - 1)
    # With weights all classes have the same spectrum, that of c in the second table.
    counts = np.stack([np.histogram(made.jets["pt"][rows][label == k], edges)[0] for k in range(3)])
    target = counts[1] / counts[1].sum()
    expected = np.where(counts > 0, target / np.where(counts > 0, counts, 1), 0)
    expected /= np.where(counts > 0, target, 0).sum(axis=1, keepdims=True)
    second = found["jets/weight_reference_c"]
    np.testing.assert_allclose(second, expected[label, bins[:, 0]] * counts.sum() / 3, rtol=1e-5)
    # Those of validation jets come from the same table, that of training.
    val = plain.arrays("val")
    table = {(k, b): w for k, b, w in zip(label, bins[:, 0], weight, strict=True)}
    of_val = zip(*(val[f"jets/{n}"].reshape(-1) for n in ("labels", "bins", "weight")), strict=True)
    seen = [(table[k, b], w) for k, b, w in of_val if (k, b) in table]
    assert len(seen) > 300
    assert all(a == b for a, b in seen)


@pytest.mark.parametrize("output", ["train", "val", "test"])
@pytest.mark.parametrize("kind", ["plain", "resampled"])
def test_files_are_mixed_throughout(made, request, kind, output):
    """Samples, files and classes in every stretch as in the whole: salt shuffles batches only."""
    found = request.getfixturevalue(kind).arrays(output)
    event = found["jets/event/eventNumber"].astype(int)
    n = len(event)
    rows = np.arange(n)
    for values in (event, found["jets/labels"], found["jets/sample"], found["jets/bins"][:, 0]):
        assert abs(stats.spearmanr(rows, values)[0]) < 5 / np.sqrt(n)
        different = (np.diff(values) != 0).sum()
        share = np.unique(values, return_counts=True)[1] / n
        expected = (n - 1) * (1 - share @ share)
        assert abs(different - expected) < 6 * np.sqrt(n) / 2
    # Copies of a jet are not neighbours more often than by chance.
    assert (np.diff(event) == 0).sum() <= 5 + 5 * (np.unique(event, return_counts=True)[1] ** 2).sum() / n


def test_scaling_does_not_depend_on_the_first_chunk(made, plain):
    """Means, deviations and defaults are those of all training jets together."""
    table = json.loads(plain.text("scale_dict.json"))
    mass = made.jets["mass"][made.train].astype(float)
    assert table["jets"]["mass"]["default"] == pytest.approx(np.nanmin(mass) - 0.001, rel=1e-6)
    assert table["jets"]["mass"]["shift"] == pytest.approx(np.nanmean(mass), rel=1e-6)
    assert table["jets"]["mass"]["scale"] == pytest.approx(np.nanstd(mass), rel=1e-6)


def first_tracks(made):
    valid = made.tracks["valid"]
    return valid & (np.cumsum(valid, axis=1) <= 5)


def test_track_norms_are_weighted_by_tracks(made, plain):
    of_training = made.tracks["d0"][first_tracks(made) & made.train[:, None]].astype(float)
    for table, mean, std in (("scale_dict.json", "shift", "scale"), ("norm_dict.yaml", "mean", "std")):
        row = yaml.safe_load(plain.text(table))["tracks"]["d0"]
        assert row[mean] == pytest.approx(of_training.mean(), rel=1e-5)
        assert row[std] == pytest.approx(of_training.std(), rel=1e-6)


def test_log_is_the_same_in_fit_and_in_apply(made, tmp_path):
    """Without an epsilon: umami fits log(x + 1e-8) and applies log(x)."""

    def change(jets, tracks):
        tracks["dr"] *= 1e-9

    files = make(tmp_path, change=change)
    raw = config(tmp_path / "out", files.files, tracks={"scaling": {"log": ["dr"]}})
    found = chain(raw).arrays()
    values = found["tracks/inputs"][..., 1][found["tracks/valid"]]
    assert values.mean(dtype=float) == pytest.approx(0, abs=1e-4)
    assert values.std(dtype=float) == pytest.approx(1, rel=1e-4)


def test_track_labels_can_be_read_from_tfrecords(made, tmp_path):
    from tfrecord_files import read_tfrecord

    results = chain(config(tmp_path, made.files), ("tfrecords",))
    found = results.arrays("val")
    records = read_tfrecord(tmp_path / "tfrecords/val/val_0001.tfrecord")
    metadata = json.loads((tmp_path / "tfrecords/val/metadata.json").read_text())
    assert metadata["n_trks_classes"] == {"tracks": 4}
    np.testing.assert_array_equal(records["tracks/labels/origin"], found["tracks/labels/origin"])
    np.testing.assert_array_equal(records["tracks/valid"], found["tracks/valid"])


@pytest.mark.parametrize("concat", [["mass"], ["mass", "pt"], True])
def test_list_of_concat_jet_tracks(made, tmp_path, concat):
    found = chain(config(tmp_path, made.files, write={"concat_jet_tracks": concat})).arrays("val")
    names = ["pt", "hits", "mass"]
    columns = [names.index(n) for n in (names if concat is True else concat)]
    inputs, valid = found["tracks/inputs"], found["tracks/valid"]
    assert inputs.shape[2] == len(columns) + 3
    expected = np.where(valid[..., None], found["jets/inputs"][:, None, columns], 0)
    np.testing.assert_array_equal(inputs[..., : len(columns)], expected)
    with h5py.File(tmp_path / "val.h5") as file:
        assert list(file["tracks/inputs"].attrs["variables"]) == [
            *(f"jet_{names[k]}" for k in columns),
            *("d0", "dr", "q"),
        ]


@pytest.mark.parametrize(
    ("write", "tracks"),
    [
        ({"concat_jet_tracks": ["pt", "pt"]}, {}),
        ({"conditional": ["pt", "pt"]}, {}),
        ({"concat_jet_tracks": ["pt"]}, {"define": {"jet_pt": "d0"}, "variables": ["jet_pt", "dr"]}),
    ],
    ids=["concat", "conditional", "jet_pt"],
)
def test_a_name_twice_is_reported_or_written_twice(made, tmp_path, write, tracks):
    """Names in the attributes must be those of the columns."""
    raw = config(tmp_path, made.files, write=write, tracks=tracks)
    if unless_refused(raw, "pt"):
        with h5py.File(tmp_path / "val.h5") as file:
            inputs = file["tracks/inputs"]
            assert len(inputs.attrs["variables"]) == len(inputs.attrs["shift"]) == inputs.shape[2]


def test_padding_of_labels_is_distinguished_from_a_label(made, plain):
    """Umami writes 0, which is pile-up; the files have 0 there too."""
    found = plain.arrays()
    rows, origin = place(made, found), found["tracks/labels/origin"]
    assert (origin[~found["tracks/valid"]] == -1).all()
    expected = made.tracks["origin"][rows][first_tracks(made)[rows]]
    np.testing.assert_array_equal(origin[found["tracks/valid"]], expected)


def test_additional_labels_of_arrays_are_finite(made, plain):
    found = plain.arrays()
    target = made.jets["target"][place(made, found)]
    np.testing.assert_array_equal(found["jets/add_labels/target"], np.nan_to_num(target))
    jets, _ = plain.records()
    np.testing.assert_array_equal(jets["target"], target)


# UPP.


def test_class_dict_keeps_the_place_of_a_class_without_jets(made, tmp_path):
    classes = {"b": "flavour == 5", "nothing": "flavour == 99", "c": "flavour == 4", "u": "flavour == 0"}
    labels = {"label_classes": {"origin": ["pileup", "fake", "primary", "fromB", "fromBC"]}}
    raw = config(tmp_path, made.files, tracks=labels) | {"classes": classes, "strict": False}
    results = chain(raw)
    table = yaml.safe_load(results.text("class_dict.yaml"))
    flavour = made.jets["flavour"][made.train]
    counts = np.array([(flavour == f).sum() for f in (5, 99, 4, 0)])
    expected = [counts.max() / n if n else 0 for n in counts]
    assert table["jets"]["flavour_label"] == pytest.approx(expected, abs=1e-4)
    assert table["jets"]["flavour_label"][1] == 0
    origin = made.tracks["origin"][first_tracks(made) & made.train[:, None]]
    counts = np.bincount(origin, minlength=5)
    expected = [counts.max() / n if n else 0 for n in counts]
    assert table["tracks"]["origin"] == pytest.approx(expected, abs=1e-4)
    assert counts[4] == 0


@pytest.mark.parametrize("chunk_bytes", [300, 20_000])
def test_selection_does_not_depend_on_how_files_are_read(made, resampled, tmp_path, chunk_bytes):
    other = chain(config(tmp_path, made.files, balance=RESAMPLED, input={"chunk_bytes": chunk_bytes}))
    for output in ("train", "val", "test", "val_resampled"):
        wanted, found = resampled.arrays(output), other.arrays(output)
        assert wanted.keys() == found.keys()
        for name, values in wanted.items():
            assert found[name].tobytes() == values.tobytes(), (output, name)


def test_a_part_or_a_split_alone_is_what_it_is_among_others(made, resampled, tmp_path):
    """No global generator: the jets of a split do not depend on what else is made, nor on a second component."""
    alone = chain(config(tmp_path / "a", made.files, balance=RESAMPLED, write={"parts": {"train": 3, "test": 2}}))
    for output in ("train", "test", "val_resampled"):
        wanted, found = (np.sort(r.arrays(output)["jets/event/eventNumber"]) for r in (resampled, alone))
        np.testing.assert_array_equal(wanted, found)


def test_another_seed_takes_other_jets(made, resampled, tmp_path):
    other = chain(config(tmp_path, made.files, balance=RESAMPLED) | {"seed": 2})
    first, second = (np.sort(r.arrays()["jets/event/eventNumber"]) for r in (resampled, other))
    assert len(first) == len(second)
    assert (first != second).any()


@pytest.mark.parametrize("method", ["count", "importance"])
def test_without_replacement_no_jet_is_there_twice_and_order_is_random(made, tmp_path, method):
    resampling = {"method": method} | ({"target": "c"} if method == "importance" else {})
    found = chain(config(tmp_path, made.files, balance={"resampling": resampling})).arrays()
    event, label = found["jets/event/eventNumber"].astype(int), found["jets/labels"]
    assert len(np.unique(event)) == len(event)
    assert len(set(np.bincount(label))) == 1
    for part in np.array_split(label, 4):
        assert (np.bincount(part, minlength=3) > len(part) / 6).all()
    assert abs(stats.spearmanr(np.arange(len(event)), event)[0]) < 5 / np.sqrt(len(event))


def test_repeats_are_even_and_counted(made, resampled):
    """With pdf, numbers of copies of a class in a bin differ by one at most, and max_upsampling is kept."""
    found = resampled.arrays()
    event, times = np.unique(place(made, found), return_counts=True)
    edges = np.r_[0, 25, 50, 75, 100, 400, 700, 1000]
    flavour, pt = made.jets["flavour"], np.digitize(made.jets["pt"], edges)
    taken = np.zeros(len(made.jets), dtype=int)
    taken[event] = times
    assert times.max() > 1
    for f in (0, 4, 5):
        for b in np.unique(pt):
            group = made.train & (flavour == f) & (pt == b)
            if group.any():
                assert np.ptp(taken[group]) <= 1
    for f in (0, 4, 5):
        there = (made.train & (flavour == f)).sum()
        assert taken[made.train & (flavour == f)].sum() <= 4 * there
    with h5py.File(f"{resampled.out}/structured/train.h5") as file:
        assert file.attrs["unique_jets"] == len(event)
        assert sum(json.loads(file.attrs["jet_counts"]).values()) == len(found["jets/labels"])


@pytest.mark.parametrize("method", ["pdf", "countup"])
def test_no_jet_is_written_more_often_than_max_repeats(made, tmp_path, method):
    """An average over a class (umami's max_upsampling_ratio) leaves single jets unlimited; this is a limit of each."""
    resampling = {"method": method, "target": "u", "max_upsampling": 5, "validation": True}

    def written(name, output, **more):
        found = chain(config(tmp_path / name, made.files, balance={"resampling": resampling | more})).arrays(output)
        times = np.bincount(place(made, found), minlength=len(made.jets))
        return times, found["jets/labels"], found["jets/bins"][:, 0]

    for output in ("train", "val_resampled"):
        times, *_ = written("without", output)
        assert times.max() > 3
        limited, labels, bins = written("limited", output, max_repeats=3)
        assert limited.max() == 3
        # All classes shrink alike: equal totals, in the shape of the target, to whole jets.
        table = np.zeros((3, 7), dtype=int)
        np.add.at(table, (labels, bins), 1)
        totals = table.sum(axis=1)
        assert np.ptp(totals) == 0
        assert totals[0] < times.sum() / 3
        split = made.train if output == "train" else made.jets["eventNumber"] % 5 == 3
        of_target = made.jets["pt"][split & (made.jets["flavour"] == 0)]
        target = np.histogram(of_target, np.r_[0, 25, 50, 75, 100, 400, 700, 1000])[0]
        for counts in table:
            shape = np.where(counts > 0, target, 0)
            np.testing.assert_allclose(counts, totals[0] * shape / shape.sum(), atol=1)


def test_max_repeats_in_what_is_refused(made, tmp_path):
    def written(num_jets):
        resampling = {"method": "pdf", "target": "u", "max_repeats": 1, "num_jets": num_jets}
        return chain(config(tmp_path, made.files, balance={"resampling": resampling})).arrays()

    message = r"wanted and (\d+) possible .* limited by class '\w' \(max_repeats: 1, in a bin with \d+ of its jets\)"
    with pytest.raises(JetmillError, match=message) as error:
        written(10**6)
    possible = int(re.search(message, str(error.value))[1])
    numbers = written(possible)["jets/event/eventNumber"]
    assert len(numbers) == len(set(numbers)) == possible
    with pytest.raises(JetmillError, match=f"{possible + 1} jets are wanted and {possible} possible"):
        written(possible + 1)


def test_resampling_leaves_the_test_jets_alone(made, resampled):
    event = resampled.arrays("test")["jets/event/eventNumber"]
    np.testing.assert_array_equal(np.sort(event), made.jets["eventNumber"][made.jets["eventNumber"] % 5 == 4])


def test_gap_between_segments_is_refused(made, tmp_path):
    """It would be one more bin in umami."""
    raw = config(tmp_path, made.files, balance={"bins": {"pt": [[0, 100, 4], [120, 1000, 3]]}})
    with pytest.raises(JetmillError, match=r"bins\.pt: each segment must start where the one before ends"):
        Plan.from_raw(raw)


def test_number_of_bins_is_that_of_bins(made, plain):
    with h5py.File(f"{plain.out}/balance.h5") as file:
        assert len(file["edges/pt"]) == 4 + 3 + 1


# Edges of the formats.

EVERY = tuple(name for name in runs.FORMATS if name != "hdf5")


def test_more_parts_than_jets(made, tmp_path):
    """Some parts are empty, in every format; the joined files have all jets."""
    small = {"select": ["eventNumber < 1040"]}
    raw = config(tmp_path, made.files, jets=small, write={"parts": {"train": 3, "val": 12}}) | {"strict": False}
    results = chain(raw, EVERY)
    wanted = [e for e in range(1000, 1040) if e % 5 == 3]
    assert sorted(results.arrays("val")["jets/event/eventNumber"]) == wanted
    assert sorted(results.records("val")[0]["eventNumber"]) == wanted
    assert len(list((tmp_path / "parquet/val").iterdir())) == 12


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_split_without_jets(made, tmp_path, merge, compression):
    raw = config(
        tmp_path, made.files, split={"val": [], "test": [4]}, write={"merge": merge, "compression": compression}
    )
    results = chain(raw, EVERY)
    found, (jets, tracks) = results.arrays("val"), results.records("val")
    assert found["jets/inputs"].shape == (0, 3)
    assert found["tracks/inputs"].shape == (0, 5, 3)
    assert (len(jets), tracks.shape) == (0, (0, 5))
    assert json.loads((tmp_path / "tfrecords/val/metadata.json").read_text())["n_jets"] == 0
    import jetmill

    assert len(jetmill.load(tmp_path / "val.h5")) == 0


def test_no_track_is_selected(made, tmp_path):
    raw = config(tmp_path, made.files, tracks={"select": ["d0 > 1e9"]}, write={"concat_jet_tracks": True})
    results = chain(raw | {"strict": False}, EVERY)
    found, (_, tracks) = results.arrays(), results.records()
    assert not found["tracks/valid"].any()
    assert not found["tracks/inputs"].any()
    assert (found["tracks/labels/origin"] == -1).all()
    assert not tracks["valid"].any()


def test_one_track_slot_and_one_variable(made, tmp_path):
    raw = config(tmp_path, made.files, tracks={"variables": ["d0"], "max": 1, "sort_by": "abs(d0)"})
    found = chain(raw, EVERY).arrays()
    rows = place(made, found)
    d0 = np.where(made.tracks["valid"], np.abs(made.tracks["d0"]), -1)
    best = np.take_along_axis(made.tracks["d0"], d0.argmax(axis=1)[:, None], axis=1)[:, 0]
    table = json.loads((tmp_path / "scale_dict.json").read_text())["tracks"]["d0"]
    expected = np.where(made.tracks["valid"].any(axis=1), (best - table["shift"]) / table["scale"], 0)
    np.testing.assert_allclose(found["tracks/inputs"][:, 0, 0], expected[rows], atol=1e-5)


@pytest.mark.parametrize("value", [4, 127, 128, 259, -3])
def test_a_label_beyond_its_names_is_reported(made, tmp_path, value):
    """Not wrapped around into int8, where 259 would be 3."""

    def change(jets, tracks):
        first = np.flatnonzero(tracks["valid"].any(axis=1) & (jets["eventNumber"] % 5 == 0))[0]
        tracks["origin"][first][tracks["valid"][first]] = value

    files = make(tmp_path, change=change)
    with pytest.raises(JetmillError, match=rf"label_classes\.origin names 4 values, 0 to 3; found .*{value}"):
        chain(config(tmp_path / "out", files.files))


@pytest.mark.parametrize("value", [128, 259])
def test_a_label_beyond_its_names_is_reported_or_kept_in_other_splits(made, tmp_path, value):
    def change(jets, tracks):
        first = np.flatnonzero(tracks["valid"].any(axis=1) & (jets["eventNumber"] % 5 == 3))[0]
        tracks["origin"][first][tracks["valid"][first]] = value

    files = make(tmp_path, change=change)
    if results := unless_refused(config(tmp_path / "out", files.files), str(value)):
        assert (results.arrays("val")["tracks/labels/origin"] == value).any()


def test_labels_of_unlike_types_in_two_samples(made, tmp_path):
    """One part per batch: parts of unlike types are joined without loss."""
    files = make(tmp_path, types=lambda name: {"origin": "u1" if name == "ttbar" else "i4"}, change=None)
    with h5py.File(files.files["zprime"][0], "a") as file:
        tracks = file["tracks"][()]
        tracks["origin"] = np.where(tracks["valid"], 1000, -2)
        file["tracks"][...] = tracks
    raw = config(tmp_path / "out", files.files, tracks={"label_classes": {}}, write={"shuffle": "batch"})
    for merge in (False, True):
        found = chain(raw | {"write": {"shuffle": "batch", "merge": merge}}).arrays()
        origin = found["tracks/labels/origin"][found["tracks/valid"]]
        assert (origin == 1000).sum() > 100
        assert not (origin == 255).any()


def test_a_variable_that_is_a_label_too_keeps_its_input_finite(made, tmp_path):
    """Salt refuses NaN in an input; in one record a field cannot be both."""
    raw = config(tmp_path, made.files, jets={"variables": ["pt", "mass"], "additional_labels": ["mass"]})
    if results := unless_refused(raw, "mass", ("structured",)):
        assert np.isfinite(results.records()[0]["mass"]).all()


@pytest.mark.parametrize("name", ["weight", "sample", "flavour_label"])
def test_a_variable_of_a_name_that_jetmill_uses(made, tmp_path, name):
    """In records and Parquet it would silently be replaced."""
    raw = config(tmp_path, made.files, jets={"variables": ["pt", name], "define": {name: "hits + 0.5"}})
    if results := unless_refused(raw, name, ("structured",)):
        jets, _ = results.records()
        hits = made.jets["hits"][jets["eventNumber"].astype(int) - 1000]
        np.testing.assert_array_equal(jets[name], hits + 0.5)


def test_a_track_variable_that_is_a_label_too(made, tmp_path):
    raw = config(tmp_path, made.files, tracks={"variables": ["d0", "origin"]})
    if results := unless_refused(raw, "origin", ("structured",)):
        assert set(yaml.safe_load(results.text("norm_dict.yaml"))["tracks"]) == {"d0", "origin"}
        _, tracks = results.records()
        assert tracks["origin"].dtype.kind == "i"
        assert (tracks["origin"][~tracks["valid"]] == -1).all()


def test_dumps_of_the_other_byte_order(made, tmp_path):
    files = make(tmp_path, types=lambda _: {"origin": ">i4"})
    results = chain(config(tmp_path / "out", files.files, tracks={"label_classes": {}}), EVERY)
    found = results.arrays()
    expected = files.tracks["origin"][place(files, found)][first_tracks(files)[place(files, found)]]
    np.testing.assert_array_equal(found["tracks/labels/origin"][found["tracks/valid"]], expected)
    np.testing.assert_array_equal(results.records()[1]["origin"], found["tracks/labels/origin"])


def test_labels_stay_integers_whatever_the_types(made, tmp_path):
    """NumPy turns uint64 beside int64 into float64."""
    files = make(tmp_path, types=lambda name: {"origin": "u8" if name == "ttbar" else "i8"})
    raw = config(tmp_path / "out", files.files, tracks={"label_classes": {}})
    if results := unless_refused(raw, "origin"):
        assert results.arrays()["tracks/labels/origin"].dtype.kind in "iu"


@pytest.mark.parametrize("names", [["pileup", "fake", "primary", "fromB"], []])
def test_empty_slots_of_an_unsigned_label(made, tmp_path, names):
    """-1 as of any label; 0 would be pile-up."""
    files = make(tmp_path, types=lambda _: {"origin": "u1"})
    labels = {"label_classes": {"origin": names} if names else {}}
    found = chain(config(tmp_path / "out", files.files, tracks=labels)).arrays()
    origin = found["tracks/labels/origin"]
    assert origin.dtype == (np.int8 if names else np.int32)
    assert (origin[~found["tracks/valid"]] == -1).all()


def test_infinite_additional_label_is_missing(made, tmp_path):
    """Additional labels are 0 where missing, and infinities are missing values."""

    def change(jets, tracks):
        jets["target"][::3] = np.inf

    files = make(tmp_path, change=change)
    found = chain(config(tmp_path / "out", files.files)).arrays()
    assert np.isfinite(found["jets/add_labels/target"]).all()


def test_a_label_that_is_computed(made, tmp_path):
    """0 where it is missing in arrays, NaN in records and Parquet, as labels of the file."""
    jets = {"define": {"ratio": "target / pt"}, "additional_labels": ["target", "ratio"]}
    results = chain(config(tmp_path, made.files, jets=jets), EVERY)
    found = results.arrays()
    source = made.jets[place(made, found)]
    expected = source["target"] / source["pt"]
    assert 0.3 < np.isnan(expected).mean() < 0.7
    np.testing.assert_array_equal(found["jets/add_labels/ratio"], np.nan_to_num(expected))
    assert found["jets/add_labels/ratio"].dtype == np.float32
    np.testing.assert_array_equal(results.records()[0]["ratio"], expected)
    pq = pytest.importorskip("pyarrow.parquet")
    np.testing.assert_array_equal(
        pq.read_table(tmp_path / "parquet/train/part_0000.parquet")["ratio"].to_numpy(), expected
    )


def test_a_list_of_parquet_does_not_replace_a_variable_of_jets(made, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    raw = config(tmp_path, made.files, jets={"variables": ["pt", "tracks_d0"], "define": {"tracks_d0": "hits + 0.5"}})
    if unless_refused(raw, "tracks_d0", ("parquet",)):
        table = pq.read_table(tmp_path / "parquet/train/part_0000.parquet")
        assert isinstance(table["tracks_d0"].to_pylist()[0], float)


def test_float16_that_does_not_fit(made, tmp_path):
    def change(jets, tracks):
        tracks["d0"][7] = 1e9

    files = make(tmp_path, change=change)
    tracks = {"scaling": {"unscaled": ["d0"]}}
    raw = config(tmp_path / "out", files.files, tracks=tracks, write={"precision": "float16"})
    with pytest.raises(JetmillError, match=r"do not fit into float16.*'d0' \(1e\+09\)"):
        chain(raw)


def test_constant_variable_of_tracks_is_reported(made, tmp_path):
    raw = config(tmp_path, made.files, tracks={"define": {"one": "1"}, "variables": ["d0", "one"]})
    with pytest.raises(JetmillError, match=r"variable 'one' of tracks is 1 wherever"):
        chain(raw)


def test_two_collections_in_every_format(made, tmp_path):
    """In another order than that of the alphabet, of unlike lengths and types of labels."""
    pq = pytest.importorskip("pyarrow.parquet")

    def change(jets, tracks):
        pass

    files = make(tmp_path, change=change)
    for paths in files.files.values():
        for path in paths:
            with h5py.File(path, "a") as file:
                flow = np.zeros((len(file["jets"]), 3), [("e", "f8"), ("id", "u2"), ("valid", "u1")])
                flow["e"] = file["jets"]["eventNumber"][:, None] + np.array([0.25, 0.5, 0.75])
                flow["id"], flow["valid"] = 60_000, [0, 1, 1]
                file["flow"] = flow
    raw = config(tmp_path / "out", files.files, write={"concat_jet_tracks": ["hits"], "precision": "float16"})
    raw["constituents"]["flow"] = {"variables": ["e"], "labels": ["id"], "max": 2}
    results = chain(raw, EVERY)
    found = results.arrays()
    event = found["jets/event/eventNumber"].astype(int)
    assert found["flow/inputs"].shape == (len(event), 2, 2)
    assert found["flow/valid"].all()
    assert found["flow/labels/id"].dtype == np.int32
    assert (found["flow/labels/id"] == 60_000).all()
    with h5py.File(tmp_path / "out/structured/train.h5") as file:
        assert set(file) == {"jets", "tracks", "flow"}
        expected = (event[:, None] + np.array([0.5, 0.75])).astype(np.float32)
        np.testing.assert_array_equal(file["flow"]["e"], expected)
        assert (file["flow"]["id"] == 60_000).all()
        tracks = file["tracks"][()]
    rows = made.tracks[place(made, found)]
    np.testing.assert_array_equal(tracks["d0"][tracks["valid"]], rows["d0"][first_tracks(made)[place(made, found)]])
    table = pq.read_table(tmp_path / "out/parquet/train/part_0000.parquet")
    np.testing.assert_array_equal(table["flow_e"].to_pylist(), expected)
    metadata = json.loads((tmp_path / "out/tfrecords/train/metadata.json").read_text())
    assert metadata["n_trks"] == {"flow": 2, "tracks": 5}
    assert metadata["n_trk_features"] == {"flow": 2, "tracks": 4}
    import jetmill

    energy = jetmill.load(tmp_path / "out/train.h5").constituents["flow"].variable("e")
    np.testing.assert_allclose(energy, expected, rtol=1e-3)


def test_one_part_per_batch_in_every_format(made, tmp_path):
    results = chain(config(tmp_path, made.files, write={"shuffle": "batch"}), EVERY)
    found, (jets, tracks) = results.arrays(), results.records()
    wanted = made.jets["eventNumber"][made.train]
    np.testing.assert_array_equal(np.sort(found["jets/event/eventNumber"]), wanted)
    np.testing.assert_array_equal(jets["eventNumber"], found["jets/event/eventNumber"])
    np.testing.assert_array_equal(tracks["origin"], found["tracks/labels/origin"])
    assert len(list((tmp_path / "torch/train").glob("*.pt"))) == (4 if "torch" in EVERY else 0)


def test_fewer_records_files_leave_no_old_ones(made, tmp_path):
    chain(config(tmp_path, made.files), ("tfrecords",))
    for records_per_file, n_files in ((100, 5), (1000, 1)):
        write_tfrecords(tmp_path / "val.h5", tmp_path / "tfrecords/val", records_per_file=records_per_file)
        assert len(list((tmp_path / "tfrecords/val").glob("*.tfrecord"))) == n_files
    assert not list(tmp_path.rglob("*partial*"))


def test_mock_of_atlas_ftag_tools(tmp_path):
    """Its tracks are in use at random slots, and it has no event number."""
    ftag = pytest.importorskip("ftag")
    name, mock = ftag.get_mock_file(num_jets=2000, fname=str(tmp_path / "mock.h5"))
    jets, tracks = mock["jets"][()], mock["tracks"][()]
    mock.close()
    raw = config(tmp_path / "out", {"mock": [name]}, input={"event_id": []})
    flavours = {"b": 5, "c": 4, "u": 0, "tau": 15}
    raw |= {
        "classes": {c: f"HadronConeExclTruthLabelID == {n}" for c, n in flavours.items()},
        "split": {"by": "jet", "test": 0.2, "val": 0.1},
        "jets": {"variables": ["pt", "eta"], "spectators": ["MockTagger_pb"]},
        "constituents": {"tracks": {"variables": ["d0", "qOverP"], "sort_by": "abs(d0)", "max": 40}},
        "balance": {"bins": {"eta": [-3, 3, 3]}},
    }
    results = chain(raw, EVERY)
    wanted = {float(j["MockTagger_pb"]): (j, t) for j, t in zip(jets, tracks, strict=True)}
    n_jets = 0
    for output in ("train", "val", "test"):
        for jet, of_jet in zip(*results.records(output), strict=True):
            source, its_tracks = wanted[float(jet["MockTagger_pb"])]
            assert jet["pt"] == source["pt"]
            assert list(flavours.values())[jet["flavour_label"]] == source["HadronConeExclTruthLabelID"]
            d0 = its_tracks["d0"][its_tracks["valid"]]
            np.testing.assert_array_equal(of_jet["d0"][of_jet["valid"]], d0[np.argsort(-np.abs(d0), kind="stable")])
            n_jets += 1
    assert n_jets == np.isin(jets["HadronConeExclTruthLabelID"], [0, 4, 5, 15]).sum()


# Mistakes in the configuration.

MISTAKES = {
    "links in HDF5": (
        {"tracks": {"tree": {"links": "JetTracks"}}},
        "constituents.tracks.tree: is for format: root",
    ),
    "tree in HDF5": ({"input": {"tree": "t"}}, "input.tree: is for format: root"),
    "level in HDF5": ({"input": {"level": "jet"}}, "input.level: is for format: root"),
    "matches in HDF5": (
        {"input": {"matched": {"gen": {"branches": "GenJet", "index": "genJetIdx"}}}},
        "input.matched: is for format: root",
    ),
    "no event": ({"input": {"event_id": []}}, "split: by: modulo needs input.event_id"),
    "defined event number": (
        {"jets": {"define": {"twice": "2 * pt"}}, "input": {"event_id": ["twice"]}},
        "input.event_id: 'twice' is one of jets.define; it must be a variable of the files",
    ),
    "label twice": ({"jets": {"additional_labels": ["pt", "pt"]}}, "additional_labels names pt more than once"),
    "variable twice": ({"tracks": {"variables": ["d0", "d0"]}}, "variables names d0 more than once"),
    "track label twice": ({"tracks": {"labels": ["origin", "origin"]}}, "labels names origin more than once"),
    "late definition": (
        {"tracks": {"define": {"a": "b + 1", "b": "d0"}}},
        "constituents.tracks.define.a: uses 'b', which is not defined before it",
    ),
    "sentinel of nothing": (
        {"tracks": {"missing": {"values_of": {"d00": [-1]}}}},
        "constituents.tracks.missing.values_of: nothing uses a variable 'd00'. Did you mean 'd0'?",
    ),
    "names of no label": (
        {"tracks": {"label_classes": {"orgin": ["a"]}}},
        "constituents.tracks.label_classes: 'orgin' is not in constituents.tracks.labels. Did you mean 'origin'?",
    ),
    "no names": ({"tracks": {"label_classes": {"origin": []}}}, "constituents.tracks.label_classes.origin"),
    "log of nothing": (
        {"tracks": {"scaling": {"log": ["drr"]}}},
        "constituents.tracks.scaling.log: 'drr' is not in constituents.tracks.variables. Did you mean 'dr'?",
    ),
    "log of a jet variable": ({"scaling": {"log": ["d0"]}}, "scaling.log: 'd0' is not in jets.variables"),
    "default of nothing": (
        {"tracks": {"scaling": {"defaults": {"d00": 1}}}},
        "constituents.tracks.scaling.defaults: 'd00' is not in constituents.tracks.variables. Did you mean 'd0'?",
    ),
    "unscaled nothing": (
        {"tracks": {"scaling": {"unscaled": ["d00"]}}},
        "constituents.tracks.scaling.unscaled: 'd00' is not in constituents.tracks.variables",
    ),
    "log and unscaled": (
        {"tracks": {"scaling": {"log": ["dr"], "unscaled": ["d*"]}}},
        "constituents.tracks.scaling.log: 'dr' is unscaled",
    ),
    "default of a log": (
        {"tracks": {"scaling": {"log": ["dr"], "defaults": {"dr": 0}}}},
        "constituents.tracks.scaling: defaults.dr: must be above 0, as the logarithm of dr is scaled",
    ),
    "clip": ({"scaling": {"clip": 0}}, "scaling.clip"),
    "method": ({"scaling": {"method": "quantile"}}, "scaling.method: must be 'standard' or 'robust'"),
    "slots": ({"tracks": {"max": 0}}, "constituents.tracks.max"),
    "too many slots": ({"tracks": {"max": 70_000}}, "constituents.tracks.max"),
    "concat": (
        {"write": {"concat_jet_tracks": ["ptt"]}},
        "write.concat_jet_tracks: 'ptt' is not in jets.variables. Did you mean 'pt'?",
    ),
    "conditional": (
        {"write": {"conditional": ["d0"]}},
        "write.conditional: 'd0' is not in jets.variables",
    ),
    "compression": (
        {"write": {"compression": "lz5"}},
        "write.compression: must be 'none', 'gzip', 'lzf', 'lz4' or 'zstd'",
    ),
    "format": ({"write": {"formats": ["parket"]}}, "Did you mean 'parquet'?"),
    "records": ({"write": {"records_per_file": 0}}, "write.records_per_file"),
    "sort": ({"tracks": {"sort_by": "abs(d0"}}, "constituents.tracks.sort_by: expression 'abs(d0' cannot be read"),
    "select": ({"tracks": {"select": ["foo(d0) > 1"]}}, "unknown function 'foo'"),
    "unknown key": (
        {"tracks": {"variabels": ["d0"]}},
        "constituents.tracks.variabels: unknown key. Did you mean 'variables'?",
    ),
    "target": (
        {"balance": {"resampling": {"method": "pdf", "target": "q"}}},
        "balance.resampling.target: must be one of b, c, u, average, flat, flat_per_unit (found: 'q')",
    ),
    "target of countup": (
        {"balance": {"resampling": {"method": "countup", "target": "flat"}}},
        "balance.resampling.target: must be one of b, c, u (found: 'flat')",
    ),
    "share": (
        {"balance": {"resampling": {"method": "count", "shares": {"bb": 1}}}},
        "balance.resampling.shares: 'bb' is not in classes. Did you mean 'b'?",
    ),
    "sample of a component": (
        {"balance": {"resampling": {"method": "count", "components": [{"samples": ["tbar"]}]}}},
        "balance.resampling.components.0.samples: 'tbar' is not in samples. Did you mean 'ttbar'?",
    ),
    "variable of a component": (
        {"balance": {"resampling": {"components": [{"samples": ["ttbar"], "bins": {"mass": [0, 1]}}]}}},
        "balance.resampling.components.0.bins: 'mass' is not in balance.bins",
    ),
    "edge of a component": (
        {"balance": {"resampling": {"components": [{"samples": ["ttbar"], "bins": {"pt": [0, 90]}}]}}},
        "balance.resampling.components.0.bins.pt: 90 is not an edge of a bin; the nearest is 100",
    ),
    "ends of a component": (
        {"balance": {"resampling": {"components": [{"samples": ["ttbar"], "bins": {"pt": [100, 0]}}]}}},
        "balance.resampling.components.0.bins.pt: low must be below high",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(made, tmp_path, name):
    changes, sentence = MISTAKES[name]
    with pytest.raises(JetmillError) as error:
        Plan.from_raw(config(tmp_path, made.files, **changes))
    lines = str(error.value).splitlines()
    assert any(sentence in line for line in lines), lines
    assert len(lines) == 1


def test_a_collection_called_jets(made, tmp_path):
    raw = config(tmp_path, made.files)
    raw["constituents"] = {"jets": raw["constituents"]["tracks"]}
    with pytest.raises(JetmillError, match=r"constituents\.jets: a collection cannot be called 'jets'"):
        Plan.from_raw(raw)


def test_concat_without_constituents(made, tmp_path):
    raw = config(tmp_path, made.files, write={"concat_jet_tracks": True}) | {"constituents": {}}
    with pytest.raises(JetmillError, match=r"write\.concat_jet_tracks: there are no constituents"):
        Plan.from_raw(raw)


@pytest.mark.parametrize(
    ("key", "variables"), [("tracks", {"variables": ["d0", "dz"]}), ("jets", {"variables": ["pT"]})]
)
def test_a_variable_that_is_not_in_the_files(made, tmp_path, key, variables):
    with pytest.raises(JetmillError, match="has no field"):
        chain(config(tmp_path, made.files, **{key: variables}))


@pytest.mark.parametrize(
    ("process", "input_format", "there_are"), [("qcd", "hdf5", "ttbar, zprime"), ("zprime", "root", "qcd, ttbar")]
)
def test_toys_of_the_other_experiment(raw_config, process, input_format, there_are):
    raw = raw_config | {"samples": {"x": {"toy": {"process": process}}}, "input": {"format": input_format}}
    with pytest.raises(JetmillError) as error:
        Plan.from_raw(raw)
    sentence = f"samples.x.toy.process: there is no {process} in format {input_format}; there are {there_are}"
    assert str(error.value) == sentence
