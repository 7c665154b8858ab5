"""Event weights: with them, weights of jets have mean 1 and classes equal totals, to the rounding of float32.

The sums that are expected are those of `math.fsum` over the rows of the dumps that are written.
"""

import json
import logging
import math
from fractions import Fraction
from types import SimpleNamespace

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from dump_chain import chain, config, make, place
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import jetmill
from jetmill.balancing.event_weights import ExactSums, product
from jetmill.balancing.selection import PartSpec
from jetmill.columns.batch_list import read_batch_list
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.formats.content.part import Part
from jetmill.report.jets.variables import histogram
from jetmill.settings.figures import FigureSettings
from jetmill.stages import plot_balance as plot_balance_module
from jetmill.stages.plot_jets import sample_of

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


# Exact sums


def exact(groups, values, times, n_groups):
    sums = [Fraction(0)] * n_groups
    for group, value, n in zip(groups.tolist(), values.tolist(), times.tolist(), strict=True):
        sums[group] += Fraction(value) * n
    return sums


@given(hnp.arrays(np.float32, st.integers(0, 60), elements=FLOATS), st.data())
def test_sums_are_exact_whatever_order_and_grouping(values, data):
    n = len(values)
    groups = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, 3)))
    times = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, 4)))
    whole = ExactSums(4)
    whole.add(groups, values, times)
    order = np.array(data.draw(st.permutations(range(n))), dtype=int)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=4)))
    joined = ExactSums(4)
    for rows in np.split(order, cuts):
        # Some repeated as often as they count, some added by another job first.
        part = ExactSums(4)
        part.add(np.repeat(groups[rows], times[rows]), np.repeat(values[rows], times[rows]))
        for level, sums in part.levels.items():
            joined.add_sums(level, sums)
    np.testing.assert_array_equal(joined.result(), whole.result())
    for ours, theirs, k in zip(whole.result(), exact(groups, values, times, 4), range(4), strict=True):
        size = sum(abs(Fraction(v)) * t for v, t, g in zip(values.tolist(), times, groups, strict=True) if g == k)
        assert abs(Fraction(float(ours)) - theirs) <= size * Fraction(1, 10**15)


def test_sums_of_weights_of_both_signs_that_cancel():
    rng = np.random.default_rng(1)
    values = (12748 * rng.choice([-1, 1], 100_001)).astype(np.float32)
    sums = ExactSums(1)
    sums.add(np.zeros(len(values), dtype=np.int64), values)
    assert sums.result()[0] == 12748 * np.sign(values).sum()


def test_the_product_of_columns():
    a, b = np.array([2, -3, 0], np.float32), np.array([0.5, 4, 7], np.float32)
    found = product({"a": a, "b": b})
    assert found.dtype == np.float32
    assert found.tolist() == [1, -12, 0]


@pytest.mark.parametrize("gone", [np.nan, np.inf])
def test_a_weight_that_is_missing_names_the_column(gone):
    columns = {"a": np.ones(3, np.float32), "b": np.array([1, gone, gone], np.float32)}
    with pytest.raises(JetmillError, match=r"^balance\.event_weights: 'b' is missing for 2 jets$"):
        product(columns)


def test_a_product_beyond_single_precision_is_refused():
    columns = {"a": np.array([1e30, 1], np.float32), "b": np.array([1e30, 1], np.float32)}
    with pytest.raises(JetmillError, match="the product of 'a', 'b' is too large for single precision for 1 jets"):
        product(columns)


# Weights of jets


def gen_weights(jets, _):
    """A fifth of them negative, large, and of unlike size; more negative ones at high pT."""
    rng = np.random.default_rng(len(jets))
    negative = rng.random(len(jets)) < np.where(jets["pt"] > 100, 0.4, 0.15)
    jets["target"] = np.where(negative, -1, 1) * rng.lognormal(9, 1, len(jets))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("dumps"), change=gen_weights)


