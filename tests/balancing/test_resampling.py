"""Methods and quotas against formulas written out in fractions, so that nothing is rounded."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jetmill.balancing.quotas import Component, component_of_bins, quotas, round_to_total
from jetmill.balancing.resampling import METHODS, Pool, largest, target_spectrum
from jetmill.balancing.weights import weight_table
from jetmill.errors import JetmillError

CLASSES = ["b", "c", "light", "tau"]
WITHOUT_REPEATS = ["none", "count", "importance"]


def oracle_target(counts, target):
    """Return the spectrum of the target, bin by bin."""
    n_bins = len(counts[0])
    if target == "flat":
        return [Fraction(1, n_bins)] * n_bins
    classes = (
        [(row, sum(row)) for row in counts if any(row)]
        if target == "average"
        else [(counts[target], sum(counts[target]))]
    )
    return [sum(Fraction(row[b], total) for row, total in classes) / len(classes) for b in range(n_bins)]


def oracle(method, counts, target, shares, max_upsampling, max_repeats=None):
    """Return the largest quotas of the method as its specification has them."""
    counts = [[int(n) for n in row] for row in counts]
    shares = [Fraction(s) for s in shares]
    bins = range(len(counts[0]))
    present = [f for f, row in enumerate(counts) if sum(row)]
    table = [[Fraction(0) for _ in bins] for _ in counts]
    if not present:
        return table
    if method == "none":
        return [[Fraction(n) for n in row] for row in counts]
    if method == "count":
        for f in present:
            for b in bins:
                table[f][b] = shares[f] * min(counts[g][b] / shares[g] for g in present)
        return table
    wanted = oracle_target(counts, target)
    if method == "importance":
        common = [b for b in bins if wanted[b] and all(counts[f][b] for f in present)]
        n = min((counts[f][b] / (shares[f] * wanted[b]) for f in present for b in common), default=0)
        for f in present:
            for b in common:
                table[f][b] = shares[f] * n * wanted[b]
        return table
    most = Fraction(max_upsampling) if max_upsampling is not None else (1 if method == "pdf" else None)
    limits = [most * sum(counts[f]) / shares[f] for f in present if most is not None]
    if method == "countup":
        limits.append(sum(counts[target]) / shares[target])
    own = {f: [wanted[b] if counts[f][b] else Fraction(0) for b in bins] for f in present}
    reached = {f: sum(own[f]) for f in present}
    if all(reached.values()):
        if max_repeats is not None:
            # In no bin more than so many times its jets.
            limits += [
                max_repeats * counts[f][b] * reached[f] / (shares[f] * own[f][b])
                for f in present
                for b in bins
                if own[f][b]
            ]
        for f in present:
            for b in bins:
                table[f][b] = shares[f] * min(limits) * own[f][b] / reached[f]
    return table


@dataclass
class Case:
    """Arguments of `quotas` and the counts of each component as nested lists."""

    counts: np.ndarray
    components: list
    keywords: dict

    def tables(self):
        """Return the largest quotas of each component, scaled to its fraction: fractions [component][class][bin]."""
        keywords = self.keywords
        tables = []
        for component in self.components:
            own = np.zeros(self.counts.shape[1:], dtype=np.int64)
            for sample in component.samples:
                for bin_index in np.ndindex(*self.counts.shape[2:]):
                    if component.bins[bin_index]:
                        own[(slice(None), *bin_index)] += self.counts[(sample, slice(None), *bin_index)]
            own = own.reshape(len(own), -1)
            arguments = (keywords[key] for key in ("target", "shares", "max_upsampling", "max_repeats"))
            tables.append(oracle(keywords["method"], own, *arguments))
        if self.components[0].fraction is not None:
            fractions = [Fraction(c.fraction) for c in self.components]
            sizes = [sum(map(sum, table)) for table in tables]
            least = min(size / fraction for size, fraction in zip(sizes, fractions, strict=True))
            factors = [f * least / s if s else 0 for f, s in zip(fractions, sizes, strict=True)]
            tables = [[[q * x for q in row] for row in table] for table, x in zip(tables, factors, strict=True)]
        return tables

    def quotas(self, num_jets=None):
        return quotas(self.counts, self.components, num_jets=num_jets, **self.keywords)


NUMBERS = st.integers(0, 3) | st.integers(0, 1000)


@st.composite
def pools(draw, method=None, targets=("flat", "average", "class")):
    """Draw a method and what it is applied to; the target class, if there is one, has jets."""
    counts = draw(arrays(np.int64, (draw(st.integers(1, 4)), draw(st.integers(1, 8))), elements=NUMBERS))
    for absent in draw(st.sets(st.integers(0, len(counts) - 1), max_size=1)):
        counts[absent] = 0
    method = method or draw(st.sampled_from(sorted(METHODS)))
    target = draw(st.sampled_from(targets)) if method != "countup" else "class"
    if target == "class":
        target = draw(st.integers(0, len(counts) - 1))
        counts[target, draw(st.integers(0, counts.shape[1] - 1))] += 1
    shares = draw(st.lists(st.sampled_from([1, 1, 1, 2, 3, 0.5, 0.125]), min_size=len(counts), max_size=len(counts)))
    return method, counts, target, shares, draw(st.none() | st.sampled_from([0.25, 1, 2.5, 10]))


@st.composite
def cases(draw):
    """Draw components: regions of bins, for all samples together or for each by itself."""
    bins = draw(st.sampled_from([(6,), (2, 3), (1, 2, 3), (2, 2, 2)]))
    n_samples, n_classes = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    counts = draw(arrays(np.int64, (n_samples, n_classes, *bins), elements=NUMBERS))
    region = draw(arrays(np.int64, bins, elements=st.integers(-1, 2)))
    groups = draw(st.sampled_from([[[s] for s in range(n_samples)], [list(range(n_samples))]]))
    fractions = draw(st.booleans())
    components = [
        Component(f"{group}{r}", group, region == r, draw(st.sampled_from([1, 2, 0.25])) if fractions else None)
        for group in groups
        for r in range(draw(st.integers(1, 3)))
    ]
    method = draw(st.sampled_from(sorted(METHODS)))
    target = draw(st.sampled_from(["flat", "average", "class"])) if method != "countup" else "class"
    if target == "class":
        target = draw(st.integers(0, n_classes - 1))
        counts[:, target] += 1
    shares = draw(st.lists(st.sampled_from([1, 1, 1, 2, 3, 0.5]), min_size=n_classes, max_size=n_classes))
    most = draw(st.none() | st.sampled_from([0.25, 1, 2.5, 10]))
    limits = {"max_upsampling": most, "max_repeats": draw(st.none() | st.sampled_from([1, 2, 7]))}
    return Case(
        counts,
        components,
        {"method": method, "classes": CLASSES[:n_classes], "target": target, "shares": shares} | limits,
    )


def apply(method, counts, target=None, shares=None, max_upsampling=None, max_repeats=None):
    counts = np.array(counts)
    shares = np.ones(len(counts)) if shares is None else np.array(shares, dtype=float)
    return largest(method, Pool(counts, shares, target, max_upsampling, max_repeats))


@settings(max_examples=500)
@given(pools())
def test_methods_are_their_formulas(pool):
    method, counts, target, shares, most = pool
    found = apply(method, counts, target, shares, most)
    expected = oracle(method, counts, target, shares, most)
    np.testing.assert_allclose(found.table, np.array(expected, dtype=float), rtol=1e-13)
    np.testing.assert_allclose(found.totals, [float(sum(row)) for row in expected], rtol=1e-13)
    assert not found.table[counts == 0].any()


@settings(max_examples=300)
@given(st.sampled_from(["pdf", "countup"]).flatmap(pools), st.sampled_from([1, 2, 7, 100]))
def test_max_repeats_scales_all_classes_down(pool, max_repeats):
    method, counts, target, shares, most = pool
    found = apply(method, counts, target, shares, most, max_repeats)
    expected = oracle(method, counts, target, shares, most, max_repeats)
    np.testing.assert_allclose(found.table, np.array(expected, dtype=float), rtol=1e-13)
    assert (found.table <= max_repeats * counts * (1 + 1e-14)).all()
    # Shapes and shares are those without the limit.
    without = apply(method, counts, target, shares, most)
    if without.totals.any():
        factor = found.totals.sum() / without.totals.sum()
        assert factor <= 1 + 1e-14
        np.testing.assert_allclose(found.table, factor * without.table, rtol=1e-13)
        assert bool(found.why) == (factor < 1 - 1e-14)


@settings(max_examples=300)
@given(cases(), st.integers(1, 7))
def test_no_jet_of_whole_quotas_is_taken_more_often(case, max_repeats):
    case.keywords |= {"method": "pdf", "max_repeats": max_repeats}
    try:
        found = case.quotas()
    except JetmillError:
        return
    for component, quota in zip(case.components, found, strict=True):
        there = case.counts[list(component.samples)].sum(axis=0) * component.bins
        assert (quota <= max_repeats * there).all()


@given(pools())
def test_equal_shares_have_equal_totals_to_the_last_bit(pool):
    method, counts, target, _, most = pool
    totals = apply(method, counts, target, None, most).totals[counts.any(axis=1)]
    if method != "none" and len(totals):
        assert (totals == totals[0]).all()


@pytest.mark.parametrize("method", WITHOUT_REPEATS)
@given(st.data())
def test_no_jet_is_needed_twice(method, data):
    _, counts, target, shares, _ = data.draw(pools(method))
    assert (apply(method, counts, target, shares).table <= counts * (1 + 1e-15)).all()


@pytest.mark.parametrize("method", ["importance", "pdf", "countup"])
@given(st.data())
def test_the_limit_is_the_class_that_limits(method, data):
    # The target must not move: flat, or a class whose counts change by a factor.
    _, counts, target, shares, most = data.draw(pools(method, ["flat", "class"]))
    found = apply(method, counts, target, shares, most)
    if found.limit is None:
        assert not counts.any()
        return
    others = np.where(np.arange(len(counts)) == found.limit, 1, 10)[:, None] * counts
    np.testing.assert_allclose(apply(method, others, target, shares, most).table, found.table, rtol=1e-13)


@pytest.mark.parametrize(
    ("method", "target", "shares", "most", "expected", "limit"),
    [
        ("none", None, [1, 2], None, [[8, 2, 0], [4, 9, 3]], None),
        # Class 0 is the rarest of 9 + 2 and of 3 jets, class 1 of 8 + 4.
        ("count", None, [1, 1], None, [[4, 2, 0], [4, 2, 0]], 0),
        ("count", None, [1, 3], None, [[4 / 3, 2, 0], [4, 6, 0]], 1),
        # Spectra (0.8, 0.2, 0) and (0.25, 0.5625, 0.1875): class 1 has 4 / 0.8 = 5 to give, class 0 has 10.
        ("importance", 0, [1, 1], None, [[4, 1, 0], [4, 1, 0]], 1),
        ("importance", "flat", [1, 1], None, [[2, 2, 0], [2, 2, 0]], 0),
        ("importance", "flat", [1, 4], None, [[1, 1, 0], [4, 4, 0]], 1),
        # Class 0 is (0.25, 0.5625) renormalised by 0.8125 and has 10 jets in all.
        ("pdf", 1, [1, 1], None, [[10 / 3.25, 22.5 / 3.25, 0], [2.5, 5.625, 1.875]], 0),
        ("pdf", "flat", [1, 2], 3, [[12, 12, 0], [16, 16, 16]], 1),
        ("countup", 1, [1, 1], None, [[64 / 13, 144 / 13, 0], [4, 9, 3]], 1),
        ("countup", 1, [1, 1], 1.2, [[48 / 13, 108 / 13, 0], [3, 6.75, 2.25]], 0),
        ("countup", 0, [1, 2], None, [[8, 2, 0], [16, 4, 0]], 0),
    ],
)
def test_by_hand(method, target, shares, most, expected, limit):
    found = apply(method, [[8, 2, 0], [4, 9, 3]], target, shares, most)
    np.testing.assert_allclose(found.table, expected, rtol=1e-15)
    assert found.limit == limit


@pytest.mark.parametrize(
    ("method", "target", "shares", "most", "repeats", "expected", "limit", "why"),
    [
        # As above: without the limit 12 jets in each bin of class 0, of which it has 2 in the second one.
        ("pdf", "flat", [1, 2], 3, 7, [[12, 12, 0], [16, 16, 16]], 1, ""),
        ("pdf", "flat", [1, 2], 3, 5, [[10, 10, 0], [40 / 3] * 3], 0, "max_repeats: 5, in a bin with 2 of its jets"),
        ("pdf", "flat", [1, 2], 3, 1, [[2, 2, 0], [8 / 3] * 3], 0, "max_repeats: 1, in a bin with 2 of its jets"),
        ("pdf", "flat", [1, 9], None, 1, [[0.5, 0.5, 0], [3, 3, 3]], 1, "max_repeats: 1, in a bin with 3 of its jets"),
        # 144 / 13 jets of class 0 would be wanted in the second bin.
        (
            *("countup", 1, [1, 1], None, 5),
            *([[40 / 9, 10, 0], [65 / 18, 65 / 8, 65 / 24]], 0, "max_repeats: 5, in a bin with 2 of its jets"),
        ),
        ("countup", 1, [1, 1], None, 6, [[64 / 13, 144 / 13, 0], [4, 9, 3]], 1, ""),
    ],
)
def test_max_repeats_by_hand(method, target, shares, most, repeats, expected, limit, why):
    found = apply(method, [[8, 2, 0], [4, 9, 3]], target, shares, most, repeats)
    np.testing.assert_allclose(found.table, expected, rtol=1e-14)
    assert (found.limit, found.why) == (limit, why)


def test_importance_is_that_of_umami():
    """Table of importance_sampling_no_replace.py:60-102, for histograms without empty bins."""
    histograms = np.random.default_rng(0).integers(1, 1000, size=(4, 40))
    for target in range(4):
        ratio = histograms[target] / histograms
        keep = (histograms / ratio.max(axis=1, keepdims=True) * ratio).min(axis=0)
        np.testing.assert_allclose(apply("importance", histograms, target).table, np.tile(keep, (4, 1)), rtol=1e-12)


@given(pools("countup"))
def test_countup_takes_every_target_jet_once(pool):
    _, counts, target, shares, _ = pool
    found = apply("countup", counts, target, shares)
    if found.totals.any():
        np.testing.assert_allclose(found.table[target], counts[target], rtol=1e-13)


@pytest.mark.parametrize(("method", "target"), [("count", None), ("importance", "average"), ("pdf", 0), ("countup", 2)])
def test_an_absent_class_has_no_say(method, target):
    counts = np.random.default_rng(1).integers(1, 50, size=(3, 5))
    counts[1] = 0
    found = apply(method, counts, target)
    alone = apply(method, counts[[0, 2]], 1 if target == 2 else target)
    np.testing.assert_array_equal(found.table[[0, 2]], alone.table)
    assert not found.table[1].any()
    assert found.limit == [0, 2][alone.limit]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_comes_from_nothing(method):
    found = apply(method, np.zeros((2, 3), dtype=int), 0)
    assert not found.table.any()
    assert found.limit is None


def test_an_absent_target_is_the_limit():
    found = apply("pdf", [[1, 2], [0, 0]], 1)
    assert not found.table.any()
    assert found.limit == 1


@pytest.mark.parametrize("method", ["count", "importance", "pdf"])
def test_classes_without_a_common_cell(method):
    found = apply(method, [[5, 5, 0], [0, 0, 2]], 0)
    assert not found.table.any()
    assert found.limit == 1


def test_targets():
    n = np.array([[[6, 2]], [[1, 1]], [[0, 0]]])
    np.testing.assert_allclose(target_spectrum(n, "average"), [[5 / 8, 3 / 8]], rtol=1e-15)
    np.testing.assert_allclose(target_spectrum(n, "flat"), [[1 / 2, 1 / 2]], rtol=1e-15)
    np.testing.assert_allclose(target_spectrum(n, 0), [[3 / 4, 1 / 4]], rtol=1e-15)
    assert not target_spectrum(n, 2).any()
    assert not target_spectrum(n[2:], "average").any()
    with pytest.raises(ValueError, match="no target spectrum 'avrage'"):
        target_spectrum(n, "avrage")


@pytest.mark.parametrize(("method", "target"), [("average", "average"), ("flat", "flat"), ("reference", 2)])
def test_weights_and_quotas_aim_at_the_same(method, target):
    n = np.random.default_rng(2).integers(1, 100, size=(3, 6, 5))
    weighted = n * weight_table(n, method, 2 if method == "reference" else None)
    for spectrum in weighted / weighted.sum(axis=(1, 2), keepdims=True):
        np.testing.assert_allclose(spectrum, target_spectrum(n, target), rtol=1e-12)


def test_countup_needs_a_class():
    with pytest.raises(JetmillError, match="needs a class as target, not 'flat'"):
        apply("countup", [[1]], "flat")


@settings(max_examples=500)
@given(cases(), st.data())
def test_quotas_are_the_formulas_in_whole_jets(case, data):
    tables = case.tables()
    maximum = floor(sum(q for table in tables for row in table for q in row))
    with pytest.raises(JetmillError, match=rf"^{maximum + 1} jets are wanted and {maximum} possible with"):
        case.quotas(maximum + 1)
    possible = [maximum, data.draw(st.integers(1, maximum))] if maximum else []
    if any(floor(sum(row)) for table in tables for row in table):
        possible.append(None)
    else:
        with pytest.raises(JetmillError, match=f"^no jets are left with resampling by '{case.keywords['method']}'"):
            case.quotas()
    for num_jets in possible:
        found = case.quotas(num_jets)
        assert found.dtype == np.int64
        assert found.shape == (len(case.components), *case.counts.shape[1:])
        scale = Fraction(1) if num_jets is None else num_jets / sum(q for table in tables for row in table for q in row)
        flat = found.reshape(*found.shape[:2], -1)
        for c, table in enumerate(tables):
            for f, row in enumerate(table):
                for b, q in enumerate(row):
                    assert floor(scale * q) <= flat[c, f, b] <= ceil(scale * q)
                if num_jets is None:
                    assert flat[c, f].sum() == floor(sum(row))
                else:
                    assert floor(scale * sum(row)) <= flat[c, f].sum() <= ceil(scale * sum(row))
        if num_jets is not None:
            assert found.sum() == num_jets
            for f in range(flat.shape[1]):
                part = scale * sum(sum(table[f]) for table in tables)
                assert floor(part) <= flat[:, f].sum() <= ceil(part)
        if case.keywords["method"] in WITHOUT_REPEATS:
            for component, quota in zip(case.components, found, strict=True):
                assert (quota <= case.counts[component.samples].sum(axis=0) * component.bins).all()


@pytest.mark.parametrize("method", ["count", "importance"])
@given(st.data())
def test_not_one_jet_more_of_each_class_is_possible(method, data):
    """If each class had one jet more, in its spectrum, some bin would have to give more than it has."""
    _, counts, target, _, _ = data.draw(pools(method, ["flat", "average"]))
    counts = counts[counts.any(axis=1)]
    table = apply(method, counts, target).table
    if not table.any():
        return
    n = all_cells(counts, method, target=target)[0].sum()
    assert ((n + 1) / table[0].sum() * table > counts * (1 + 1e-9)).any()
    if method == "count":  # nor one jet more in any bin, whatever the spectrum
        assert (table == counts).any(axis=0).all()


def all_cells(counts, method, num_jets=None, **keywords):
    """Return the quotas (n_classes, *bins) of one component of one sample."""
    counts = np.asarray(counts)
    everywhere = Component("all", [0], np.ones(counts.shape[1:], dtype=bool))
    arguments = {"method": method, "classes": CLASSES[: len(counts)], "num_jets": num_jets} | keywords
    return quotas(counts[None], [everywhere], **arguments)[0]


@pytest.fixture(scope="module")
def cms_counts(shared_data):
    return np.load(shared_data("cms_jet_counts.npy"))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("method", "target", "most"),
    [
        ("count", None, None),
        ("importance", 0, None),
        ("pdf", "average", 2),
        ("pdf", "flat", None),
        ("countup", 0, None),
    ],
)
def test_cms_classes_are_equal(cms_counts, method, target, most):
    found = all_cells(cms_counts, method, target=target, max_upsampling=most)
    totals = found.sum(axis=(1, 2))
    assert totals[0] > 0
    assert (totals == totals[0]).all()
    assert not found[cms_counts == 0].any()
    exact = [sum(row) for row in oracle(method, cms_counts.reshape(4, -1), target, [1] * 4, most)]
    assert totals.tolist() == [floor(total) for total in exact]
    if method in WITHOUT_REPEATS:
        assert (found <= cms_counts).all()
    if method == "count":
        np.testing.assert_array_equal(found, np.tile(cms_counts.min(axis=0), (4, 1, 1)))


@pytest.mark.real_data
def test_cms_jets_are_shared_one_two_three_four(cms_counts):
    found = all_cells(cms_counts, "pdf", target="average", shares=[1, 2, 3, 4], num_jets=1_000_003)
    assert found.sum() == 1_000_003
    np.testing.assert_allclose(found.sum(axis=(1, 2)), np.arange(1, 5) * 100_000.3, atol=1)


def test_bins_of_any_dimension():
    n = np.random.default_rng(3).integers(0, 90, size=(3, 24))
    for method, target in [("count", None), ("importance", "average"), ("pdf", "flat"), ("countup", 1)]:
        for shape in ((3, 24), (3, 4, 6), (3, 2, 3, 4)):
            np.testing.assert_array_equal(
                all_cells(n.reshape(shape), method, target=target).reshape(3, 24), all_cells(n, method, target=target)
            )


def test_a_small_number_of_jets_keeps_the_tail():
    # 300 jets in a peak of 10 bins and a tail of 200 with 0.25 each: largest remainders would leave it empty.
    n = np.concatenate([np.full(10, 10_000), np.full(200, 100)])
    found = all_cells([n, n, n], "pdf", num_jets=450, target="average")
    tail = 150 * 200 * 100 / n.sum()
    assert (found.sum(axis=1) == 150).all()
    for start in range(10, 170):
        np.testing.assert_allclose(found[:, start : start + 40].sum(axis=1), tail / 5, atol=1)


@given(arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 30)), elements=st.floats(0, 1e6)), st.data())
def test_any_run_of_cells_is_right_to_one_jet(real, data):
    sums = real.sum(axis=1)
    total = np.array([data.draw(st.sampled_from([floor(s), ceil(s)])) for s in sums])
    found = round_to_total(real, total)
    np.testing.assert_array_equal(found.sum(axis=1), total)
    assert (np.abs(found - real) < 1 + 1e-6).all()
    up_to = np.cumsum(found - real, axis=1)
    assert (np.abs(up_to) < 1 + 1e-6).all()
    assert (found[real == 0] == 0).all()


def test_numbers_that_are_whole_but_for_rounding_stay():
    real = np.array([0.1 + 0.2 + 0.7, 1e9 * (1 - 1e-15), 3.0, 5 * (1 + 1e-15)])
    assert round_to_total(real, np.int64(10**9 + 9)).tolist() == [1, 10**9, 3, 5]
    # The running sum passes 1 just where the second number is.
    assert round_to_total(np.array([0.5 - 1e-13, 5 + 2e-13, 0.5 - 1e-13]), np.int64(6))[1] == 5


REGIONS = np.array([[True, True, False], [False, False, True]])


def two_components(low=(0,), high=(1,), fractions=(None, None), bins=REGIONS):
    return [Component("low", low, bins[0], fractions[0]), Component("high", high, bins[1], fractions[1])]


STITCHED = np.array([[[10, 8, 6], [9, 5, 7], [4, 4, 4]], [[1, 2, 30], [3, 4, 20], [5, 6, 90]]])


def test_components_are_resampled_by_themselves():
    found = quotas(STITCHED, two_components(), method="count", classes=CLASSES[:3])
    np.testing.assert_array_equal(found, [[[4, 4, 0]] * 3, [[0, 0, 20]] * 3])


def test_each_component_has_its_own_target():
    found = quotas(STITCHED, two_components(), method="countup", target=0, classes=CLASSES[:3])
    np.testing.assert_array_equal(found, [[[10, 8, 0]] * 3, [[0, 0, 30]] * 3])


def test_components_of_the_same_cells_and_other_samples():
    everywhere = np.ones((2, 3), dtype=bool)
    found = quotas(STITCHED, two_components(bins=everywhere), method="count", classes=CLASSES[:3])
    np.testing.assert_array_equal(found, [[[4, 4, 4]] * 3, [[1, 2, 20]] * 3])
    together = [Component("both", (0, 1), everywhere[0])]
    np.testing.assert_array_equal(quotas(STITCHED, together, method="count", classes=CLASSES[:3]), [[[9, 9, 27]] * 3])


@pytest.mark.parametrize(
    ("fractions", "num_jets", "sizes"),
    [
        ((None, None), None, (24, 60)),
        ((1, 1), None, (24, 24)),
        ((0.1, 0.3), None, (18, 60)),  # 60 jets are three times 20: 6.67 of each class, rounded down
        ((0.2, 0.3), 50, (20, 30)),
        ((None, None), 42, (12, 30)),
    ],
)
def test_fractions_are_obeyed(fractions, num_jets, sizes):
    components = two_components(fractions=fractions)
    found = quotas(STITCHED, components, method="count", classes=CLASSES[:3], num_jets=num_jets)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), sizes, atol=3 if num_jets else 0)
    if num_jets:
        assert found.sum() == num_jets


def test_a_class_may_be_in_one_component_only():
    counts = np.array([[[50, 50], [50, 50], [0, 0]], [[40, 0], [30, 0], [20, 0]]])
    components = [Component("a", (0,), np.ones(2, dtype=bool)), Component("b", (1,), np.ones(2, dtype=bool))]
    found = quotas(counts, components, method="count", classes=CLASSES[:3])
    np.testing.assert_array_equal(found, [[[50, 50], [50, 50], [0, 0]], [[20, 0]] * 3])


def test_none_keeps_the_proportion_of_counts():
    n = np.array([[600, 300], [60, 40]])
    np.testing.assert_array_equal(all_cells(n, "none"), n)
    np.testing.assert_array_equal(all_cells(n, "none", num_jets=500), n / 2)
    np.testing.assert_array_equal(all_cells(n, "none", num_jets=1000), n)
    # Shares are no matter of a method that takes the jets as they are.
    np.testing.assert_array_equal(all_cells(n, "none", shares=[1, 7]), n)


@pytest.mark.parametrize(
    ("fractions", "arguments", "message"),
    [
        (
            (None, None),
            {"method": "count", "num_jets": 85},
            "85 jets are wanted and 84 possible with resampling by 'count',"
            " limited by class 'tau' of component 'low', class 'c' of component 'high'",
        ),
        (
            (2, 2),
            {"method": "count", "num_jets": 49},
            "49 jets are wanted and 48 possible with resampling by 'count', limited by class 'tau' of component 'low'",
        ),
        (
            (1, 3),
            {"method": "pdf", "target": "flat", "shares": [1, 9, 1], "num_jets": 100},
            "100 jets are wanted and 32 possible with resampling by 'pdf', limited by class 'c' of component 'high'",
        ),
        (
            (2, 1),
            {"method": "none", "num_jets": 1000},
            "1000 jets are wanted and 60 possible with resampling by 'none', limited by component 'low'",
        ),
        (
            (None, None),
            {"method": "none", "num_jets": 181},
            "181 jets are wanted and 180 possible with resampling by 'none', limited by the jets there are",
        ),
    ],
)
def test_what_limits_components_is_said(fractions, arguments, message):
    with pytest.raises(JetmillError) as raised:
        quotas(STITCHED, two_components(fractions=fractions), classes=["b", "c", "tau"], **arguments)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("counts", "arguments", "message"),
    [
        (
            STITCHED[0],
            {"method": "count", "num_jets": 37},
            "37 jets are wanted and 36 possible with resampling by 'count', limited by class 'light'",
        ),
        (
            STITCHED[0],
            {"method": "none", "num_jets": 58},
            "58 jets are wanted and 57 possible with resampling by 'none', limited by the jets there are",
        ),
        (
            [[5, 0], [0, 3]],
            {"method": "importance", "target": "average"},
            "no jets are left with resampling by 'importance', limited by class 'b'",
        ),
        (
            [[0, 0], [0, 0]],
            {"method": "pdf", "target": "average"},
            "no jets are left with resampling by 'pdf', limited by the jets there are",
        ),
    ],
)
def test_what_limits_is_said(counts, arguments, message):
    with pytest.raises(JetmillError) as raised:
        all_cells(counts, **arguments)
    assert str(raised.value) == message


def test_a_target_without_jets_is_an_error():
    counts = np.array([[[1, 2], [0, 3]]])
    halves = [Component("low", (0,), np.array([True, False])), Component("high", (0,), np.array([False, True]))]
    with pytest.raises(JetmillError, match="class 'c', the target of resampling, has no jets in component 'low'"):
        quotas(counts, halves, method="pdf", target=1, classes=CLASSES[:2])
    with pytest.raises(JetmillError, match=r"class 'c', the target of resampling, has no jets$"):
        quotas(counts, halves[:1], method="pdf", target=1, classes=CLASSES[:2])
    # A component without any jets has nothing to say.
    found = quotas(counts * [[[0, 1]]], halves, method="pdf", target=1, classes=CLASSES[:2])
    np.testing.assert_array_equal(found, [[[0, 0], [0, 0]], [[0, 2], [0, 2]]])


def test_the_component_of_each_cell():
    found = component_of_bins(two_components(), ["tt", "qcd", "other"])
    np.testing.assert_array_equal(found, [[0, 0, -1], [-1, -1, 1], [-1, -1, -1]])
    same_cells = np.ones((2, 3), dtype=bool)
    np.testing.assert_array_equal(
        component_of_bins(two_components(bins=same_cells), ["tt", "qcd"]), [[0, 0, 0], [1, 1, 1]]
    )


def test_components_must_not_overlap():
    overlapping = np.array([[True, True, False], [False, True, True]])
    with pytest.raises(JetmillError, match="'low' and 'high' both take sample 'tt' in 1 bins"):
        component_of_bins(two_components((0, 1), (2, 0), bins=overlapping), ["tt", "qcd", "zz"])
    with pytest.raises(JetmillError, match="'low' and 'low' both take sample 'tt' in 2 bins"):
        component_of_bins(two_components((0, 0)), ["tt", "qcd"])


def test_auto_is_the_largest_number_with_equal_classes():
    """The largest num_jets that is a multiple of the number of classes is what auto takes."""
    rng = np.random.default_rng(4)
    for _ in range(50):
        n = rng.integers(1, 60, size=(3, 7))
        for method, target in [("importance", "flat"), ("pdf", "average")]:
            auto = all_cells(n, method, target=target)
            np.testing.assert_array_equal(auto, all_cells(n, method, target=target, num_jets=int(auto.sum())))
            with pytest.raises(JetmillError):
                all_cells(n, method, target=target, num_jets=int(auto.sum()) + 3)


def test_more_jets_only_ever_add():
    """Totals never shrink when more are wanted."""
    n = np.random.default_rng(5).integers(0, 60, size=(3, 7))
    totals = [all_cells(n, "pdf", target="average", num_jets=k).sum(axis=1) for k in range(1, 60)]
    assert all(np.abs(b - a).max() <= 1 for a, b in pairwise(totals))


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("pdf", {"target": "flat", "max_upsampling": 1e6}),
        ("countup", {"target": 0, "shares": [1, 1e6]}),
        ("countup", {"target": 0, "shares": [1e-6, 1e6]}),
    ],
)
def test_jets_are_not_written_hundreds_of_times(method, settings):
    counts, everything = np.array([[[30, 10], [20, 40]]]), [Component("all", [0], np.ones(2, bool))]
    with pytest.raises(JetmillError) as error:
        quotas(counts, everything, method=method, classes=["b", "c"], **settings)
    assert "jets would be written of the 100 there are, more than 100 times each" in str(error.value)
    assert quotas(counts, everything, method=method, classes=["b", "c"], num_jets=50, **settings).sum() == 50
