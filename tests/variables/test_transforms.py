"""Transforms against plain formulas for one jet at a time, awkward and vector, and against symmetry."""

import cmath
import math
from fractions import Fraction
from time import process_time

import awkward as ak
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jetmill import ragged
from jetmill.errors import JetmillError
from jetmill.variables import transforms
from jetmill.variables.transforms import JET_TRANSFORMS, TRANSFORMS, apply, apply_to_jets

NAN = math.nan


@pytest.fixture(scope="module")
def vector():
    return pytest.importorskip("vector")


def event(seed, counts=None, missing=0.0):
    """Return counts, constituents and jets of a random event; `missing` is the share of NaN in each column."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 7, 30) if counts is None else np.array(counts)
    n = counts.sum()
    columns = {
        "pt": rng.exponential(20, n) + 0.1,
        "eta": rng.normal(0, 0.3, n),
        "phi": rng.uniform(-np.pi, np.pi, n),
    }
    columns["energy"] = columns["pt"] * rng.uniform(1, 5, n)
    for column in columns.values():
        column[rng.random(n) < missing] = NAN
    jets = {
        "eta": rng.normal(0, 1, len(counts)),
        "phi": rng.uniform(-np.pi, np.pi, len(counts)),
    }
    return counts, columns, jets


# Tenths: no two angles differ by pi, and equal ones by exactly 0.
TENTHS = st.integers(-31, 31).map(lambda k: k / 10) | st.just(NAN)
PTS = st.sampled_from([NAN, 0.0, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0]) | st.floats(0.1, 1000)


@st.composite
def events(draw):
    counts = np.array(draw(st.lists(st.integers(0, 5), max_size=6)), dtype=draw(st.sampled_from(["i8", "u1", "u2"])))
    n = int(counts.sum())
    rows = draw(st.lists(st.tuples(PTS, TENTHS, TENTHS), min_size=n, max_size=n))
    pt, eta, phi = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return counts, pt, eta, phi


def jets_of(counts, *columns):
    """Yield the columns of one jet after the other, as lists."""
    end = 0
    for n in counts.tolist():
        end += n
        yield tuple(column[end - n : end].tolist() for column in columns)


def ranking(pt, eta, phi):
    """Return the constituents of a jet from the hardest; those that are not fully known do not count."""
    known = [i for i, values in enumerate(zip(pt, eta, phi, strict=True)) if not any(map(math.isnan, values))]
    return sorted(known, key=lambda i: -pt[i])


def minus(phi, other):
    return math.remainder(phi - other, 2 * math.pi)


def centred_jet(pt, eta, phi):
    order = ranking(pt, eta, phi)
    if not order:
        return [NAN] * len(pt), [NAN] * len(pt)
    return [x - eta[order[0]] for x in eta], [minus(x, phi[order[0]]) for x in phi]


def rotated_jet(pt, eta, phi):
    """Turn the complex plane eta + i phi so that the second lies at -i; return also eta' of the third."""
    order = ranking(pt, eta, phi)
    plane = [complex(*z) for z in zip(*centred_jet(pt, eta, phi), strict=True)]
    plane = [z if not cmath.isnan(z) else complex(NAN, NAN) for z in plane]
    if len(order) >= 2:
        direction = cmath.exp(1j * cmath.phase(plane[order[1]]))
        plane = [z * -1j / direction for z in plane]
    third = plane[order[2]].real if len(order) >= 3 else 0.0
    return [z.real * (-1 if third < 0 else 1) for z in plane], [z.imag for z in plane], third


def same(found, expected, **tolerance):
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-12, "atol": 1e-12} | tolerance)


# Sums, maxima, places


@given(events())
def test_sums_and_maxima_leave_missing_values_out(event):
    counts, pt, *_ = event
    jets = ak.unflatten(pt, counts.astype(np.int64))
    same(ragged.sum_in_jet(pt, counts), ak.to_numpy(ak.nansum(jets, axis=1)))
    largest = [max((x for x in jet if not math.isnan(x)), default=NAN) for (jet,) in jets_of(counts, pt)]
    np.testing.assert_array_equal(ragged.max_in_jet(pt, counts), largest)