WEIGHTS = ["average", "flat", {"reference": "c"}]
NAMES = ["weight", "weight_flat", "weight_reference_c"]
EDGES = np.r_[0, 25, 50, 75, 100, 400, 700, 1000]
RESAMPLED = {
    "none": {},
    "pdf": {"resampling": {"method": "pdf", "target": "c", "max_upsampling": 4, "validation": True}},
    "count": {"resampling": {"method": "count"}},
    "components": {"resampling": {"components": [{"samples": ["ttbar"]}]}},
    "outside": {"outside": "drop", "bins": {"pt": [[25, 100, 3], [100, 700, 2]]}},
}


def raw(made, directory, weights=WEIGHTS, **balance):
    given_ = {"bins": {"pt": [[0, 100, 4], [100, 1000, 3]]}, "weights": weights, "event_weights": ["target"]}
    return config(directory, made.files, balance=given_ | balance)


@pytest.fixture(scope="module", params=RESAMPLED)
def run(request, made, tmp_path_factory):
    result = chain(raw(made, tmp_path_factory.mktemp(request.param), **RESAMPLED[request.param]), ("structured",))
    return SimpleNamespace(result=result, kind=request.param, train=result.arrays())


@pytest.mark.parametrize("name", NAMES)
def test_mean_1_and_equal_totals(run, name):
    weight, labels = run.train[f"jets/{name}"].astype(float), run.train["jets/labels"]
    assert (weight < 0).any()
    assert math.fsum(weight) / len(weight) == pytest.approx(1, abs=3e-7)
    totals = [math.fsum(weight[labels == k]) for k in range(3)]
    assert totals == pytest.approx([len(weight) / 3] * 3, rel=1e-6)


def spec(label, bins, event_weight, method):
    """Return the weights by the formulas of the documentation, written out bin by bin."""
    n_bins, n_classes = bins.max() + 1, label.max() + 1
    sums = np.array(
        [[math.fsum(event_weight[(label == k) & (bins == b)]) for b in range(n_bins)] for k in range(n_classes)]
    ).clip(0)
    p = sums / sums.sum(axis=1, keepdims=True)
    target = {"average": p.mean(axis=0), "flat": np.full(n_bins, 1 / n_bins), "reference": p[1]}[method]
    table = np.zeros_like(sums)
    for k in range(n_classes):
        reached = target[sums[k] > 0].sum()
        for b in range(n_bins):
            if sums[k, b] > 0:
                # Each class adds up to an equal part, in the shape of the target.
                table[k, b] = target[b] / reached / n_classes * len(label) / sums[k, b]
    return table[label, bins] * event_weight


@pytest.mark.parametrize(("name", "method"), [*zip(NAMES, ["average", "flat", "reference"], strict=True)])
def test_weights_are_those_of_the_formulas(made, run, name, method):
    event_weight = made.jets["target"][place(made, run.train)].astype(float)
    bins = run.train["jets/bins"][:, 0]
    if method == "flat":  # over all bins, empty ones too; what they would have is spread over the others
        assert bins.max() < 7
    expected = spec(run.train["jets/labels"], bins, event_weight, method)
    np.testing.assert_allclose(run.train[f"jets/{name}"], expected, rtol=3e-7)


def test_the_tables_serve_other_splits_too(made, run):
    tables = {}
    with h5py.File(f"{run.result.out}/balance.h5") as file:
        tables = {name: file[f"weights/{table}"][()] for name, table in zip(NAMES, file.attrs["weights"], strict=True)}
    for output in ("val", "test"):
        found = run.result.arrays(output)
        rows, bins = place(made, found), found["jets/bins"][:, 0]
        for name, table in tables.items():
            expected = np.where(bins >= 0, table[found["jets/labels"], bins], 0) * made.jets["target"][rows]
            np.testing.assert_array_equal(found[f"jets/{name}"], expected.astype(np.float32))


def test_records_have_the_same_weights(run):
    jets, _ = run.result.records()
    for name in NAMES:
        np.testing.assert_array_equal(jets[name], run.train[f"jets/{name}"])


