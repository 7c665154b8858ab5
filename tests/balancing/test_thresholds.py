import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jetmill.balancing import thresholds
from jetmill.balancing.thresholds import repeat_histogram, repeats, selection_thresholds
from jetmill.errors import JetmillError

LAST = 2**64 - 1
UINT64 = st.integers(0, LAST)


class Passes:
    """Batches that count how often they are read."""

    def __init__(self, *batches):
        self.batches, self.number = batches, 0

    def __call__(self):
        self.number += 1
        return iter(self.batches)


def cut(group, key, n_batches):
    return Passes(*zip(np.array_split(group, n_batches), np.array_split(key, n_batches), strict=True))


def uniform_keys(rng, n):
    return rng.integers(0, 2**64, size=n, dtype=np.uint64)


def oracle(group, key, wanted, total):
    """Return the thresholds by sorting the keys of each group."""
    found = []
    for g, (w, n) in enumerate(zip(wanted, total, strict=True)):
        inside = sorted(int(k) for k, of in zip(key, group, strict=True) if of == g)
        assert len(inside) == n
        found.append(0 if w == 0 else LAST if w == n else inside[w])
    return np.array(found, dtype=np.uint64)


def assert_exact(batches, wanted, total, *band):
    """Assert that each group has its threshold; return the thresholds."""
    found = selection_thresholds(batches, wanted, total, *band)
    group, key = (np.concatenate(x) for x in zip(*batches.batches, strict=True))
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, oracle(group, key, wanted, total))
    partial = (wanted > 0) & (wanted < total)
    below = np.bincount(group[key < found[group]], minlength=len(total))
    np.testing.assert_array_equal(below[partial], wanted[partial])
    return found


@given(
    st.lists(st.tuples(st.integers(0, 3), UINT64 | st.integers(0, 9) | st.integers(LAST - 9, LAST)), unique=True),
    st.data(),
    st.integers(1, 4),
)
def test_thresholds_are_those_of_sorted_keys(jets, data, n_batches):
    group = np.array([g for g, _ in jets], dtype=np.int64)
    key = np.array([k for _, k in jets], dtype=np.uint64)
    total = np.bincount(group, minlength=5)
    wanted = np.array([data.draw(st.integers(0, int(n))) for n in total])
    assert_exact(cut(group, key, n_batches), wanted, total)


@given(
    st.lists(st.tuples(st.integers(0, 2), UINT64 | st.integers(0, 20)), min_size=1, unique=True),
    st.data(),
)
def test_thresholds_do_not_depend_on_bands(jets, data):
    group = np.array([g for g, _ in jets], dtype=np.int64)
    key = np.array([k for _, k in jets], dtype=np.uint64)
    total = np.bincount(group, minlength=3)
    wanted = np.array([data.draw(st.integers(0, int(n))) for n in total])
    ends = data.draw(st.lists(st.sampled_from(key.tolist()), min_size=6, max_size=6))
    low, high = np.sort(np.array(ends, dtype=np.uint64).reshape(2, 3), axis=0)
    batches = cut(group, key, 2)
    found = assert_exact(batches, wanted, total, lambda *_: (low, high))
    partial = (wanted > 0) & (wanted < total)
    missed = partial & ((found < low) | (found > high))
    assert batches.number == int(partial.any()) + int(missed.any())


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 2, 0.01, 0.5, 0.99, -2, -1]), st.sampled_from([300, 3000, 30_000]))
def test_large_groups_need_one_pass(seed, wanted, size):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, size=size)
    total = np.bincount(group, minlength=3)
    wanted = (np.full(3, wanted) if isinstance(wanted, int) else wanted * total).astype(np.int64) % total
    batches = cut(group, uniform_keys(rng, size), 7)
    assert_exact(batches, wanted, total)
    assert batches.number == (wanted > 0).any()


