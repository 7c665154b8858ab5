import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from jetmill.balancing import QUOTAS, kept_copies, mean_one, quota_count, quota_none, share_quota, weight_table
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
        assert 1 - 1e-12 < ratio[0] < 1.1  # what the empty cells would have held is spread over the others
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


def test_unknown_table():
    with pytest.raises(ValueError, match="no weight table 'avrage'"):
        weight_table(np.ones((2, 2)), "avrage")


@given(SPARSE)
def test_mean_one(n):
    table = mean_one(weight_table(n, "average"), n)
    assert (table * n).sum() / n.sum() == pytest.approx(1, rel=1e-12, abs=0)


def test_weights_in_any_number_of_dimensions():
    n = np.random.default_rng(3).integers(0, 9, size=(3, 24))
    for shape in ((3, 24), (3, 2, 3, 4)):
        np.testing.assert_array_equal(
            weight_table(n.reshape(shape), "average").reshape(3, 24), weight_table(n, "average")
        )


def test_quota_none_is_a_copy():
    n = np.ones((2, 3), dtype=int)
    quota_none(n)[0] = 7
    np.testing.assert_array_equal(n, 1)
    assert set(QUOTAS) == {"none", "count"}


def test_quota_count_by_hand():
    n = np.array([[5, 0, 3], [2, 7, 4], [9, 1, 3]])
    np.testing.assert_array_equal(quota_count(n), [[2, 0, 3]] * 3)
    n[1] = 0
    np.testing.assert_array_equal(quota_count(n), [[5, 0, 3], [0, 0, 0], [5, 0, 3]])


@given(SPARSE)
def test_quota_count_is_possible_and_balanced(n):
    quota = quota_count(n)
    assert (quota <= n).all()
    present = n.any(axis=(1, 2))
    assert all(np.array_equal(q, quota[present][0]) for q in quota[present])


def test_quota_count_without_any_jet():
    assert not quota_count(np.zeros((2, 3), dtype=int)).any()


BATCHES = st.integers(1, 5).flatmap(
    lambda n: arrays(np.int64, (n, 2, 3), elements=st.integers(0, 4) | st.integers(0, 300))
)


@given(BATCHES, st.data(), st.integers(0, 1000))
def test_quotas_are_exact_in_every_batch(batches, data, seed):
    total = batches.sum(axis=0)
    quota = data.draw(arrays(np.int64, total.shape, elements=st.integers(0, 900))) * (total > 0)
    shares = list(share_quota(quota, batches, total, np.random.default_rng(seed)))
    np.testing.assert_array_equal(np.sum(shares, axis=0), quota)
    copies = quota // np.maximum(total, 1)
    for count, share in zip(batches, shares, strict=True):
        assert (share >= copies * count).all()
        assert (share <= copies * count + count).all()
        for n, q in zip(count.flat, share.flat, strict=True):
            kept = kept_copies(np.full(n, q), np.full(n, n), np.arange(n))
            assert kept.sum() == q
            assert n == 0 or kept.max() - kept.min() <= 1


def test_a_shared_quota_is_hypergeometric():
    batches = np.array([[[30]], [[10]], [[0]]])
    rng = np.random.default_rng(4)
    drawn = [next(share_quota(np.array([[12]]), batches, np.array([[40]]), rng)).item() for _ in range(4000)]
    values = np.arange(2, 13)
    expected = stats.hypergeom(40, 30, 12).pmf(values)
    observed = np.bincount(drawn, minlength=13)[2:]
    tail = expected.cumsum() < 0.01
    observed, expected = (np.append(x[~tail], x[tail].sum()) for x in (observed, expected))
    assert stats.chisquare(observed, expected / expected.sum() * 4000).pvalue > 1e-3


def test_the_same_seed_shares_alike():
    batches = np.random.default_rng(5).integers(0, 50, size=(4, 3, 6))
    quota = quota_count(batches.sum(axis=0))
    a, b = (list(share_quota(quota, batches, batches.sum(axis=0), np.random.default_rng(6))) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_a_quota_without_jets_is_an_error():
    zero = np.zeros((1, 2, 2), dtype=np.int64)
    with pytest.raises(JetmillError, match="jets are wanted in 3 cells that hold none"):
        next(share_quota(np.array([[1, 2], [0, 3]]), zero, zero[0], np.random.default_rng(0)))