def test_streams_have_the_same_weights(made, run):
    stream = jetmill.Stream(raw(made, run.result.out, **RESAMPLED[run.kind]), batch_size=500)
    streamed = np.concatenate([batch["jets/weight"] for batch in stream.epoch()])
    assert sorted(streamed.tolist()) == sorted(run.train["jets/weight"].tolist())


@pytest.mark.parametrize("kind", ["none", "pdf"])
def test_nothing_depends_on_batches(made, tmp_path, kind):
    found = []
    for n in (1, 2, 5):
        changed = raw(made, tmp_path / str(n), **RESAMPLED[kind])
        result = chain(changed | {"input": {"format": "hdf5", "files_per_batch": n}})
        with h5py.File(f"{result.out}/balance.h5") as file:
            tables = {}
            file.visititems(lambda name, x, t=tables: t.update({name: x[()].tobytes()} if hasattr(x, "shape") else {}))
        assert any(name.startswith("sums/") for name in tables)
        outputs = ["train", "val", "test", *["val_resampled"] * (kind == "pdf")]
        arrays = {(o, name): x.tobytes() for o in outputs for name, x in result.arrays(o).items()}
        found.append(tables | arrays)
    assert found[0] == found[1] == found[2]


def test_without_tables_the_weight_is_the_event_weight(made, tmp_path):
    found = chain(raw(made, tmp_path, [])).arrays()
    np.testing.assert_array_equal(found["jets/weight"], made.jets["target"][place(made, found)])


def test_equal_event_weights_change_nothing(tmp_path):
    def constant(jets, _):
        jets["target"] = 0.1

    made = make(tmp_path, change=constant)
    with_, without = (chain(raw(made, tmp_path / str(len(c)), event_weights=c)).arrays() for c in (["target"], []))
    for name in NAMES:
        np.testing.assert_allclose(with_[f"jets/{name}"], without[f"jets/{name}"], rtol=2e-7)


# What cannot be balanced


def spoilt(value, low, flavours=(0, 4, 5)):
    """Return event weights of 1, and `value` for jets of some flavours from `low` on."""

    def change(jets, _):
        jets["target"] = np.where((jets["pt"] >= low) & np.isin(jets["flavour"], flavours), value, 1)

    return change


@pytest.mark.parametrize("value", [-1, 0])
def test_a_bin_without_positive_sum_has_weight_0_and_a_warning(tmp_path, caplog, value):
    made = make(tmp_path, change=spoilt(value, 100, [5]))
    found = chain(raw(made, tmp_path / "run")).arrays()
    bad = (found["jets/labels"] == 0) & (found["jets/bins"][:, 0] >= 4)
    n_bins = len(np.unique(found["jets/bins"][bad, 0]))
    for name in NAMES:
        weight = found[f"jets/{name}"].astype(float)
        assert bad.any()
        assert not weight[bad].any()
        assert (weight[~bad] > 0).all()
        assert weight.mean() == pytest.approx(1, abs=3e-7)
        totals = np.bincount(found["jets/labels"], weight)
        np.testing.assert_allclose(totals, len(weight) / 3, rtol=1e-6)
    warning = (
        f"balance.event_weights: the event weights of class b have no positive sum in {n_bins} of its bins, with"
        f" {bad.sum()} of its {np.count_nonzero(found['jets/labels'] == 0)} jets, whose weight is 0; take wider bins"
    )
    assert [r.message for r in caplog.records if r.levelno == logging.WARNING and "positive" in r.message] == [warning]
    with h5py.File(tmp_path / "run/balance.h5") as file:
        assert warning in json.loads(file.attrs["warnings"])


