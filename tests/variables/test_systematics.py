"""Variations of constituents, against loops over constituents written from the formulas of the predecessor."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special, stats

from jetmill.errors import JetmillError
from jetmill.ragged import count_true, position_in_jet, sort_in_jet
from jetmill.randomness import keys, uniform
from jetmill.systematics import VARIATIONS, calorimeter, vary
from jetmill.systematics.calorimeter import loss_probability
from jetmill.systematics.maps import Map2D, read_maps
from jetmill.systematics.momenta import jets_from_constituents
from jetmill.systematics.numbers import box_muller, normal_numbers, random_numbers, uniform_numbers

MAPS = ("Scale", "Mean", "RMS")
ROLES = {"pt": "clus_pt", "energy": "clus_E", "eta": "clus_eta", "phi": "clus_phi", "taste": "clus_taste"}
ENERGY = np.array([0.5, 1, 2, 4, 10, 50, 100, 300, 450.0])
ETA = np.array([0.2, 0.6, 1.2, 2.0])


def a_map(seed, mean=1.0, spread=0.2, empty=0.2):
    """Return a map with some empty bins."""
    rng = np.random.default_rng(seed)
    values = rng.normal(mean, spread, (len(ENERGY) - 1, len(ETA) - 1))
    values[rng.random(values.shape) < empty] = 0
    return Map2D(ENERGY, ETA, values)


@pytest.fixture
def maps():
    return {"Scale": a_map(1, 0.8), "Mean": a_map(2), "RMS": a_map(3, 0.0, 0.1)}


@pytest.fixture
def full_maps():
    return {"Scale": a_map(1, 0.8, empty=0), "Mean": a_map(2, empty=0), "RMS": a_map(3, 0.3, 0.05, empty=0)}


def constituents(n, seed=0, dtype=np.float64):
    """Return columns in GeV: soft and hard ones, all kinds, all regions."""
    rng = np.random.default_rng(seed)
    energy = np.where(rng.random(n) < 0.6, rng.uniform(0.05, 4, n), np.exp(rng.uniform(0, 7, n)))
    eta = rng.uniform(-2.6, 2.6, n)
    return {
        "clus_pt": (energy / np.cosh(eta)).astype(dtype),
        "clus_E": energy.astype(dtype),
        "clus_eta": eta.astype(dtype),
        "clus_phi": rng.uniform(-np.pi, np.pi, n).astype(dtype),
        "clus_taste": rng.integers(0, 3, n).astype(np.int32),
        "clus_number": np.arange(n),
    }


def unpacked(columns, *roles):
    """Return the values of roles, and which are charged."""
    return [columns[ROLES[role]] for role in roles], columns["clus_taste"] == 0


def vary_roles(name, columns, numbers=(), *, maps=(), unit=1, empty="fallback"):
    """Apply a variation to columns by role, with random numbers by purpose."""
    roles, numbers = {role: role for role in columns}, dict(numbers)
    options = {"maps": dict(maps), "unit": unit, "empty": empty}
    return vary(name, columns, roles, random=lambda _, purpose: numbers[purpose], **options)


def reconstruction_efficiency(energy, eta, charged, uniform, maps, **options):
    columns = {"energy": energy, "eta": eta, "taste": np.where(charged, 0, 1)}
    return vary_roles("reconstruction_efficiency", columns, {"loss": uniform}, maps=maps, **options)[1]


def energy_scale(pt, energy, eta, charged, maps, direction, **options):
    columns = {"pt": pt, "energy": energy, "eta": eta, "taste": np.where(charged, 0, 1)}
    found, _ = vary_roles(f"energy_scale_{direction}", columns, maps=maps, **options)
    return found["pt"], found["energy"]


def energy_resolution(pt, energy, eta, charged, maps, normal, **options):
    columns = {"pt": pt, "energy": energy, "eta": eta, "taste": np.where(charged, 0, 1)}
    found, _ = vary_roles("energy_resolution", columns, {"energy": normal}, maps=maps, **options)
    return found["pt"], found["energy"]


def position(pt, eta, phi, kind, normal_eta, normal_phi):
    columns = {"pt": pt, "eta": eta, "phi": phi, "taste": kind}
    found, _ = vary_roles("position", columns, {"eta": normal_eta, "phi": normal_phi})
    return found["pt"], found["eta"], found["phi"]


def identities(n, per_jet=20):
    """Return file, entry, position and slot of constituents: all small, no two the same."""
    row = np.arange(n)
    return [row // 50_000, row // per_jet // 2, row // per_jet % 2, row % per_jet]


# Oracles: one constituent at a time, with Python's numbers.


def bin_by_hand(edges, value):
    for k in range(len(edges) - 1):
        if value < edges[k + 1]:
            return k
    return len(edges) - 2


def look_up_by_hand(histogram, energy, eta):
    place = bin_by_hand(list(histogram.energy), energy), bin_by_hand(list(histogram.abs_eta), abs(eta))
    return float(histogram.values[place])


def momentum_by_hand(maps, energy, eta):
    scale = look_up_by_hand(maps["Scale"], energy, eta)
    return energy / scale if scale > 0 else energy


def loss_by_hand(p, eta):
    eta = abs(eta)
    if eta < 0.6:
        a, b, c, d = 0.12, 0.51, 4.76, 0.29
    elif eta < 1.1:
        a, b, c, d = 0.17, 1.31, 4.33, 0.23
    elif eta < 1.4:
        a, b, c, d = 0.17, 0.95, 1.14, 0.04
    elif eta < 1.5:
        a, b, c, d = 0.15, 1.14, 2768.98, 4.2
    elif eta < 1.8:
        a, b, c, d = 0.16, 2.77, 0.67, 0.11
    elif eta < 1.9:
        a, b, c, d = 0.16, 1.47, 0.86, 0.12
    else:
        a, b, c, d = 0.16, 1.61, 4.99, 0.52
    return (a * math.exp(-b * p) + c * math.exp(-d * p * p)) / 100


def scale_by_hand(maps, energy, eta):
    """Scale is looked up at E and gives p; Mean is looked up at p."""
    p = momentum_by_hand(maps, energy, eta)
    mean = look_up_by_hand(maps["Mean"], p, eta)
    return 0.1 if p > 350 or mean == 0 else abs(mean - 1)


def resolution_by_hand(maps, energy, eta):
    p = momentum_by_hand(maps, energy, eta)
    return 0.1 if p > 350 else abs(look_up_by_hand(maps["RMS"], p, eta))


# Maps


@given(hnp.arrays(np.float64, 12, elements=st.one_of(st.floats(-10, 600), st.sampled_from([*ENERGY, *ETA]))))
def test_lookup_is_a_loop_over_bins(values):
    histogram = a_map(0)
    energy, eta = values[:6], np.abs(values[6:])
    expected = [look_up_by_hand(histogram, *pair) for pair in zip(energy, eta, strict=True)]
    assert histogram.lookup(energy, eta).tolist() == expected


def test_lookup_below_and_above_the_edges_takes_the_outermost_bins():
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    histogram = Map2D(np.array([1.0, 10.0, 100.0]), np.array([0.0, 1.0, 2.0]), values)
    energy = np.array([-5, 0, 0.99, 1, 9.99, 10, 99.9, 100, 1e9, np.inf, np.nan, 1])
    eta = np.array([0, 0, 5, 0.99, 1, 0.5, 2, 2, 0, 9, 0, np.nan])
    np.testing.assert_array_equal(histogram.lookup(energy, eta), [1, 1, 2, 1, 2, 3, 4, 4, 3, 4, np.nan, np.nan])
    assert histogram.lookup(energy[:0], eta[:0]).shape == (0,)


def write_maps(path, **histograms):
    with uproot.recreate(path) as file:
        for name, histogram in histograms.items():
            file[name] = histogram
    return str(path)


def as_tuple(histogram):
    return histogram.values, histogram.energy, histogram.abs_eta


def test_maps_are_read_as_they_were_written(tmp_path, maps):
    path = write_maps(
        tmp_path / "maps.root", Other=(np.ones(1), np.arange(2.0)), **{k: as_tuple(v) for k, v in maps.items()}
    )
    found = read_maps(path, MAPS)
    assert list(found) == list(MAPS)
    for name in MAPS:
        np.testing.assert_array_equal(found[name].values, maps[name].values)
        np.testing.assert_array_equal(found[name].energy, ENERGY)
        np.testing.assert_array_equal(found[name].abs_eta, ETA)
        assert found[name].values.dtype == np.float64
    assert list(read_maps(path, ["RMS"])) == ["RMS"]


def test_energy_is_the_first_axis_of_a_filled_histogram(tmp_path):
    # Five constituents of 3 GeV at |eta| 0.7 and one at 200 GeV, 1.9, as numpy counts them.
    counted = np.histogram2d([3] * 5 + [200], [0.7] * 5 + [1.9], bins=(ENERGY, ETA))
    found = read_maps(write_maps(tmp_path / "maps.root", Scale=counted), ["Scale"])["Scale"]
    assert found.lookup(np.array([3.0, 200, 0.7]), np.array([0.7, 1.9, 3])).tolist() == [5, 1, 0]


def nan_in(values):
    values = values.copy()
    values[1, 1] = np.nan
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Mean": None}, r"no histogram 'Mean'; it holds Means, RMS, Scale\. Did you mean 'Means'\?"),
        ({"RMS": (np.ones(3), np.arange(4.0))}, "histogram 'RMS' is a TH1D, not a histogram of two dimensions"),
        (
            {"RMS": (np.ones((2, 2, 2)), *[np.arange(3.0)] * 3)},
            "histogram 'RMS' is a TH3D, not a histogram of two dimensions",
        ),
        ({"RMS": "some text"}, "histogram 'RMS' is a TObjString, not a histogram of two dimensions"),
        ({"Scale": (np.zeros((8, 3)), ENERGY, ETA)}, "histogram 'Scale' is empty"),
        ({"Mean": (nan_in(np.ones((8, 3))), ENERGY, ETA)}, "histogram 'Mean' has contents that are not finite"),
    ],
)
def test_maps_that_cannot_be_used_are_named(tmp_path, maps, change, message):
    histograms = {k: as_tuple(v) for k, v in maps.items()} | change
    if histograms["Mean"] is None:
        histograms["Means"] = histograms.pop("Mean") or as_tuple(maps["Mean"])
    path = write_maps(tmp_path / "maps.root", **histograms)
    with pytest.raises(JetmillError, match=message) as error:
        read_maps(path, MAPS)
    assert path in str(error.value)


def test_files_that_are_no_files_are_named(tmp_path, maps):
    with pytest.raises(JetmillError, match=r"absent\.root: no such file"):
        read_maps(str(tmp_path / "absent.root"), MAPS)
    whole = write_maps(tmp_path / "maps.root", **{k: as_tuple(v) for k, v in maps.items()})
    content = Path(whole).read_bytes()
    for size in (0, 50, len(content) // 2):
        (tmp_path / "cut.root").write_bytes(content[:size])
        with pytest.raises(JetmillError, match=r"cut\.root: "):
            read_maps(str(tmp_path / "cut.root"), MAPS)
    (tmp_path / "text.root").write_text("no histogram at all")
    with pytest.raises(JetmillError, match=r"text\.root: not a readable ROOT file"):
        read_maps(str(tmp_path / "text.root"), MAPS)


# Reconstruction efficiency


@given(st.floats(0, 3), st.one_of(st.floats(0, 3), st.sampled_from([0.6, 1.1, 1.4, 1.5, 1.8, 1.9])))
def test_loss_probability_is_that_of_seven_regions(p, eta):
    (found,) = loss_probability(np.array([p]), np.array([eta]))
    assert found == pytest.approx(loss_by_hand(p, eta), rel=1e-12)


def test_everything_soft_is_lost_in_the_gap_and_noise_does_not_overflow():
    gap, lost = np.array([1.45, 1.45]), loss_probability(np.array([0.88, 0.90]), np.array([1.45, 1.45]))
    assert lost[0] > 1 > lost[1]
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(loss_probability(np.array([-1e4, 0]), gap), loss_probability(np.zeros(2), gap))


def test_lost_constituents_are_those_of_a_loop(maps):
    columns = constituents(4000)
    (energy, eta), charged = unpacked(columns, "energy", "eta")
    # Small numbers, or only one in a hundred would be lost.
    random = np.random.default_rng(5).random(4000) ** 4
    expected = []
    for e, y, c, u in zip(energy, eta, charged, random, strict=True):
        expected.append(c or not (e < 2.5 and u < loss_by_hand(momentum_by_hand(maps, e, y), y)))
    kept = reconstruction_efficiency(energy, eta, charged, random, maps)
    assert kept.dtype == bool
    assert kept.tolist() == expected
    assert 0.05 < np.mean(~kept) < 0.5


def test_only_soft_and_neutral_constituents_are_lost():
    energy = np.array([2.49, 2.49, 2.49, 2.5, 2.51, 100, np.nan, 1])
    taste = np.array([0, 1, 2, 1, 1, 1, 1, 1])
    eta = np.array([1.45] * 7 + [np.nan])
    columns = {"energy": energy, "eta": eta, "taste": taste}
    _, kept = vary_roles("reconstruction_efficiency", columns, {"loss": np.zeros(8)}, maps={"Scale": flat(1)})
    assert kept.tolist() == [True, False, False, True, True, True, True, True]


def test_defect_of_units_is_not_repeated(full_maps):
    """At MeV taken for GeV, the predecessor looks up exp(-(1000 MeV)^2) and loses nothing."""
    n = 50_000
    rng = np.random.default_rng(0)
    columns = {"clus_E": rng.uniform(200, 2400, n), "clus_eta": rng.uniform(-2.5, 2.5, n), "clus_taste": np.ones(n)}
    energy, eta = columns["clus_E"], columns["clus_eta"]
    assert loss_by_hand(1000, 0.3) < 1e-200

    def lost(columns, unit):
        random = random_numbers(1, "reconstruction_efficiency", "tt", identities(n))
        changed, kept = vary("reconstruction_efficiency", columns, ROLES, maps=full_maps, unit=unit, random=random)
        assert all(changed[name] is columns[name] for name in columns)
        return ~kept

    in_mev, in_gev = lost(columns, 1e-3), lost(columns | {"clus_E": energy / 1e3}, 1)
    np.testing.assert_array_equal(in_mev, in_gev)
    chance = [
        min(loss_by_hand(momentum_by_hand(full_maps, e / 1e3, y), y), 1) for e, y in zip(energy, eta, strict=True)
    ]
    deviation = math.sqrt(sum(r * (1 - r) for r in chance))
    assert sum(chance) > 1000
    assert abs(in_mev.sum() - sum(chance)) < 4 * deviation
    assert not lost(columns, 1).any()


# Energy scale and resolution


@pytest.mark.parametrize(("direction", "sign"), [("up", 1), ("down", -1)])
@pytest.mark.parametrize("unit", [1, 1e-3])
def test_energy_scale_is_that_of_a_loop(maps, direction, sign, unit):
    columns = constituents(3000)
    (pt, energy, eta), charged = unpacked(columns, "pt", "energy", "eta")
    factors = [1 if c else 1 + sign * scale_by_hand(maps, e, y) for e, y, c in zip(energy, eta, charged, strict=True)]
    found = energy_scale(pt / unit, energy / unit, eta, charged, maps, direction, unit=unit)
    np.testing.assert_allclose(found[0] * unit, pt * factors, rtol=1e-12)
    np.testing.assert_allclose(found[1] * unit, energy * factors, rtol=1e-12)
    assert {0.1} < {round(abs(f - 1), 12) for f in factors}


def test_energy_resolution_is_that_of_a_loop(maps):
    columns = constituents(3000)
    (pt, energy, eta), charged = unpacked(columns, "pt", "energy", "eta")
    normal = np.random.default_rng(5).normal(size=3000)
    factors = [
        1 if c else 1 + z * resolution_by_hand(maps, e, y)
        for e, y, c, z in zip(energy, eta, charged, normal, strict=True)
    ]
    found = energy_resolution(pt, energy, eta, charged, maps, normal)
    np.testing.assert_allclose(found[0], pt * factors, rtol=1e-12)
    np.testing.assert_allclose(found[1], energy * factors, rtol=1e-12)
    in_mev = energy_resolution(pt * 1e3, energy * 1e3, eta, charged, maps, normal, unit=1e-3)
    np.testing.assert_allclose(in_mev[1], found[1] * 1e3, rtol=1e-12)


def flat(value):
    return Map2D(np.array([0.1, 200.0, 1000.0]), np.array([0.0, 2.5]), np.full((2, 1), value))


@pytest.mark.parametrize(
    ("scale", "mean", "energy", "expected"),
    [
        (1, 1.05, 100, 1.05),
        (1, 0.95, 100, 1.05),  # up is up, whichever way Mean is off
        (1, 1.05, 350, 1.05),
        (1, 1.05, 351, 1.1),
        (2, 1.05, 699, 1.05),  # p, not E, is above 350 GeV
        (2, 1.05, 701, 1.1),
        (0.5, 1.05, 176, 1.1),
        (0, 1.05, 349, 1.05),  # no Scale, p is E
        (0, 1.05, 351, 1.1),
        (-3, 1.05, 351, 1.1),
        (1, 0, 100, 1.1),  # no Mean
    ],
)
def test_scale_up_at_the_end_of_the_measurement(scale, mean, energy, expected):
    maps = {"Scale": flat(scale), "Mean": flat(mean)}
    one = np.ones(1)
    pt, e = energy_scale(one * 2, one * energy, one, one != 1, maps, "up")
    assert (pt[0], e[0]) == pytest.approx((2 * expected, energy * expected), rel=1e-12)
    pt, e = energy_scale(one * 2, one * energy, one, one != 1, maps, "down")
    assert (pt[0], e[0]) == pytest.approx((2 * (2 - expected), energy * (2 - expected)), rel=1e-12)


@pytest.mark.parametrize(
    ("scale", "energy", "place"),
    [
        (0.5, 99, 0),  # p is 198
        (0.5, 101, 1),  # E is in the first bin, p in the second
        (0.5, 100, 1),
        (2, 399, 0),  # the other way round
        (2, 401, 1),
        (0, 199, 0),  # no Scale, p is E
        (0, 201, 1),
        (20, 1, 0),  # p is below the first edge
        (0.001, 0.01, 0),
    ],
)
def test_scale_and_resolution_are_looked_up_at_the_momentum(scale, energy, place):
    of_cell = Map2D(flat(0).energy, flat(0).abs_eta, np.array([[1.02], [0.97]]))
    one, neutral = np.ones(1), np.zeros(1, dtype=bool)
    pt, _ = energy_scale(one, one * energy, one, neutral, {"Scale": flat(scale), "Mean": of_cell}, "up")
    assert pt[0] == pytest.approx((1.02, 1.03)[place], rel=1e-12)
    pt, _ = energy_resolution(one, one * energy, one, neutral, {"Scale": flat(scale), "RMS": of_cell}, one)
    assert pt[0] == pytest.approx(1 + (1.02, 0.97)[place], rel=1e-12)


def test_an_empty_bin_is_named_with_the_momentum():
    one, neutral, maps = np.ones(1), np.zeros(1, dtype=bool), {"Scale": flat(0.5), "Mean": flat(0.0)}
    with pytest.raises(JetmillError, match=r"map 'Mean' is empty for 1 of 1 constituents, as at 200 GeV and \|eta\| 1"):
        energy_scale(one, one * 100, one, neutral, maps, "up", empty="error")


@pytest.mark.parametrize(("scale", "energy", "spread"), [(1, 350, 0.03), (1, 351, 0.1), (2, 699, 0.03), (2, 701, 0.1)])
def test_resolution_at_the_end_of_the_measurement(scale, energy, spread):
    n = 100_000
    maps = {"Scale": flat(scale), "RMS": flat(-0.03)}
    normal = normal_numbers(1, "energy_resolution", "tt", of=identities(n))
    pt, e = energy_resolution(np.ones(n), np.full(n, energy), np.ones(n), np.zeros(n, bool), maps, normal)
    np.testing.assert_allclose(e, energy * pt)
    assert np.mean(pt) == pytest.approx(1, abs=5 * spread / math.sqrt(n))
    assert np.std(pt) == pytest.approx(spread, rel=5 / math.sqrt(2 * n))


def test_empty_bins_fall_back_or_are_refused():
    one, neutral = np.ones(1), np.zeros(1, dtype=bool)
    full, empty = flat(1.2), flat(0.0)

    def scale(maps, energy=100.0, **options):
        return energy_scale(one, one * energy, -one, neutral, maps, "up", **options)[0][0]

    def resolution(maps, **options):
        return energy_resolution(one, one * 100, one, neutral, maps, one, **options)[0][0]

    assert scale({"Scale": full, "Mean": empty}) == pytest.approx(1.1)
    assert resolution({"Scale": full, "RMS": empty}) == 1
    with pytest.raises(
        JetmillError, match=r"map 'Mean' is empty for 1 of 1 constituents, as at 83\.3333 GeV and \|eta\| 1"
    ):
        scale({"Scale": full, "Mean": empty}, empty="error")
    with pytest.raises(JetmillError, match="map 'RMS' is empty for 1 of 1"):
        resolution({"Scale": full, "RMS": empty}, empty="error")
    for vary_one, of in ((scale, "Mean"), (resolution, "RMS")):
        with pytest.raises(JetmillError, match="map 'Scale' is empty"):
            vary_one({"Scale": empty, of: full}, empty="error")
    # Beyond the measurement, nothing is looked up.
    assert scale({"Scale": full, "Mean": empty}, 900.0, empty="error") == pytest.approx(1.1)
    assert reconstruction_efficiency(one, one, neutral, one * 0, {"Scale": empty}).tolist() == [False]
    with pytest.raises(JetmillError, match="map 'Scale' is empty"):
        reconstruction_efficiency(one, one, neutral, one, {"Scale": empty}, empty="error")
    # Only constituents that it is looked up for count.
    for energy, charged in ((one * 3, neutral), (one, ~neutral)):
        assert reconstruction_efficiency(energy, one, charged, one, {"Scale": empty}, empty="error").all()


def test_nothing_is_smeared_below_zero_and_what_has_no_energy_is_lost():
    columns = {name: np.array([10.0, 10, 10, 0]) for name in ROLES.values()} | {"clus_taste": np.array([1, 0, 1, 1])}
    columns["clus_eta"] = np.zeros(4)
    normal = np.array([-11.0, -11, -9, 1])
    maps = {"Scale": flat(1), "RMS": flat(0.1)}
    options = {"maps": maps, "unit": 1, "random": lambda *_: normal}
    varied, kept = vary("energy_resolution", columns, ROLES, **options)
    assert kept.tolist() == [False, True, True, True]
    np.testing.assert_allclose(varied["clus_pt"], [0, 10, 1, 0])
    normal[0] = -9
    assert vary("energy_resolution", columns, ROLES, **options)[1] is None
    maps["Mean"] = flat(2.5)
    varied, kept = vary("energy_scale_down", columns, ROLES, **options)
    assert kept.tolist() == [False, True, False, True]


# Position


def test_position_is_that_of_a_loop():
    columns = constituents(3000)
    (pt, eta, phi, kind), _ = unpacked(columns, "pt", "eta", "phi", "taste")
    eta_normal, phi_normal = np.random.default_rng(5).normal(size=(2, 3000))
    expected = []
    for t, y, f, k, dy, df in zip(pt, eta, phi, kind, eta_normal, phi_normal, strict=True):
        new_y, new_f = (y + 0.005 * dy, f + 0.005 * df) if k == 1 else (y, f)
        if new_f > math.pi:
            new_f -= 2 * math.pi
        if new_f < -math.pi:
            new_f += 2 * math.pi
        expected.append((t * math.cosh(y) / math.cosh(new_y), new_y, new_f))
    found = position(pt, eta, phi, kind, eta_normal, phi_normal)
    for values, oracle in zip(found, np.transpose(expected), strict=True):
        np.testing.assert_allclose(values, oracle, rtol=1e-12, atol=1e-12)


def test_position_keeps_the_energy_and_moves_neutral_ones_alone():
    n = 100_000
    columns = constituents(n)
    columns["clus_phi"][: n // 2] = np.sign(columns["clus_phi"][: n // 2]) * np.pi
    before = columns["clus_pt"] * np.cosh(columns["clus_eta"])
    random = random_numbers(3, "position", "tt", identities(n))
    varied, kept = vary("position", columns, ROLES, maps={}, unit=1, random=random)
    assert kept is None
    np.testing.assert_allclose(varied["clus_pt"] * np.cosh(varied["clus_eta"]), before, rtol=1e-12)
    assert varied["clus_E"] is columns["clus_E"]
    moved = columns["clus_taste"] == 1
    for name in ("clus_pt", "clus_eta", "clus_phi"):
        np.testing.assert_array_equal(varied[name] != columns[name], moved)
    assert np.abs(varied["clus_phi"]).max() <= np.pi
    d_eta = (varied["clus_eta"] - columns["clus_eta"])[moved]
    d_phi = (varied["clus_phi"] - columns["clus_phi"])[moved]
    d_phi -= 2 * np.pi * np.round(d_phi / 2 / np.pi)
    for step in (d_eta, d_phi):
        assert stats.kstest(step / 0.005, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(d_eta, d_phi)[0, 1]) < 0.02


# Random numbers


@pytest.mark.parametrize("numbers", [uniform_numbers, normal_numbers])
def test_random_numbers_depend_on_the_constituent_alone(numbers):
    n = 20_011
    of = identities(n)
    whole = numbers(1, "position", "tt", "eta", of=of)
    assert whole.shape == (n,)
    assert whole.dtype == np.float64
    np.testing.assert_array_equal(whole, numbers(1, "position", "tt", "eta", of=of))
    order = np.random.default_rng(0).permutation(n)
    shuffled = numbers(1, "position", "tt", "eta", of=[column[order] for column in of])
    np.testing.assert_array_equal(shuffled, whole[order])
    # Pieces of every small size and of odd starts: vectorised code treats their ends on their own.
    ends = np.cumsum(np.arange(200))
    pieces = [numbers(1, "position", "tt", "eta", of=[c[a:b] for c in of]) for a, b in pairwise(ends)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole[: ends[-1]])


@pytest.mark.parametrize("numbers", [uniform_numbers, normal_numbers])
@pytest.mark.parametrize(
    "other",
    [
        (2, "position", "tt", "eta"),
        (1, "energy_resolution", "tt", "eta"),
        (1, "position", "qcd", "eta"),
        (1, "position", "tt", "phi"),
        (1, "position", "tt"),
    ],
)
def test_random_numbers_for_other_purposes_are_independent(numbers, other):
    of = identities(200_000)
    a, b = numbers(1, "position", "tt", "eta", of=of), numbers(*other, of=of)
    assert abs(stats.spearmanr(a, b).statistic) < 0.01
    ranks = [np.argsort(np.argsort(x)) * 8 // len(x) for x in (a, b)]
    table = np.histogram2d(*ranks, bins=(8, 8))[0]
    assert stats.chi2_contingency(table).pvalue > 1e-3
    # Nor do neighbours know of each other, nor sums of squares.
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.01
    assert abs(np.corrcoef(a**2, b**2)[0, 1]) < 0.01


def test_uniform_numbers_are_uniform_and_those_of_every_release():
    of = identities(200_000)
    numbers = uniform_numbers(1, "reconstruction_efficiency", "tt", "loss", of=of)
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # A change here changes every varied output.
    expected = uniform(keys(1, "variation", "reconstruction_efficiency", "tt", "loss", of=of))
    np.testing.assert_array_equal(numbers, expected)


def test_normal_numbers_are_normal():
    n = 1_000_000
    numbers = normal_numbers(1, "energy_resolution", "tt", "energy", of=identities(n))
    assert stats.kstest(numbers, "norm").pvalue > 1e-3
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10_170)):
        assert np.mean(numbers**power) == pytest.approx(expected, abs=4 * math.sqrt(variance / n)), power
    for size in (3, 4):
        expected = n * 2 * stats.norm.sf(size)
        assert (np.abs(numbers) > size).sum() == pytest.approx(expected, abs=4 * math.sqrt(expected))


def test_normal_numbers_reach_six_standard_deviations_with_the_right_probability():
    # |z| > size for an angle t if the radius exceeds exp(-size^2 / (2 cos^2 2 pi t)); integrated over t.
    angle = (np.arange(200_000) + 0.5) / 200_000
    for size in (1, 3, 5, 6):
        with np.errstate(divide="ignore"):
            share = np.exp(-(size**2) / (2 * np.cos(2 * np.pi * angle) ** 2)).mean()
        assert share == pytest.approx(special.erfc(size / math.sqrt(2)), rel=1e-6)
        limit = -np.expm1(-(size**2) / 2)
        assert box_muller(np.array([limit]), np.zeros(1))[0] == pytest.approx(size, rel=1e-7)
    last = box_muller(np.array([1 - 2.0**-53, 0]), np.array([0.5, 0.3]))
    assert last[0] == pytest.approx(-8.57, abs=0.01)
    assert last[1] == 0
    # Small numbers are as exact as large ones: scipy's quantiles of the radius.
    small = np.array([2.0**-53, 1e-12, 1e-3, 0.5])
    np.testing.assert_allclose(box_muller(small, np.zeros(4)), stats.rayleigh.ppf(small), rtol=1e-12)


def test_random_numbers_of_a_variation():
    of = identities(100)
    random = random_numbers(4, "position", "tt", of)
    np.testing.assert_array_equal(random("normal", "eta"), normal_numbers(4, "position", "tt", "eta", of=of))
    np.testing.assert_array_equal(random("uniform", "loss"), uniform_numbers(4, "position", "tt", "loss", of=of))


# All variations


def vary_all(columns, of, maps, name, seed=1):
    return vary(name, columns, ROLES, maps=maps, unit=1e-3, random=random_numbers(seed, name, "tt", of))


@pytest.mark.parametrize("name", VARIATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_variations_do_not_depend_on_order_or_chunks(maps, name, dtype):
    n = 3001
    columns, of = constituents(n, dtype=dtype), identities(n)
    columns |= {v: 1000 * columns[v] for v in ("clus_pt", "clus_E")}
    copies = {v: values.copy() for v, values in columns.items()}
    whole, kept = vary_all(columns, of, maps, name)
    kept = np.ones(n, dtype=bool) if kept is None else kept
    assert list(whole) == list(columns)
    for v in columns:
        assert whole[v].dtype == columns[v].dtype
        np.testing.assert_array_equal(columns[v], copies[v])
    order = np.random.default_rng(0).permutation(n)
    cuts = [0, 1, 4, 13, 13, 700, 2222, n]
    chunks = [order, *(np.arange(a, b) for a, b in pairwise(cuts))]
    for rows in chunks:
        part, left = vary_all({v: c[rows] for v, c in columns.items()}, [c[rows] for c in of], maps, name)
        for v in columns:
            np.testing.assert_array_equal(part[v], whole[v][rows])
        np.testing.assert_array_equal(np.ones(len(rows), bool) if left is None else left, kept[rows])


@pytest.mark.parametrize("name", VARIATIONS)
@given(seed=st.integers(0, 1000), n=st.integers(0, 60), missing=st.floats(0, 0.3))
def test_charged_constituents_are_never_touched(name, seed, n, missing):
    maps = {"Scale": a_map(seed, 0.8), "Mean": a_map(seed + 1), "RMS": a_map(seed + 2, 0, 1.0)}
    columns = constituents(n, seed, np.float32)
    rng = np.random.default_rng(seed)
    for v in ("clus_pt", "clus_E", "clus_eta", "clus_phi"):
        columns[v][rng.random(n) < missing] = np.nan
    charged = columns["clus_taste"] == 0
    varied, kept = vary_all(columns, identities(n), maps, name, seed)
    for v in columns:
        np.testing.assert_array_equal(varied[v][charged], columns[v][charged])
        # A number that was not there is not made up.
        assert np.isnan(varied[v][np.isnan(columns[v])]).all()
    assert kept is None or (kept.shape == (n,) and kept[charged].all())
    again, kept_again = vary_all(columns, identities(n), maps, name, seed)
    for v in columns:
        np.testing.assert_array_equal(varied[v], again[v])
    np.testing.assert_array_equal(kept, kept_again)


def test_energies_that_cannot_be_looked_up_become_missing(full_maps):
    columns = constituents(3)
    columns |= {"clus_taste": np.array([0, 1, 1]), "clus_E": np.array([np.nan, np.nan, 5])}
    for name in ("energy_scale_up", "energy_scale_down", "energy_resolution"):
        varied, kept = vary_all(columns, identities(3), full_maps, name)
        assert np.isnan(varied["clus_pt"]).tolist() == [False, True, False]
        assert kept is None


@pytest.mark.parametrize("name", ["reconstruction_efficiency", "energy_resolution", "position"])
def test_other_seeds_vary_otherwise(full_maps, name):
    n = 5000
    columns, of = constituents(n) | {"clus_eta": np.full(n, 1.45)}, identities(n)
    one, other = (vary_all(columns, of, full_maps, name, seed) for seed in (1, 2))
    if name == "reconstruction_efficiency":
        columns["clus_E"] = 1300.0 * np.ones(n)
        one, other = (vary_all(columns, of, full_maps, name, seed)[1] for seed in (1, 2))
        assert (one != other).any()
    else:
        assert (one[0]["clus_pt"] != other[0]["clus_pt"]).any()


def test_scale_up_and_down_are_opposite(full_maps):
    columns = constituents(1000)
    up, down = (vary_all(columns, [], full_maps, f"energy_scale_{way}")[0] for way in ("up", "down"))
    np.testing.assert_allclose(up["clus_E"] + down["clus_E"], 2 * columns["clus_E"], rtol=1e-12)
    assert (up["clus_E"] >= columns["clus_E"]).all()


def test_integers_become_floats(full_maps):
    columns = {"clus_pt": np.array([3000, 4000]), "clus_E": np.array([5000, 6000]), "clus_eta": np.array([1, -1])}
    columns |= {"clus_phi": np.array([3, -3]), "clus_taste": np.array([1, 0], dtype=np.uint8)}
    for name in ("energy_scale_up", "position"):
        varied, _ = vary_all(columns, identities(2), full_maps, name)
        assert varied["clus_pt"].dtype == np.float64
        assert varied["clus_pt"][1] == 4000
        assert varied["clus_pt"][0] not in (0, 3000)


def test_sorted_and_cut_off_after_the_variation(full_maps):
    """The predecessor sorts and masks by the pt before the variation, and cuts off before it sorts."""
    n, longest = 4000, 15
    columns = constituents(n)
    columns |= {v: 1000 * columns[v] for v in ("clus_pt", "clus_E")}
    counts = np.full(n // 20, 20)
    varied, kept = vary_all(columns, identities(n), full_maps, "energy_resolution")
    kept = np.ones(n, bool) if kept is None else kept
    pt, left = varied["clus_pt"][kept], count_true(kept, counts)
    order = sort_in_jet(pt, left)
    order = order[position_in_jet(left) < longest]
    number = varied["clus_number"][kept][order]
    expected, before = [], []
    for jet in range(len(counts)):
        rows = [k for k in range(20 * jet, 20 * jet + 20) if kept[k]]
        expected += sorted(rows, key=lambda k: -varied["clus_pt"][k])[:longest]
        before += sorted(rows, key=lambda k: -columns["clus_pt"][k])[:longest]
    assert number.tolist() == expected
    assert expected != before


@pytest.mark.parametrize("name", VARIATIONS)
def test_what_is_missing_is_named(maps, name):
    columns = constituents(10)
    random = random_numbers(1, name, "tt", identities(10))
    variation = VARIATIONS[name]

    def attempt(columns=columns, roles=ROLES, maps=maps):
        return vary(name, columns, roles, maps=maps, unit=1, random=random)

    attempt()
    attempt(roles={role: ROLES[role] for role in variation.roles}, maps={m: maps[m] for m in variation.maps})
    for role in variation.roles:
        without = {r: v for r, v in ROLES.items() if r != role}
        message = rf"variation '{name}': roles does not name the variable that is '{role}'"
        with pytest.raises(JetmillError, match=message + r"\. Did you mean"):
            attempt(roles=without | {f"{role}_": "x"})
        short = {v: c for v, c in columns.items() if v != ROLES[role]}
        with pytest.raises(JetmillError, match=f"there is no variable '{ROLES[role]}'. Did you mean"):
            attempt(columns=short)
    for wanted in variation.maps:
        with pytest.raises(JetmillError, match=rf"variation '{name}' needs the map '{wanted}'"):
            attempt(maps={m: v for m, v in maps.items() if m != wanted})
    for taste in (np.nan, -1.0):
        # Minus one is a charge, not a taste.
        wrong = columns | {"clus_taste": np.array([0.0] * 9 + [taste])}
        with pytest.raises(JetmillError, match=f"'{name}': 'clus_taste' is missing or negative"):
            attempt(columns=wrong)


def test_unknown_variations_are_named(maps):
    with pytest.raises(
        JetmillError, match=r"no variation 'energy_scale', but .*position\. Did you mean 'energy_scale_up"
    ):
        vary("energy_scale", {}, ROLES, maps=maps, unit=1, random=random_numbers(1, "", "", []))


def test_no_constituents_at_all(maps):
    columns = constituents(0)
    for name in VARIATIONS:
        varied, kept = vary_all(columns, identities(0), maps, name)
        assert {v: x.shape for v, x in varied.items()} == dict.fromkeys(columns, (0,))
        assert kept is None or kept.shape == (0,)
    for values in jets_from_constituents(*(np.empty(0),) * 4, np.zeros(3, dtype=np.int64)):
        np.testing.assert_array_equal(values, [np.nan] * 3)


def test_every_variation_asks_for_what_it_uses(maps):
    asked = {"reconstruction_efficiency": {"loss": "uniform"}, "energy_resolution": {"energy": "normal"}}
    asked |= {"position": {"eta": "normal", "phi": "normal"}}
    columns, of = constituents(50), identities(50)
    for name, variation in VARIATIONS.items():
        calls = {}

        def random(distribution, use, name=name, calls=calls):
            calls[use] = distribution
            return random_numbers(1, name, "tt", of)(distribution, use)

        vary(name, columns, ROLES, maps=maps, unit=1, random=random)
        assert calls == variation.random == asked.get(name, {})


# Jets


def test_jets_are_sums_of_four_vectors():
    vector = pytest.importorskip("vector")
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 8, 300).astype(np.uint16)
    n = int(counts.sum())
    columns = constituents(n)
    (pt, eta, phi, energy), _ = unpacked(columns, "pt", "eta", "phi", "energy")
    energy = energy * rng.uniform(1, 1.1, n)  # with masses
    found = jets_from_constituents(pt, eta, phi, energy, counts)
    ends = np.cumsum(counts, dtype=int)
    for jet, (start, end) in enumerate(zip(ends - counts, ends, strict=True)):
        of_jet = [x[jet] for x in found]
        if start == end:
            assert np.isnan(of_jet).all()
            continue
        total = sum(
            (vector.obj(pt=pt[k], eta=eta[k], phi=phi[k], E=energy[k]) for k in range(start + 1, end)),
            vector.obj(pt=pt[start], eta=eta[start], phi=phi[start], E=energy[start]),
        )
        expected = [total.pt, total.eta, total.phi, total.mass]
        np.testing.assert_allclose(of_jet, expected, rtol=1e-9, atol=1e-12)


@given(hnp.arrays(np.int64, st.integers(1, 6), elements=st.integers(0, 4)), st.integers(0, 100))
def test_jets_are_sums_by_hand_and_do_not_know_of_each_other(counts, seed):
    columns = constituents(int(counts.sum()), seed, np.float32)
    columns["clus_E"] *= np.float32(1.2)  # heavy enough that the mass is not rounding
    arrays, _ = unpacked(columns, "pt", "eta", "phi", "energy")
    found = jets_from_constituents(*arrays, counts)
    start = 0
    for jet, count in enumerate(counts):
        mine = [x[start : start + count] for x in arrays]
        alone = jets_from_constituents(*mine, np.array([count]))
        np.testing.assert_array_equal([x[jet] for x in found], [x[0] for x in alone])
        start += count
        if not count:
            continue
        px = math.fsum(float(t) * math.cos(f) for t, _, f, _ in zip(*mine, strict=True))
        py = math.fsum(float(t) * math.sin(f) for t, _, f, _ in zip(*mine, strict=True))
        pz = math.fsum(float(t) * math.sinh(y) for t, y, _, _ in zip(*mine, strict=True))
        e = math.fsum(float(x) for x in mine[3])
        pt, eta, phi, mass = (float(x[0]) for x in alone)
        assert (pt, eta) == pytest.approx((math.hypot(px, py), math.asinh(pz / math.hypot(px, py))), rel=1e-9)
        assert math.cos(phi - math.atan2(py, px)) == pytest.approx(1, abs=1e-12)
        assert mass == pytest.approx(math.sqrt(e * e - px * px - py * py - pz * pz), rel=1e-6)


def test_jets_of_one_constituent_back_to_back_spacelike_and_missing():
    counts = np.array([1, 2, 1, 2, 0])
    pt = np.array([10, 5, 5, 3, 4, np.nan])
    eta = np.array([1.5, 0, 0, 0, 1, 1])
    phi = np.array([-3.0, 0, np.pi, 1, 0, 0])
    energy = np.array([10 * math.cosh(1.5), 5, 5, 2, 9, 9])
    jet_pt, jet_eta, jet_phi, mass = jets_from_constituents(pt, eta, phi, energy, counts)
    np.testing.assert_allclose(jet_pt, [10, 0, 3, np.nan, np.nan], atol=1e-12)
    np.testing.assert_allclose(jet_eta[[0, 2]], [1.5, 0])
    np.testing.assert_allclose(jet_phi[[0, 2, 3, 4]], [-3, 1, np.nan, np.nan])
    np.testing.assert_allclose(mass[1:], [10, -math.sqrt(5), np.nan, np.nan])
    assert abs(mass[0]) < 1e-6


def test_a_variation_without_size_leaves_the_jet():
    n, counts = 400, np.full(20, 20)
    columns = constituents(n)
    maps = {"Scale": flat(1), "Mean": flat(1), "RMS": flat(0)}
    columns["clus_E"] = np.minimum(columns["clus_E"], 340)  # beyond, the uncertainty is 10 %
    arrays, _ = unpacked(columns, "pt", "eta", "phi", "energy")
    before = jets_from_constituents(*arrays, counts)
    for name in ("energy_scale_up", "energy_scale_down", "energy_resolution"):
        varied, kept = vary(name, columns, ROLES, maps=maps, unit=1, random=random_numbers(1, name, "", identities(n)))
        arrays, _ = unpacked(varied, "pt", "eta", "phi", "energy")
        assert kept is None
        np.testing.assert_array_equal(jets_from_constituents(*arrays, counts), before)


def test_numbers_are_those_of_the_predecessor():
    assert (calorimeter.SOFT, calorimeter.MEASURED, calorimeter.UNMEASURED) == (2.5, 350, 0.1)
    assert calorimeter.POSITION_SPREAD == 0.005
