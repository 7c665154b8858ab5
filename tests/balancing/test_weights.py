import h5py
import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stage_runs import run_stages

from jetmill import load
from jetmill.balancing.binning import axes_of, volumes
from jetmill.balancing.weights import class_totals, limited, mean_one, weight_table
from jetmill.config.load import load as load_config
from jetmill.errors import JetmillError

METHODS = [("average", None), ("flat", None), ("reference", 2)]


@pytest.fixture(scope="module")
def cms_counts(shared_data):
    return np.load(shared_data("cms_jet_counts.npy"))


def spec_table(n, method, reference):
    """Return the formulas of the CMS study as written in its specification; divides by zero."""
    with np.errstate(all="ignore"):
        total = n.sum(axis=(1, 2))
        p = n / total[:, None, None]
        k = (n.sum() / total)[:, None, None]
        if method == "flat":
            return (1 / 2500) / p * k
        target = p.mean(axis=0) if method == "average" else p[reference]
        return target / p * k / k.sum()


@pytest.mark.real_data
@pytest.mark.parametrize(("method", "reference"), METHODS)
def test_cms_weights_are_the_formula_within_a_class(cms_counts, method, reference):
    table, plain = weight_table(cms_counts, method, reference), spec_table(cms_counts, method, reference)
    assert np.isfinite(table).all()
    for n, ours, theirs in zip(cms_counts, table, plain, strict=True):
        filled = (n > 0) & (theirs > 0)
        ratio = ours[filled] / theirs[filled]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
        assert 1 - 1e-12 < ratio[0] < 1.1  # what the empty bins would have held is spread over the others
        assert not ours[n == 0].any()


@pytest.mark.real_data
@pytest.mark.parametrize(("method", "reference"), METHODS)
def test_cms_weighted_classes_are_equal(cms_counts, method, reference):
    totals = (cms_counts * weight_table(cms_counts, method, reference)).sum(axis=(1, 2))
    np.testing.assert_allclose(totals, totals[0], rtol=1e-12)
    # The published tables are normalised so that every class weighs N / sum k, or N.
    k = cms_counts.sum() / cms_counts.sum(axis=(1, 2))
    expected = cms_counts.sum() if method == "flat" else cms_counts.sum() / k.sum()
    np.testing.assert_allclose(totals, expected, rtol=1e-12)


@pytest.mark.parametrize(("method", "reference"), METHODS)
def test_without_empty_cells_it_is_the_plain_formula(method, reference):
    n = np.random.default_rng(0).integers(1, 10_000, size=(4, 50, 50))
    np.testing.assert_allclose(weight_table(n, method, reference), spec_table(n, method, reference), rtol=1e-12)


def test_a_weighted_class_has_the_shape_of_the_target():
    n = np.random.default_rng(1).integers(1, 100, size=(3, 6, 5))
    p = n / n.sum(axis=(1, 2), keepdims=True)
    for method, reference, target in (
        ("average", None, p.mean(axis=0)),
        ("flat", None, 1 / 30),
        ("reference", 1, p[1]),
    ):
        weighted = n * weight_table(n, method, reference)
        expected = np.broadcast_to(target, n.shape)
        np.testing.assert_allclose(weighted / weighted.sum(axis=(1, 2), keepdims=True), expected, rtol=1e-12)


def test_a_table_by_hand():
    n = np.array([[6, 2], [1, 1]])
    # p = [[3/4, 1/4], [1/2, 1/2]], mean [5/8, 3/8], k = [10/8, 10/2], sum k = 6.25
    expected = np.array([[5 / 6 * 0.2, 3 / 2 * 0.2], [5 / 4 * 0.8, 3 / 4 * 0.8]])
    np.testing.assert_allclose(weight_table(n, "average"), expected, rtol=1e-15)
    np.testing.assert_allclose(weight_table(n, "flat"), [[5 / 6, 5 / 2], [5, 5]], rtol=1e-15)
    np.testing.assert_allclose(weight_table(n, "reference", 1), [[2 / 3 * 0.2, 2 * 0.2], [0.8, 0.8]], rtol=1e-15)