def test_a_class_without_positive_sum_is_an_error(tmp_path):
    made = make(tmp_path, change=spoilt(-1, 0, [5]))
    message = r"balance\.event_weights: the event weights of class b have a positive sum in no bin"
    with pytest.raises(JetmillError, match=message):
        chain(raw(made, tmp_path / "strict"))
    with pytest.raises(JetmillError, match=message):
        chain(raw(made, tmp_path / "reference", [{"reference": "b"}]) | {"strict": False})
    found = chain(raw(made, tmp_path / "lenient") | {"strict": False}).arrays()
    is_b = found["jets/labels"] == 0
    assert not found["jets/weight"][is_b].any()
    assert found["jets/weight"].mean(dtype=float) == pytest.approx(1, abs=3e-7)
    totals = np.bincount(found["jets/labels"], found["jets/weight"].astype(float))
    np.testing.assert_allclose(totals, [0, is_b.size / 2, is_b.size / 2], rtol=1e-6)


def test_no_positive_sum_at_all_is_an_error(tmp_path):
    made = make(tmp_path, change=spoilt(0, 0))
    with pytest.raises(JetmillError, match="the event weights of class b, c, u have a positive sum in no bin"):
        chain(raw(made, tmp_path / "run") | {"strict": False})


def test_a_missing_event_weight_names_column_and_batch(tmp_path):
    def lose(jets, _):
        jets["target"] = np.where(np.arange(len(jets)) == 10, np.nan, 1)

    made = make(tmp_path, change=lose)
    with pytest.raises(JetmillError, match=r"batch_0000\.h5: balance\.event_weights: 'target' is missing for 1 jets$"):
        chain(raw(made, tmp_path / "run"))


# The report


