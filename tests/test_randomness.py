import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jetmill.randomness import generator, keys, mix, selection_key, uniform

N = 200_000
UINT64 = st.integers(0, 2**64 - 1)


def identities(n=N):
    """Return what jets are keyed by: file, entry, position, all small and in order."""
    row = np.arange(n)
    return [row // 50_000, row // 5 % 10_000, row % 5]


def unmix(z):
    """Invert the finaliser of SplitMix64 with integers of Python."""
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        undone = z
        for _ in range(64 // shift + 1):
            undone = z ^ (undone >> shift)
        z = undone * pow(factor, -1, 2**64) % 2**64
    return (z - 0x9E3779B97F4A7C15) % 2**64


@given(st.lists(UINT64, min_size=1))
def test_mix_is_a_bijection(values):
    assert [unmix(int(z)) for z in mix(np.array(values, dtype=np.uint64))] == values


def test_mix_is_splitmix64():
    # First outputs of the generator with seed 0, as in the reference implementation.
    state = np.array([0, 0x9E3779B97F4A7C15], dtype=np.uint64)
    assert [hex(z) for z in mix(state)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


def test_mix_leaves_its_argument():
    values = np.arange(5, dtype=np.uint64)
    mix(values)
    np.testing.assert_array_equal(values, np.arange(5))


def test_mix_flips_half_of_the_bits_for_any_input_bit():
    start = mix(np.arange(2000, dtype=np.uint64))
    for bit in range(64):
        changed = start ^ mix(np.arange(2000, dtype=np.uint64) ^ np.uint64(1 << bit))
        share = np.unpackbits(changed.view(np.uint8)).mean()
        assert abs(share - 0.5) < 0.01


@pytest.mark.parametrize("names", [("order", "tt"), ("order", "qcd"), ("split", "tt"), ("rank", "tt", "0001")])
def test_keys_are_uniform(names):
    key = keys(1, *names, of=identities())
    assert key.dtype == np.uint64
    assert len(np.unique(key)) == N
    assert stats.kstest(uniform(key), "uniform").pvalue > 1e-3
    for bits in (key >> np.uint64(56), key & np.uint64(255)):
        assert stats.chisquare(np.bincount(bits.astype(int), minlength=256)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("seed", "names", "change"),
    [
        (2, ("order", "tt"), None),
        (1, ("split", "tt"), None),
        (1, ("order", "qcd"), None),
        (1, ("order", "tt"), mix),
        (1, ("order", "tt"), selection_key),
    ],
)
def test_keys_for_other_purposes_are_independent(seed, names, change):
    a, b = keys(1, "order", "tt", of=identities()), keys(seed, *names, of=identities())
    b = change(b) if change else b
    table = np.histogram2d(uniform(a), uniform(b), bins=(8, 8), range=((0, 1), (0, 1)))[0]
    assert stats.chi2_contingency(table).pvalue > 1e-3
    assert abs(stats.spearmanr(uniform(a), uniform(b)).statistic) < 0.01


def test_selection_keys_are_uniform_and_independent_of_the_place_in_a_part():
    key = keys(1, "order", "tt", of=identities())
    selected = selection_key(key)
    assert selected.dtype == np.uint64
    assert len(np.unique(selected)) == N
    assert stats.kstest(uniform(selected), "uniform").pvalue > 1e-3
    place = uniform(mix(key))  # by which a part is shuffled
    table = np.histogram2d(place, uniform(selected), bins=(8, 8), range=((0, 1), (0, 1)))[0]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_neighbouring_keys_are_independent():
    u = uniform(keys(1, "order", "tt", of=identities()))
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.01


def test_order_and_number_of_columns_matter():
    a, b = np.arange(100), np.arange(100, 200)
    forms = [keys(1, "x", of=columns) for columns in ([a, b], [b, a], [a], [b], [a, b, a])]
    assert len(np.unique(forms)) == 500


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint32, np.uint64])
def test_keys_do_not_depend_on_the_integer_type(dtype):
    column = np.arange(100)
    np.testing.assert_array_equal(keys(1, "x", of=[column.astype(dtype)]), keys(1, "x", of=[column]))


def test_keys_are_those_of_every_release():
    # A change here changes every output and every split: bump the version if it is meant.
    key = keys(1, "order", "tt", of=[np.array([0, 1]), np.array([5, 6]), np.array([2, 0])])
    start = int(np.random.SeedSequence([1, 2, *map(_name, ("order", "tt"))]).generate_state(1, np.uint64)[0])
    for row, values in zip(key, ([0, 5, 2], [1, 6, 0]), strict=True):
        expected = start
        for value in values:
            expected = _mix(expected ^ value)
        assert int(row) == expected


def _name(name):
    from hashlib import blake2b

    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def _mix(value):
    z = (value + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


@given(st.lists(UINT64, min_size=1))
def test_uniform_is_below_one(values):
    u = uniform(np.array(values, dtype=np.uint64))
    assert ((u >= 0) & (u < 1)).all()
    np.testing.assert_allclose(u, [v / 2**64 for v in values], rtol=0, atol=2**-53)


def test_generators_belong_to_their_names():
    def draw(*names):
        return tuple(generator(*names).integers(2**63, size=2))

    assert draw(1, "rank", "tt", "0001") == draw(1, "rank", "tt", "0001")
    others = [
        (1, "rank"),
        (1, "toy"),
        (2, "rank"),
        (1, "quota"),
        (1, "rank", "tt"),
        (1, "tt", "rank"),
        (1, "toy", 0),
        (1, "toy", 1),
    ]
    assert len({draw(*names) for names in others}) == len(others)