SPARSE = (
    st.integers(2, 4)
    .flatmap(lambda n_classes: arrays(np.int64, (n_classes, 3, 4), elements=st.integers(0, 3) | st.integers(0, 1000)))
    .filter(lambda n: n.any())
)


@pytest.mark.parametrize("method", ["average", "flat"])
@given(SPARSE)
def test_empty_cells_leave_weights_finite_and_totals_equal(method, n):
    table = weight_table(n, method)
    assert np.isfinite(table).all()
    assert (table[n > 0] > 0).all()
    assert not table[n == 0].any()
    totals = (n * table).sum(axis=(1, 2))[n.any(axis=(1, 2))]
    np.testing.assert_allclose(totals, totals[0], rtol=1e-12)


@given(SPARSE.filter(lambda n: n[1].any()))
def test_reference_shape_with_empty_cells(n):
    table = weight_table(n, "reference", 1)
    assert np.isfinite(table).all()
    assert not table[n == 0].any()
    common = (n * (n[1] > 0)).any(axis=(1, 2))
    totals = (n * table).sum(axis=(1, 2))
    np.testing.assert_allclose(totals[common], totals[1], rtol=1e-12)
    assert not totals[~common].any()


@pytest.mark.parametrize("method", ["average", "flat"])
def test_a_class_without_jets_is_left_out(method):
    n = np.random.default_rng(2).integers(1, 50, size=(3, 4, 4))
    n[1] = 0
    table = weight_table(n, method)
    assert not table[1].any()
    np.testing.assert_allclose(table[[0, 2]], weight_table(n[[0, 2]], method), rtol=1e-12)


def test_flat_per_unit_is_in_proportion_to_the_area_of_the_bins():
    area = volumes(axes_of({"x": [(0, 2, 2), (2, 10, 1)], "y": [(-1, 1, 4)]}))
    np.testing.assert_allclose(area, [[0.5] * 4, [0.5] * 4, [4] * 4])
    n = np.random.default_rng(7).integers(1, 100, size=(3, 3, 4))
    weighted = n * weight_table(n, "flat_per_unit", area)
    for i, j in np.ndindex(3, 4):
        np.testing.assert_allclose(weighted[:, i, j] / area[i, j], weighted[0, 0, 0] / 0.5)
    np.testing.assert_array_equal(weight_table(n, "flat_per_unit", np.ones((3, 4))), weight_table(n, "flat"))


def test_weights_are_limited():
    table, n = np.array([[0.5, 3, 2], [4, 1, 0]]), np.array([[7, 2, 5], [3, 4, 0]])
    lower, cut = limited(table, n, 2)
    assert lower.tolist() == [[0.5, 2, 2], [2, 1, 0]]
    assert cut.tolist() == [2, 3]
    assert limited(table, n, None)[0] is table


def test_unknown_table():
    with pytest.raises(ValueError, match="no target spectrum 'avrage'"):
        weight_table(np.ones((2, 2)), "avrage")


@given(SPARSE)
def test_mean_one(n):
    table = mean_one(weight_table(n, "average"), n, n.sum())
    assert (table * n).sum() / n.sum() == pytest.approx(1, rel=1e-12, abs=0)


def test_weights_in_any_number_of_dimensions():
    n = np.random.default_rng(3).integers(0, 9, size=(3, 24))
    for shape in ((3, 24), (3, 2, 3, 4)):
        np.testing.assert_array_equal(
            weight_table(n.reshape(shape), "average").reshape(3, 24), weight_table(n, "average")
        )