@given(events(), st.integers(1, 4))
def test_largest_in_jet(event, n):
    counts, pt, *_ = event
    found = ragged.largest_in_jet(pt, counts, n)
    assert found.shape == (n, len(counts))
    start, expected = 0, []
    for (jet,) in jets_of(counts, pt):
        places = [start + i for i in ranking(jet, [0] * len(jet), [0] * len(jet))[:n]]
        expected.append(places + [-1] * (n - len(places)))
        start += len(jet)
    assert found.T.tolist() == expected


def test_sums_of_integers_and_of_nothing():
    assert ragged.sum_in_jet(np.array([200, 100], dtype=np.uint8), np.array([0, 2, 0])).tolist() == [0, 300, 0]
    assert ragged.sum_in_jet(np.array([]), np.array([0, 0])).tolist() == [0, 0]
    assert ragged.sum_in_jet(np.array([]), np.array([], dtype=int)).tolist() == []
    assert np.isnan(ragged.max_in_jet(np.array([]), np.array([0, 0]))).all()
    assert ragged.broadcast(np.array([5, 6, 7]), np.array([2, 0, 1])).tolist() == [5, 5, 7]


def test_the_caller_keeps_the_columns():
    counts, columns, jets = event(1, missing=0.2)
    before = {name: column.copy() for name, column in columns.items()}
    for name in TRANSFORMS:
        apply(name, columns, counts, jets, {})
    for name, column in columns.items():
        np.testing.assert_array_equal(column, before[name])


# Momenta


def test_momenta_are_those_of_vector(vector):
    counts, c, _ = event(2)
    mass = np.random.default_rng(2).uniform(0, 20, counts.sum())
    px, py, pz, energy = transforms.cartesian_from_mass(c["pt"], c["eta"], c["phi"], mass)
    massless = transforms.energy_massless(c["pt"], c["eta"])
    for i in range(counts.sum()):
        p = vector.obj(pt=c["pt"][i], eta=c["eta"][i], phi=c["phi"][i], mass=mass[i])
        same([px[i], py[i], pz[i], energy[i], massless[i]], [p.px, p.py, p.pz, p.E, p.mag])
    same(transforms.cartesian(c["pt"], c["eta"], c["phi"]), (px, py, pz), rtol=0, atol=0)
    *momentum, kept = transforms.cartesian_from_energy(c["pt"], c["eta"], c["phi"], c["energy"])
    same(momentum, (px, py, pz), rtol=0, atol=0)
    same(kept, c["energy"], rtol=0, atol=0)


def test_a_negative_mass_is_a_negative_square():
    of = [np.array([x]) for x in (10.0, 0.0, 0.0)]
    assert transforms.cartesian_from_mass(*of, np.array([-6.0]))[3] == 8
    assert transforms.cartesian_from_mass(*of, np.array([6.0]))[3] == np.sqrt(136)
    assert transforms.cartesian_from_mass(*of, np.array([-11.0]))[3] == 0
    assert np.isnan(transforms.cartesian_from_mass(*of, np.array([NAN]))[3])


# Logarithms and fractions


@pytest.mark.parametrize("missing", [0, 0.3])
def test_logarithms_and_fractions_are_those_of_awkward(missing):
    counts, c, jets = event(3, missing=missing)
    pt, energy = (ak.unflatten(c[name], counts) for name in ("pt", "energy"))
    with np.errstate(divide="ignore"):
        expected = {
            "log_pt": np.log(pt),
            "log_energy": np.log(energy),
            "log_pt_fraction": np.log(pt / ak.nansum(pt, axis=1)),
            "log_energy_fraction": np.log(energy / ak.nansum(energy, axis=1)),
            "pt_fraction": pt / ak.nansum(pt, axis=1),
            "energy_over_pt": energy / ak.nansum(pt, axis=1),
            "energy_fraction": energy / ak.nansum(energy, axis=1),
        }
    found = {}
    for name in ("log_set", "pt_normalised", "energy_normalised"):
        found |= apply(name, c, counts, jets, {})
    assert list(found) == list(expected)
    for name, column in expected.items():
        flat = ak.to_numpy(ak.flatten(column))
        # The sum is 0 only where all of a jet are missing.
        same(found[name], np.where(np.isinf(flat), NAN, flat))
    for name, of in (("pt_fraction", "pt"), ("energy_fraction", "energy")):
        total = ragged.sum_in_jet(found[name], counts)
        same(total, ragged.sum_in_jet(~np.isnan(c[of]), counts) > 0)
        same(ragged.sum_in_jet(np.exp(found["log_" + name]), counts), total)