def test_histograms_of_the_report_are_weighted(made, run, tmp_path, monkeypatch):
    drawn = {}
    for name in ("draw_spectra", "draw_class_counts"):
        original = getattr(plot_balance_module, name)
        monkeypatch.setattr(
            plot_balance_module, name, lambda *a, _name=name, _draw=original: drawn.update({_name: a[-2]}) or _draw(*a)
        )
    batches = read_batch_list(f"{run.result.out}/clean/batches.json")
    plot_balance_module.plot_balance(batches, f"{run.result.out}/balance.h5", tmp_path / "figures", FigureSettings())
    assert not (tmp_path / "figures/spectra_2d.png").exists()  # one axis has no map
    labels, bins = run.train["jets/labels"], run.train["jets/bins"][:, 0]
    event_weight = made.jets["target"][place(made, run.train)].astype(float)
    with h5py.File(f"{run.result.out}/balance.h5") as file:
        n_bins = file["kept/train"].shape[1]

    def table(weights):
        sums = np.zeros((3, n_bins))
        np.add.at(sums, (labels, bins), weights)
        return sums

    spectra = {table.title: table.counts for table in drawn["draw_spectra"]}
    written = f"train, {'as cleaned' if run.kind in ('none', 'outside') else 'resampled'}, event weights"
    np.testing.assert_allclose(spectra[written], table(event_weight), rtol=1e-12, atol=1e-6)
    squared = np.zeros((3, n_bins))
    _, first, times = np.unique(place(made, run.train), return_index=True, return_counts=True)
    for row, n in zip(first, times, strict=True):  # a jet that is written n times is one event of n times the weight
        squared[labels[row], bins[row]] += (n * event_weight[row]) ** 2
    (squares,) = (table.squares for table in drawn["draw_spectra"] if table.title == written)
    np.testing.assert_allclose(squares, squared, rtol=2**-8)
    for title, name in zip(("average", "flat", "reference_c"), NAMES, strict=True):
        expected = table(run.train[f"jets/{name}"].astype(float))
        np.testing.assert_allclose(spectra[f"weights {title}"], expected, rtol=1e-5, atol=1e-3)
    counts = drawn["draw_class_counts"]
    np.testing.assert_allclose(counts[written], table(event_weight).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(counts["weights flat"], [len(labels) / 3] * 3, rtol=1e-6)


@pytest.mark.parametrize("of", ["jets", "tracks"])
def test_histograms_of_variables_are_weighted(made, run, tmp_path, of):
    out, content = run.result.out, load(raw(made, tmp_path, **RESAMPLED[run.kind])).content
    spec = PartSpec.from_batch_list(f"{out}/clean/batches.json", "train", (0, 1))
    found = sample_of(Part.read(spec, f"{out}/balance.h5", f"{out}/scalers.json", content), FigureSettings()).variables[
        of
    ]
    jets = jetmill.load(f"{out}/train.h5")
    weight, labels, values = jets.weight.astype(float), jets.labels, jets.variable("pt")
    if of == "tracks":
        tracks = jets.constituents["tracks"]
        n, values = tracks.valid.sum(axis=1), tracks.variable("d0")[tracks.valid]
        weight, labels = np.repeat(weight, n), np.repeat(labels, n)
    drawn = histogram(found.values["pt" if of == "jets" else "d0"], found.label, found.weight, 3)
    for k in range(3):
        mine = labels == k
        expected = np.histogram(values[mine], drawn.axes[0].edges, weights=weight[mine])[0]
        squares = np.histogram(values[mine], drawn.axes[0].edges, weights=weight[mine] ** 2)[0]
        # A value at an edge may be rounded into the next bin by the scaling of the file.
        assert np.isclose(drawn.values()[:, k], expected, rtol=1e-4, atol=1e-4).mean() > 0.9
        np.testing.assert_allclose(drawn.variances()[:, k].sum(), squares.sum(), rtol=0.02)


# Real events


def hzz(path):
    """Return pT, a class and the event weight, a few thousandths, of the jets of 2421 events."""
    events = uproot.open(path)["events"]
    p4, tagged = events["jetp4"].array(), ak.flatten(events["jetbtag"].array()) > 2
    pt = np.hypot(ak.flatten(p4.fP.fX), ak.flatten(p4.fP.fY))
    return pt, tagged, np.repeat(events["eventweight"].array(library="np"), ak.num(p4))


def nano(path):
    """Return the same of 200 events, one of whose generator weights is negative."""
    events = uproot.open(path)["Events"].arrays(["Jet_pt", "Jet_hadronFlavour", "genWeight"])
    weight = np.repeat(ak.to_numpy(events.genWeight), ak.num(events.Jet_pt))
    assert weight.min() < 0 < weight.max()
    return ak.flatten(events.Jet_pt), ak.flatten(events.Jet_hadronFlavour) == 5, weight


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "read"), [("uproot-HZZ-objects.root", hzz), ("nano_tt_v12.root", nano)])
def test_real_event_weights(shared_data, tmp_path, write_root, name, read):
    pt, tagged, weight = (ak.to_numpy(column) for column in read(shared_data(name)))
    branches = {"pt": pt.astype(np.float32), "tagged": tagged.astype(np.int32), "w": weight.astype(np.float32)}
    write_root(tmp_path / "a.root", branches | {"event": np.arange(len(pt), dtype=np.uint64)})
    result = chain(
        {
            "output_dir": str(tmp_path / "run"),
            "samples": {"real": {"files": [str(tmp_path / "a.root")]}},
            "input": {"level": "jet", "jets": "", "event_id": ["event"]},
            "jets": {"variables": ["pt"]},
            "classes": {"tagged": "tagged == 1", "rest": "rest"},
            "balance": {
                "bins": {"pt": [[20, 100, 4], [100, 1000, 1]]},
                "weights": ["average", "flat"],
                "event_weights": ["w"],
                "outside": "drop",
            },
        }
    )
    found = result.arrays()
    rows = found["jets/event/event"].astype(int)
    assert len(rows) > 900
    for dataset, method in (("weight", "average"), ("weight_flat", "flat")):
        jet_weight = found[f"jets/{dataset}"].astype(float)
        assert math.fsum(jet_weight) / len(rows) == pytest.approx(1, abs=3e-7)
        totals = np.bincount(found["jets/labels"], jet_weight)
        np.testing.assert_allclose(totals, len(rows) / 2, rtol=1e-6)
        expected = spec(found["jets/labels"], found["jets/bins"][:, 0], weight[rows].astype(float), method)
        np.testing.assert_allclose(jet_weight, expected, rtol=3e-7)