def test_class_totals():
    n = np.random.default_rng(4).integers(0, 9, size=(3, 2, 5, 2))
    assert class_totals(n).tolist() == [int(table.sum()) for table in n]
    assert class_totals(np.arange(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("method", ["mean", "min", "max", "uniform"])
def test_targets_by_counts_are_those_of_upp(method):
    n = np.random.default_rng(5).integers(0, 6, size=(3, 5, 4))
    n = np.concatenate([n, np.zeros((1, 5, 4), dtype=int)])  # a class without jets has no say
    table = weight_table(n, method)
    for i, j in np.ndindex(5, 4):
        column = n[:3, i, j].tolist()
        target = {"mean": sum(column) / 3, "min": min(column), "max": max(column), "uniform": 1}[method]
        expected = [target / k for k in column] if all(column) else [0, 0, 0]
        np.testing.assert_allclose(table[:, i, j], [*expected, 0])


def test_targets_by_counts_need_a_bin_of_all_classes():
    with pytest.raises(JetmillError, match=r"balance\.weights: min: no bin has jets of all classes; take wider bins"):
        weight_table(np.array([[1, 0], [0, 1]]), "min")


def given_weights(directory, table):
    np.save(directory / "mine.npy", table)
    return {
        "output_dir": str(directory / "results"),
        "samples": {"tt": {"toy": {"process": "ttbar", "files": 1, "jets": 500}}},
        "input": {"format": "hdf5"},
        "jets": {"variables": ["pt_btagJes"]},
        "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
        "balance": {
            "bins": {"pt_btagJes": [0, 1e5, 2], "absEta_btagJes": [0, 2.5, 3]},
            "outside": "drop",
            "weights": [{"table": str(directory / "mine.npy")}, "average"],
        },
    }


def test_given_weights_are_looked_up_as_they_are(tmp_path):
    table = np.random.default_rng(1).uniform(0, 3, (2, 2, 3))
    jets = load(run_stages(given_weights(tmp_path, table)) / "train.h5")
    assert len(jets) > 100
    expected = table[jets.labels.astype(int), jets.bins[:, 0], jets.bins[:, 1]]
    np.testing.assert_array_equal(jets.weight, expected.astype(np.float32))
    assert list(jets.weights) == ["weight", "weight_average"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((2, 3, 2)), r"mine\.npy: holds float64 \(2, 3, 2\), not numbers for \(classes, \*bins\), \(2, 2, 3\)"),
        (-np.ones((2, 2, 3)), r"mine\.npy: has weights that are negative or not finite"),
        (np.full((2, 2, 3), np.nan), r"mine\.npy: has weights that are negative or not finite"),
        (np.array([{}]), r"balance\.weights: .*mine\.npy: is not a readable \.npy file"),
    ],
)
def test_given_weights_that_do_not_fit(tmp_path, table, message):
    with pytest.raises(JetmillError, match=message):
        load_config(given_weights(tmp_path, table))


def test_weights_that_are_not_there(tmp_path):
    raw = given_weights(tmp_path, np.ones(1))
    (tmp_path / "mine.npy").unlink()
    with pytest.raises(JetmillError, match=r"mine\.npy: is not a readable \.npy file"):
        load_config(raw)


def histograms(directory, table, *, first=(2, 0.0, 1e5), second=(3, 0.0, 2.5)):
    """Write a ROOT file with a TH2D of each class, and other things; return a configuration with it."""
    raw = given_weights(directory, table)
    edges = [np.linspace(low, high, n + 1) for n, low, high in (first, second)]
    with uproot.recreate(directory / "mine.root") as file:
        for of_class, contents in zip(("b", "other"), table, strict=True):
            file[f"dir/h_{of_class}"] = (contents, *edges)
        file["flat"] = (table[0].sum(axis=1), edges[0])
        file.mktree("tree", {"x": np.int32})
    return raw


def with_table(raw, directory, name):
    balance = raw["balance"] | {"weights": [{"table": f"{directory / 'mine.root'}:{name}"}]}
    return raw | {"balance": balance}