def test_what_has_no_logarithm_is_missing():
    pt, energy = np.array([0.0, 2.0, -1.0, 0.0, 0.0, NAN]), np.array([1.0, 0.0, 3.0, 0.0, 2.0, 1.0])
    with np.errstate(all="ignore"):
        found = transforms.log_set(pt, energy, np.array([3, 2, 0, 1]))
        fractions = transforms.pt_normalised(pt, energy, np.array([3, 2, 0, 1]))
    expected = [
        [NAN, np.log(2), NAN, NAN, NAN, NAN],
        [0, NAN, np.log(3), NAN, np.log(2), 0],
        [NAN, np.log(2 / 1), NAN, NAN, NAN, NAN],
        [np.log(1 / 4), NAN, np.log(3 / 4), NAN, 0, 0],
    ]
    same(found, expected)
    same(fractions, [[0, 2, -1, NAN, NAN, NAN], [1, 0, 3, NAN, NAN, NAN]])


# Angles


@given(st.floats(-1000, 1000))
def test_wrapped_angles(phi):
    (wrapped,) = transforms.wrap_phi(np.array([phi]))
    assert -np.pi < wrapped <= np.pi
    assert abs(math.remainder(wrapped - phi, 2 * math.pi)) < 1e-12
    assert wrapped == phi or not -np.pi < phi <= np.pi


def test_wrapping_at_the_edge():
    pi, up, down = np.pi, np.nextafter(np.pi, 4), np.nextafter(-np.pi, -4)
    edge = np.array([pi, -pi, up, down, 3 * pi, -3 * pi, 2 * pi, -2 * pi, 1e-300, NAN])
    wrapped = transforms.wrap_phi(edge)
    assert np.isnan(wrapped[-1])
    assert ((wrapped[:-1] > -pi) & (wrapped[:-1] <= pi)).all()
    assert wrapped[:2].tolist() == [pi, pi]
    same(np.abs(wrapped[:6]), pi)
    assert wrapped[6:9].tolist() == [0, 0, 1e-300]
    for k in range(-50, 50):
        for phi in (k * pi, np.nextafter(k * pi, 1e9), np.nextafter(k * pi, -1e9)):
            assert -pi < transforms.wrap_phi(np.array([phi]))[0] <= pi


def test_relative_angles_are_those_of_vector(vector):
    counts, c, jets = event(4)
    found = apply("relative_angles", c, counts, jets, {})
    distance = apply("delta_r", found, counts, {}, {"eta": "relative_eta", "phi": "relative_phi"})["delta_r"]
    for i, jet in enumerate(np.repeat(np.arange(len(counts)), counts)):
        p = vector.obj(pt=1, eta=c["eta"][i], phi=c["phi"][i], mass=0)
        axis = vector.obj(pt=1, eta=jets["eta"][jet], phi=jets["phi"][jet], mass=0)
        same([found["relative_eta"][i], found["relative_phi"][i]], [p.deltaeta(axis), p.deltaphi(axis)])
        same(distance[i], p.deltaR(axis))


def test_without_an_axis_there_are_no_angles():
    one = np.array([1.0, 2.0, 3.0])
    eta, phi = transforms.relative_angles(one, one, np.array([NAN, 1.0]), np.array([1.0, NAN]), np.array([1, 2]))
    same([eta, phi], [[NAN, 1, 2], [0, NAN, NAN]])