@pytest.mark.parametrize("start", [0, 5, 2**40, 2**63 - 5000, 2**63, LAST - 19_999])
@pytest.mark.parametrize("step", [1, 1000])
def test_clustered_keys_need_two_passes(start, step):
    n = 20_000
    start = min(start, LAST - (n - 1) * step)
    key = np.uint64(start) + np.random.default_rng(1).permutation(n).astype(np.uint64) * np.uint64(step)
    group = np.arange(n) % 2
    # Group 0 has clustered keys, group 1 uniform ones, which must not suffer.
    key[group == 1] = uniform_keys(np.random.default_rng(2), n // 2)
    passes = []
    for wanted in ([1, 1], [100, 9000], [5000, 5000], [9999, 9999]):
        batches = cut(group, key, 3)
        assert_exact(batches, np.array(wanted), np.array([n // 2, n // 2]))
        passes.append(batches.number)
    assert max(passes) == 2  # one cluster is not where all four are expected


def test_all_or_nothing_reads_no_batch():
    batches = Passes()
    found = selection_thresholds(batches, np.array([0, 7, 0]), np.array([5, 7, 0]))
    assert found.tolist() == [0, LAST, 0]
    assert batches.number == 0


def test_batches_and_order_do_not_matter():
    rng = np.random.default_rng(3)
    n = 40_000
    group, key = rng.integers(0, 9, size=n).astype(np.uint16), uniform_keys(rng, n)
    total = np.bincount(group)
    wanted = total // 3
    expected = selection_thresholds(cut(group, key, 1), wanted, total)
    for n_batches in (2, 13, 500):
        order = rng.permutation(n)
        found = selection_thresholds(cut(group[order], key[order], n_batches), wanted, total)
        np.testing.assert_array_equal(found, expected)
    empty = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64))
    np.testing.assert_array_equal(selection_thresholds(Passes(empty, (group, key), empty), wanted, total), expected)


@pytest.fixture
def collected(monkeypatch):
    """Return the list that the number of keys collected in each pass is written to."""
    numbers = []
    monkeypatch.setattr(np, "lexsort", lambda keys, sort=np.lexsort: numbers.append(len(keys[0])) or sort(keys))
    return numbers


@pytest.mark.parametrize("share", [0.0005, 0.1, 0.5, 0.999])
def test_few_keys_are_kept_in_memory(share, collected):
    n = 400_000
    rng = np.random.default_rng(4)
    # Groups that are taken in full or not at all keep none.
    batches = cut(np.arange(3 * n) % 3, uniform_keys(rng, 3 * n), 10)
    selection_thresholds(batches, np.array([int(share * n), 0, n]), np.full(3, n))
    assert batches.number == 1
    assert 0 < collected[0] <= 10 * np.sqrt(share * (1 - share) * n) * 1.2 + 30


def test_only_missed_groups_are_done_again(collected):
    n = 10_000
    key = uniform_keys(np.random.default_rng(7), 3 * n)
    key[::3] //= np.uint64(4)
    batches = cut(np.arange(3 * n) % 3, key, 2)
    assert_exact(batches, np.array([n // 2, n // 2, n]), np.full(3, n))
    assert collected[1:] == [n]


def test_bands_are_rarely_missed():
    """Of the order statistics of uniform keys, which are beta distributed."""
    rng = np.random.default_rng(5)
    total = rng.integers(2, 10_000, size=300_000)
    wanted = 1 + (rng.random(len(total)) * (total - 1)).astype(np.int64)
    wanted[::3] = np.minimum(total[::3] - 1, 1 + wanted[::3] % 5)
    wanted[1::3] = np.maximum(1, total[1::3] - 1 - wanted[1::3] % 5)
    key = rng.beta(wanted + 1, total - wanted) * 2.0**64
    low, high = thresholds.likely_band(wanted, total)
    assert (low <= high).all()
    assert ((key < low) | (key > high)).sum() <= 2
    assert low[total < 10].max() == 0
    assert high[total < 10].min() == LAST


def test_bands_reach_both_ends():
    key = thresholds.as_key(np.array([-0.5, 0.0, 2.0**-64, 0.5, np.nextafter(1, 0), 1.0, 1.5]))
    assert key.tolist() == [0, 0, 1, 2**63, 2**64 - 2**11, LAST, LAST]


def test_equal_keys_at_the_threshold_are_an_error():
    group = np.zeros(4, dtype=np.int64)
    key = np.array([7, 5, 7, 9], dtype=np.uint64)
    with pytest.raises(JetmillError, match="two jets have the same random key"):
        selection_thresholds(cut(group, key, 2), np.array([2]), np.array([4]))
    for wanted, threshold in ((1, 7), (3, 9)):  # elsewhere they do no harm
        assert selection_thresholds(cut(group, key, 2), np.array([wanted]), np.array([4])).tolist() == [threshold]
    # Nor do equal keys of two groups.
    assert selection_thresholds(cut(np.array([0, 1, 1, 0]), key, 2), np.array([1, 1]), np.array([2, 2])).tolist() == [
        9,
        7,
    ]


def test_batches_without_the_jets_that_were_counted():
    batches = cut(np.array([0, 0, 1]), np.array([1, 2, 3], dtype=np.uint64), 1)
    with pytest.raises(JetmillError, match="1 groups hold fewer jets than were counted"):
        selection_thresholds(batches, np.array([5, 0]), np.array([9, 1]))
    assert batches.number == 2


def test_jets_are_taken_as_often_as_wanted():
    rng = np.random.default_rng(6)
    n_classes, n_bins, n = 3, 10, 20_000
    group, key = rng.integers(0, n_classes * n_bins, size=n), uniform_keys(rng, n)
    total = np.bincount(group, minlength=n_classes * n_bins)
    quota = (rng.choice([0, 0.3, 1, 1.7, 4.2], size=len(total)) * total).astype(np.int64)
    times, remainder = np.divmod(quota, np.maximum(total, 1))
    found = selection_thresholds(cut(group, key, 4), remainder, total)
    taken = repeats(times[group], found[group], key)
    np.testing.assert_array_equal(np.bincount(group, weights=taken, minlength=len(total)), quota)
    for g in range(len(total)):
        own = taken[group == g]
        assert own.max() - own.min() <= 1
        assert set(np.argsort(-own, kind="stable")[: remainder[g]]) == set(np.argsort(key[group == g])[: remainder[g]])
    histogram = repeat_histogram(quota.reshape(n_classes, 2, 5), total.reshape(n_classes, 2, 5))
    for f, row in enumerate(histogram):
        np.testing.assert_array_equal(row, np.bincount(taken[group // n_bins == f], minlength=len(row)))
    assert histogram.shape == (n_classes, taken.max() + 1)
    assert histogram.dtype == np.int64


def test_multiplicity_by_hand():
    quota, total = np.array([[0, 4], [7, 0]]), np.array([[3, 4], [2, 0]])
    np.testing.assert_array_equal(repeat_histogram(quota, total), [[3, 4, 0, 0, 0], [0, 0, 0, 1, 1]])
    np.testing.assert_array_equal(repeat_histogram(np.zeros((2, 3), int), np.ones((2, 3), int)), [[3], [3]])