@pytest.mark.parametrize(("name", "of_class"), [("dir/h_{class}", [0, 1]), ("dir/h_b", [0, 0])])
def test_given_histograms_are_looked_up_as_they_are(tmp_path, name, of_class):
    table = np.random.default_rng(1).uniform(0, 3, (2, 2, 3))
    raw = with_table(histograms(tmp_path, table), tmp_path, name)
    results = run_stages(raw)
    jets = load(results / "train.h5")
    assert len(jets) > 100
    with uproot.open(tmp_path / "mine.root") as file:
        contents = [file[f"dir/h_{x}"].to_numpy() for x in ("b", "other")]
    for row in range(len(jets)):
        values, _, _ = contents[of_class[jets.labels[row]]]
        assert jets.weight[row] == np.float32(values[jets.bins[row, 0], jets.bins[row, 1]])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("dir/h_a", {}, r"mine\.root: has no 'dir/h_a'\. Did you mean 'dir/h_b'\?"),
        ("tree", {}, r"mine\.root:tree: is a TTree, not a TH1, TH2 or TH3"),
        ("flat", {}, r"mine\.root:flat: has 1 axes; balance\.bins has 2: pt_btagJes, absEta_btagJes"),
        (
            "dir/h_{class}",
            {"second": (3, 0.0, 2.4)},
            r"the edges of absEta_btagJes are 0, 0\.8, 1\.6, 2\.4 \(3 bins\), not 0, 0\.833333, 1\.66667, 2\.5 \(3",
        ),
        ("dir/h_b", {"scale": -1}, r"mine\.root:dir/h_b: has weights that are negative or not finite"),
    ],
)
def test_given_histograms_that_do_not_fit(tmp_path, name, change, message):
    table = np.ones((2, 2, 3)) * change.get("scale", 1)
    axes = {key: value for key, value in change.items() if key != "scale"}
    raw = with_table(histograms(tmp_path, table, **axes), tmp_path, name)
    with pytest.raises(JetmillError, match=message):
        load_config(raw)


def test_a_file_of_histograms_that_is_none(tmp_path):
    raw = with_table(given_weights(tmp_path, np.ones((2, 2, 3))), tmp_path, "h")
    for content in (None, b"no histogram"):
        if content is not None:
            (tmp_path / "mine.root").write_bytes(content)
        with pytest.raises(JetmillError, match=r"mine\.root: is not a readable ROOT file"):
            load_config(raw)


def test_weights_in_bins_of_the_number_of_constituents(tmp_path):
    """The number is that of the file; in each bin of it both classes have the same sum of weights."""
    raw = given_weights(tmp_path, np.ones((2, 2, 3))) | {
        "jets": {"define": {"n_tracks": "count(tracks)"}, "variables": ["pt_btagJes"], "spectators": ["pt_btagJes"]},
        "constituents": {"tracks": {"variables": ["d0"], "select": ["d0 > 0"]}},
        "balance": {"bins": {"n_tracks": [-0.5, 40.5, 4]}, "outside": "drop", "weights": ["average"]},
    }
    results = run_stages(raw)
    jets = load(results / "train.h5")
    tracks = {}
    for path in (results / "toy").glob("*.h5"):
        with h5py.File(path) as file:
            n = file["tracks"]["valid"].sum(axis=1)
            for jet, n_of_jet in zip(file["jets"]["eventNumber", "pt_btagJes"].tolist(), n.tolist(), strict=True):
                tracks[jet[0], np.float32(jet[1])] = n_of_jet
    assert len(set(tracks.values())) > 5
    identity = zip(jets.event["eventNumber"].tolist(), jets.spectators["pt_btagJes"], strict=True)
    assert jets.bins[:, 0].tolist() == [int((tracks[i] + 0.5) / 10.25) for i in identity]
    sums = [np.bincount(jets.bins[jets.labels == k, 0], jets.weight[jets.labels == k], minlength=4) for k in (0, 1)]
    there = [np.bincount(jets.bins[jets.labels == k, 0], minlength=4) for k in (0, 1)]
    both = (there[0] > 0) & (there[1] > 0)
    assert both.sum() >= 2
    assert sums[0][both] / sums[0].sum() == pytest.approx(sums[1][both] / sums[1].sum(), rel=1e-4)