@given(events())
def test_centred_angles(event):
    counts, pt, eta, phi = event
    found = transforms.centred_angles(pt, eta, phi, counts)
    expected = [centred_jet(*jet) for jet in jets_of(counts, pt, eta, phi)]
    for axis in (0, 1):
        same(found[axis], [x for jet in expected for x in jet[axis]])


@given(events())
def test_rotated_angles(event):
    counts, pt, eta, phi = event
    found = transforms.rotated_angles(pt, eta, phi, counts)
    for jet, (eta_found, phi_found) in zip(jets_of(counts, pt, eta, phi), jets_of(counts, *found), strict=True):
        eta_expected, phi_expected, third = rotated_jet(*jet)
        same(phi_found, phi_expected)
        # The sign of what is 0 but for rounding is anyone's guess.
        guess = 0 < abs(third) < 1e-12
        same(*((np.abs(x) if guess else x) for x in (eta_found, eta_expected)))


def test_centring_is_across_the_seam_of_phi():
    eta, phi = transforms.centred_angles(
        np.array([5.0, 1.0]), np.array([0.1, 0.3]), np.array([3.1, -3.1]), np.array([2])
    )
    same([eta, phi], [[0, 0.2], [0, 2 * np.pi - 6.2]])
    same(transforms.rotated_angles(np.array([5.0, 1.0]), eta, phi, np.array([2]))[1][1], -np.hypot(0.2, phi[1]))


@pytest.mark.parametrize(
    ("pt", "expected"),
    [
        # Relative to the hardest: (0, 0), (-1, 0), (3, -2). By 90 degrees (eta, phi) becomes (-phi, eta).
        ([9, 5, 2], ([0, 0, 2], [0, -1, 3])),
        # (-3, 2), (-4, 2), (0, 0), turned by the angle of (-3, 2) and 90 degrees.
        ([5, 2, 9], ([0, 2 / math.sqrt(13), 0], [-math.sqrt(13), -16 / math.sqrt(13), 0])),
        # (0, 0), (1, 0), (4, -2): turned by 270 degrees, (eta, phi) becomes (phi, -eta); flipped.
        ([5, 9, 2], ([0, 0, 2], [-1, 0, -4])),
        ([9, 5], ([0, 0], [0, -1])),
        ([9], ([0], [0])),
        ([], ([], [])),
        # Of equal ones the first is the hardest.
        ([9, 9, 9], ([0, 0, 2], [0, -1, 3])),
        ([2, 9, 9], ([2 / math.sqrt(20), 0, 0], [-4 / math.sqrt(20), 0, -math.sqrt(20)])),
    ],
    ids=["falling", "rising", "flipped", "two", "one", "none", "tie", "tie_behind"],
)
def test_jets_of_few_constituents(pt, expected):
    n = len(pt)
    eta, phi = np.array([1.0, 0.0, 4.0])[:n], np.array([0.5, 0.5, -1.5])[:n]
    same(transforms.rotated_angles(np.array(pt, dtype=np.float64), eta, phi, np.array([n])), expected)


def test_a_second_where_the_hardest_is_has_no_direction():
    """Then atan2(0, 0) is 0 and the angle is 90 degrees: (eta, phi) becomes (phi, -eta)."""
    angles = np.array([0.7, 0.7, 1.7]), np.array([3.0, 3.0, 3.1])
    same(transforms.rotated_angles(np.array([3.0, 2.0, 1.0]), *angles, np.array([3])), [[0, 0, 0.1], [0, 0, -1]])


