import numpy as np
import pytest
from scipy import stats

from jetmill.balancing.binning import Axis, axes_of, bins_between, find_bins, refuse_outside, shape
from jetmill.errors import JetmillError

ETA = Axis.from_segments("eta", [(-2.5, 2.5, 50)])
PT = Axis.from_segments("pt", [(20, 100, 8), (100, 250, 5), (250, 1000, 3)])
AXES = [ETA, PT]


def jets(dtype, n=20_000):
    """Return eta and pT inside the bins, some of them exactly on every edge."""
    rng = np.random.default_rng(0)
    eta, pt = rng.uniform(-2.5, 2.5, n), rng.uniform(20, 1000, n)
    eta[: len(ETA.edges)], pt[100 : 100 + len(PT.edges)] = ETA.edges, PT.edges
    return eta.astype(dtype), pt.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cells_agree_with_numpy_and_scipy(dtype):
    eta, pt = jets(dtype)
    bin_index = find_bins([eta, pt], AXES, len(pt))
    assert bin_index.dtype == np.int32
    rows, edges = np.stack([eta, pt], axis=1).astype(np.float64), [ETA.edges, PT.edges]
    counts = np.histogramdd(rows, edges)[0]
    np.testing.assert_array_equal(np.bincount(bin_index, minlength=counts.size).reshape(shape(AXES)), counts)
    # scipy rounds to 13 digits or so to find what is on the last edge, and counts from 1.
    binned = stats.binned_statistic_dd(rows, None, "count", bins=edges, expand_binnumbers=True)
    np.testing.assert_array_equal(np.stack(np.unravel_index(bin_index, shape(AXES))), binned.binnumber - 1)


def test_three_axes_in_c_order():
    rng = np.random.default_rng(1)
    axes = [Axis.from_segments(name, [(0, 1, n)]) for name, n in (("a", 3), ("b", 4), ("c", 5))]
    rows = rng.random((1000, 3))
    bin_index = find_bins(list(rows.T), axes, len(rows))
    np.testing.assert_array_equal(
        np.bincount(bin_index, minlength=60).reshape(3, 4, 5), np.histogramdd(rows, (3, 4, 5), [(0, 1)] * 3)[0]
    )
    assert shape(axes) == (3, 4, 5)


def test_segments_join():
    expected = [20, 30, 40, 50, 60, 70, 80, 90, 100, 130, 160, 190, 220, 250, 500, 750, 1000]
    np.testing.assert_allclose(PT.edges, expected, rtol=1e-15)
    assert len(PT) == 16
    np.testing.assert_array_equal(ETA.edges, np.linspace(-2.5, 2.5, 51))


@pytest.mark.parametrize("edge", [2.4, 2.1, 0.7])
def test_a_float32_on_the_outer_edge_is_inside(edge):
    axis = Axis.from_segments("eta", [(-edge, edge, 4)])
    np.testing.assert_array_equal(axis.index(np.array([-edge, edge], dtype=np.float32)), [0, 3])


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        (
            np.float32,
            [19.9, 30, 31],
            r"1 of 3 training jets are outside the bins of 'pt' \(20 to 1000\).*19\.9 to 19\.9",
        ),
        (np.float64, [5, 30, 1001], r"2 of 3 training jets are outside the bins of 'pt'.*5 to 1001"),
        (np.float32, [np.nan, 30], r"1 of 2 training jets are outside the bins of 'pt'.*missing"),
        (np.float64, [np.nan, 2000], r"2 of 2 training jets are outside the bins of 'pt'.*2000 to 2000"),
        (np.float64, [np.nextafter(1000, 2000)], "1 of 1 training jets are outside the bins of 'pt'"),
        (np.float32, [np.inf], "1 of 1 training jets are outside the bins of 'pt'"),
    ],
)
def test_jets_outside_are_an_error_that_names_the_variable(dtype, values, message):
    with pytest.raises(JetmillError, match=message) as error:
        refuse_outside([np.array(values, dtype=dtype)], [PT])
    assert "jets.select" in str(error.value)
    assert "balance.bins.pt" in str(error.value)
    assert "balance.outside: drop" in str(error.value)


def test_the_first_variable_with_jets_outside_is_named():
    eta, pt = jets(np.float32)
    refuse_outside([eta, pt], AXES)
    pt[7] = 1001
    with pytest.raises(JetmillError, match="1 of 20000 training jets are outside the bins of 'pt'"):
        refuse_outside([eta, pt], AXES)
    eta[3] = np.nan
    with pytest.raises(JetmillError, match="1 of 20000 training jets are outside the bins of 'eta'"):
        refuse_outside([eta, pt], AXES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jets_outside_have_no_cell(dtype):
    eta, pt = jets(dtype)
    expected = find_bins([eta, pt], AXES, len(pt))
    eta[::5], pt[1::5], pt[2::5] = 2.6, np.nan, 1000.1
    inside = np.arange(len(eta)) % 5 > 2
    np.testing.assert_array_equal(find_bins([eta, pt], AXES, len(pt)), np.where(inside, expected, -1))
    np.testing.assert_array_equal(
        PT.index(np.array([19, np.nan, np.inf, -np.inf, 20, 1000], dtype)), [-1] * 4 + [0, 15]
    )


def test_no_jets():
    empty = np.array([], dtype=np.float32)
    assert find_bins([empty, empty], AXES, 0).shape == (0,)


def test_axes_of_a_configuration():
    axes = axes_of({"eta": [(-2.5, 2.5, 50)], "pt": [(20, 100, 8), (100, 250, 5), (250, 1000, 3)]})
    assert [axis.variable for axis in axes] == ["eta", "pt"]
    for axis, expected in zip(axes, AXES, strict=True):
        np.testing.assert_array_equal(axis.edges, expected.edges)


@pytest.mark.parametrize(
    "ranges",
    [{}, {"pt": (20, 250)}, {"pt": (250, 1000)}, {"eta": (-2.5, 0)}, {"eta": (0.1, 0.7), "pt": (100, 500)}],
)
def test_cells_between_hold_the_jets_between(ranges):
    rng = np.random.default_rng(2)
    columns = {"eta": rng.uniform(-2.5, 2.5, 50_000), "pt": rng.uniform(20, 1000, 50_000)}
    inside = np.ones(50_000, dtype=bool)
    for variable, (low, high) in ranges.items():
        inside &= (columns[variable] > low) & (columns[variable] < high)
    bins = bins_between(AXES, ranges)
    assert (bins.shape, bins.dtype) == ((50, 16), bool)
    np.testing.assert_array_equal(bins.reshape(-1)[find_bins(list(columns.values()), AXES, len(columns["pt"]))], inside)