@pytest.mark.parametrize("missing", [0, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_what_rotated_angles_promise(seed, missing):
    counts, c, _ = event(seed, missing=missing)
    eta, phi = transforms.rotated_angles(c["pt"], c["eta"], c["phi"], counts)
    centred = transforms.centred_angles(c["pt"], c["eta"], c["phi"], counts)
    checked = [0, 0, 0]
    for jet in jets_of(counts, c["pt"], c["eta"], c["phi"], eta, phi, *centred):
        pt, eta_0, phi_0, eta, phi, eta_c, phi_c = jet
        order = ranking(pt, eta_0, phi_0)
        lost = [math.isnan(a + b) or not order for a, b in zip(eta_0, phi_0, strict=True)]
        assert [math.isnan(x) for x in eta] == [math.isnan(x) for x in phi] == lost
        if order:
            assert (eta[order[0]], phi[order[0]]) == (0, 0)
            checked[0] += 1
        if len(order) >= 2:
            same(eta[order[1]], 0, atol=1e-14)
            assert phi[order[1]] < 0
            checked[1] += 1
        if len(order) >= 3:
            assert eta[order[2]] >= 0
            checked[2] += 1
        for i in order:
            for j in order:
                same(math.hypot(eta[i] - eta[j], phi[i] - phi[j]), math.hypot(eta_c[i] - eta_c[j], phi_c[i] - phi_c[j]))
    assert min(checked) > 5


@given(st.integers(0, 1000), st.floats(-10, 10), st.floats(-2, 2), st.booleans())
def test_turning_and_mirroring_the_event_changes_nothing(seed, turn, shift, mirror):
    counts, c, _ = event(seed)
    for name in ("centred_angles", "rotated_angles"):
        if name == "centred_angles" and mirror:
            continue
        before = apply(name, c, counts, {}, {}, prefix="")
        moved = c | {"phi": transforms.wrap_phi(c["phi"] + turn), "eta": (c["eta"] + shift) * (-1 if mirror else 1)}
        after = apply(name, moved, counts, {}, {}, prefix="")
        # An angle of pi from the hardest could fall on either side.
        assume((np.abs(transforms.centred_angles(c["pt"], c["eta"], c["phi"], counts)[1]) < np.pi - 1e-9).all())
        for axis in ("eta", "phi"):
            # Two constituents do not say which side is which.
            enough = np.repeat(counts, counts) >= 3
            same(after[axis][enough], before[axis][enough], atol=1e-9)
            same(np.abs(after[axis][~enough]), np.abs(before[axis][~enough]), atol=1e-9)


@given(st.integers(0, 1000))
def test_the_order_of_constituents_does_not_matter(seed):
    counts, c, _ = event(seed, missing=0.1)
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(counts.sum()), np.repeat(np.arange(len(counts)), counts)))
    for name in ("centred_angles", "rotated_angles"):
        before = apply(name, c, counts, {}, {})
        after = apply(name, {k: v[order] for k, v in c.items()}, counts, {}, {})
        for axis in before:
            np.testing.assert_array_equal(after[axis], before[axis][order])


def test_a_constituent_without_pt_has_angles_but_is_no_axis():
    pt, eta, phi = np.array([NAN, 3.0, 2.0, 9.0]), np.array([1.0, 2.0, 4.0, NAN]), np.zeros(4)
    same(transforms.centred_angles(pt, eta, phi, np.array([4]))[0], [-1, 0, 2, NAN])
    same(transforms.rotated_angles(pt, eta, phi, np.array([4])), [[0, 0, 0, NAN], [1, 0, -2, NAN]])


# Pixels


@given(st.lists(st.floats(-3, 3) | st.integers(-40, 40).map(lambda k: k / 16), max_size=20))
def test_pixels_are_sixteenths(angles):
    found = transforms.image_pixels(np.array(angles), -np.array(angles))
    for sign, pixels in zip((1, -1), found, strict=True):
        exact = [math.floor((Fraction(sign * x) + 2) * 16) for x in angles]
        assert pixels.tolist() == [min(max(k, 0), 63) for k in exact]


def test_pixels_are_those_of_digitize():
    angles = np.random.default_rng(5).normal(0, 1.5, 1000).astype(np.float32)
    expected = np.clip(np.digitize(angles, np.linspace(-2, 2, 65)) - 1, 0, 63)
    np.testing.assert_array_equal(transforms.image_pixels(angles, angles)[0], expected)
    columns = {"eta": np.array([-1.0, -0.4, -0.21, 0.0, 0.39, 0.4, NAN]), "phi": np.zeros(7)}
    found = apply("image_pixels", columns, np.array([7]), {}, {}, options={"n": 4, "half_width": 0.4})
    same(found["pixel_eta"], [0, 0, 0, 2, 3, 3, NAN])
    assert found["pixel_phi"].tolist() == [2] * 7


@pytest.mark.parametrize(
    "options", [{"n": 0}, {"n": 2.5}, {"n": math.inf}, {"half_width": 0}, {"half_width": -1}, {"half_width": math.inf}]
)
def test_there_must_be_pixels(options):
    with pytest.raises(JetmillError, match="image_pixels: n must be a whole number from 1 to 65536"):
        transforms.image_pixels(np.zeros(1), np.zeros(1), **options)


# All of them


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_jet_does_not_depend_on_those_around_it(name):
    """To the last bit, or what comes out would depend on how files are cut into chunks."""
    counts, c, jets = event(6, counts=np.random.default_rng(6).integers(0, 40, 60), missing=0.02)
    whole = apply(name, c, counts, jets, {})
    edges = [0, 1, 2, 5, 6, 13, 14, 30, 31, 32, 60]
    ends = np.concatenate([[0], np.cumsum(counts)])[edges]
    for j in range(len(edges) - 1):
        values, of = slice(ends[j], ends[j + 1]), slice(edges[j], edges[j + 1])
        part = apply(name, {k: v[values] for k, v in c.items()}, counts[of], {k: v[of] for k, v in jets.items()}, {})
        for output, column in part.items():
            assert column.tobytes() == whole[output][values].tobytes()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_columns_that_are_not_contiguous_and_other_types(name):
    counts, c, jets = event(7)
    single = {k: v.astype(np.float32) for k, v in c.items()}
    strided = {k: np.repeat(v, 2)[::2] for k, v in single.items()}
    expected = apply(name, {k: v.astype(np.float64) for k, v in single.items()}, counts, jets, {})
    for columns in (single, strided):
        found = apply(name, columns, counts.astype(np.uint16), jets, {})
        for output, column in found.items():
            assert column.dtype == np.float64
            assert column.tobytes() == expected[output].tobytes()
    integers = {k: np.maximum(v, 1).astype(np.int32) for k, v in c.items()}
    floats = apply(name, {k: v.astype(np.float64) for k, v in integers.items()}, counts, jets, {})
    for output, column in apply(name, integers, counts, jets, {}).items():
        np.testing.assert_array_equal(column, floats[output])


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("counts", [[], [0, 0], [0, 1, 0]])
def test_nothing_comes_to_nothing(name, counts):
    counts, c, jets = event(8, counts=np.array(counts, dtype=np.int64))
    for column in apply(name, c, counts, jets, {}).values():
        assert column.shape == (counts.sum(),)


def test_roles_and_prefix():
    counts, c, jets = event(9)
    columns = {"track_pt": c["pt"], "track_eta": c["eta"], "phi": c["phi"]}
    roles = {"pt": "track_pt", "eta": "track_eta"}
    expected = transforms.rotated_angles(c["pt"], c["eta"], c["phi"], counts)
    for options, names in (({}, ["rotated_eta", "rotated_phi"]), ({"prefix": "rot_"}, ["rot_eta", "rot_phi"])):
        found = apply("rotated_angles", columns, counts, {}, roles, **options)
        assert list(found) == names == TRANSFORMS["rotated_angles"].names(options.get("prefix"))
        np.testing.assert_array_equal(list(found.values()), expected)
    assert TRANSFORMS["rotated_angles"].variables(roles) == (["track_pt", "track_eta", "phi"], [])
    roles = {"jet_eta": "axis"}
    assert TRANSFORMS["relative_angles"].variables(roles) == (["eta", "phi"], ["axis", "phi"])
    # The role of a jet is played by a variable of the jets, even where constituents have one of that name.
    found = apply("relative_angles", c, counts, {"axis": jets["eta"], "phi": jets["phi"]}, roles)
    same(found["relative_eta"], c["eta"] - np.repeat(jets["eta"], counts))


def test_jets():
    _, c, _ = event(10)
    jets = {"jet_pt": c["pt"], "eta": c["eta"], "phi": c["phi"], "m": c["energy"]}
    found = apply_to_jets("cartesian_from_mass", jets, {"pt": "jet_pt", "mass": "m"}, prefix="jet_")
    assert list(found) == ["jet_px", "jet_py", "jet_pz", "jet_energy"]
    px, py, pz, energy = found.values()
    same(np.sqrt(energy**2 - px**2 - py**2 - pz**2), c["energy"], rtol=1e-6)
    same(np.hypot(px, py), c["pt"])
    same(np.arctan2(py, px), c["phi"])
    same(np.arctanh(pz / np.sqrt(px**2 + py**2 + pz**2)), c["eta"])
    jets = {"pt": c["pt"], "eta": c["eta"], "phi": c["phi"], "mass": c["energy"], "energy": c["energy"]}
    for name in JET_TRANSFORMS:
        values = apply_to_jets(name, jets, {}).values()
        assert all(v.dtype == np.float64 and v.shape == c["pt"].shape for v in values)


@pytest.mark.parametrize(
    ("name", "roles", "options", "message"),
    [
        ("rotate_angles", {}, {}, r"unknown transform 'rotate_angles'. Did you mean 'rotated_angles'\? Known: cart"),
        ("log_set", {"enrgy": "E"}, {}, r"'log_set' has no role 'enrgy'. Did you mean 'energy'\? Known: pt, energy"),
        ("log_set", {"energy": "Pt"}, {}, r"no variable 'Pt' for its role 'energy'. Did you mean 'pt'\? .*`energy: <"),
        ("log_set", {}, {}, r"transform 'log_set': there is no variable 'energy' for its role 'energy'\. Say which"),
        ("relative_angles", {}, {}, r"no variable 'eta' of the jets for its role 'jet_eta'. Did you mean 'etas'"),
        ("image_pixels", {}, {"width": 1}, r"has no option 'width'. Did you mean 'half_width'\? Known: n, half_width"),
        ("delta_r", {}, {"n": 1}, r"has no option 'n'\. Known: none"),
    ],
)
def test_mistakes(name, roles, options, message):
    columns = dict.fromkeys(["pt", "eta", "phi"], np.ones(2))
    with pytest.raises(JetmillError, match=message):
        apply(name, columns, np.array([2]), {"etas": np.ones(1)}, roles, options=options)


def test_mistakes_of_jets():
    with pytest.raises(JetmillError, match=r"unknown transform 'rotated_angles'\."):
        apply_to_jets("rotated_angles", {}, {})
    with pytest.raises(JetmillError, match=r"'cartesian': there is no variable 'pt' for its role 'pt'"):
        apply_to_jets("cartesian", {}, {})


def test_no_warnings_of_overflow():
    columns = {"pt": np.array([1e300, 0.0]), "eta": np.array([1e4, np.inf]), "phi": np.array([np.inf, 1.0])}
    with np.errstate(all="raise"):
        for name in ("cartesian", "energy_massless", "centred_angles", "rotated_angles"):
            apply(name, columns, np.array([2]), {}, {})


def test_the_table_tells_all():
    page = transforms.table(TRANSFORMS)
    assert (
        "| `rotated_angles` | `pt` `eta` `phi` | `rotated_eta` `rotated_phi` | centred_angles, then eta cos(a)" in page
    )
    assert "| `relative_angles` | `eta` `phi` `jet_eta` `jet_phi` |" in page
    for known in (TRANSFORMS, JET_TRANSFORMS):
        lines = transforms.table(known).splitlines()
        assert len(lines) == 2 + len(known)
        assert {line.count("|") for line in lines} == {6}
        assert all(t.formula for t in known.values())


def test_two_million_constituents_in_well_under_a_second():
    counts, c, _ = event(11, counts=np.random.default_rng(11).poisson(50, 40_000))
    times = []
    for _ in range(3):
        start = process_time()
        transforms.rotated_angles(c["pt"], c["eta"], c["phi"], counts)
        times.append(process_time() - start)
    assert min(times) < 0.7
