"""What is said about suspicious values of a variable that enter its scaler."""

from functools import reduce
from operator import add

import awkward as ak
import numpy as np
import pytest
import uproot
from blocks import statistics_of
from hypothesis import given
from hypothesis import strategies as st

from jetmill.scaling.moments import Moments
from jetmill.scaling.scalers import fit_all
from jetmill.scaling.sentinels import Ends, sentinels
from jetmill.settings.scaling import ScalingRules

RNG = np.random.default_rng(3)
NORMAL = RNG.normal(0, 20, 10_000)
POSITIVE = RNG.gamma(2, 1.3, 10_000) + 0.01


def found(values):
    values = np.asarray(values, dtype=np.float32)
    moments = Moments.of(values)
    return sentinels(Ends.of(values), moments.count, moments.mean, moments.squares)


def warnings(values, of="jets", **settings):
    values = np.asarray(values, dtype=np.float32)
    statistics = statistics_of(lambda: [values], log="x" in settings.get("log", ()), quartiles=False)
    return fit_all({of: {"x": statistics}}, {of: ScalingRules(**settings)}, strict=True)[1][of]["x"]


@pytest.mark.parametrize(
    ("values", "sentinel"),
    [
        (np.r_[NORMAL, [-999] * 8000], (-999, 8000)),
        (np.r_[np.clip(NORMAL * 50, -998, 998), [-999] * 10], (-999, 10)),  # no gap, but nobody measures -999
        (np.r_[POSITIVE, [-1] * 500], (-1, 500)),  # the only negative value
        (np.r_[NORMAL, [1e6] * 200], (1e6, 200)),  # at the upper end
        (np.r_[NORMAL, [99999] * 200], (99999, 200)),
        (np.r_[RNG.poisson(3, 10_000), [-10] * 200], (-10, 200)),  # beside whole numbers
    ],
)
def test_a_value_that_stands_apart_is_found(values, sentinel):
    assert found(values) == [sentinel]


@pytest.mark.parametrize(
    "values",
    [
        NORMAL,
        POSITIVE,
        np.round(NORMAL),
        RNG.poisson(0.5, 10_000),  # many zeros, as counts have
        RNG.random(10_000) < 0.001,  # a flag
        np.where(RNG.random(10_000) < 0.9998, RNG.random(10_000) < 0.5, 2),
        RNG.choice([-1, 1], 10_000),  # a charge
        RNG.choice([-1, 0, 1], 10_000),
        RNG.choice([0, 4, 5], 10_000, p=[0.8, 0.1, 0.1]),  # a flavour
        np.maximum(NORMAL, 0),  # a rectified spectrum
        np.r_[NORMAL, [-500]],  # an outlier, once
        np.r_[NORMAL, [-500] * 9],
        np.full(1000, 3.0),
        [],
    ],
    ids=range(14),
)
def test_what_jets_really_have_is_not(values):
    assert found(values) == []


@given(st.lists(st.sampled_from([-999.0, -3.0, -1.0, 0.0, 0.5, 2.0, 7.0]), max_size=60), st.data())
def test_the_ends_do_not_depend_on_blocks(values, data):
    shuffled = np.array(data.draw(st.permutations(values)), dtype=np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=5)))
    ends = reduce(add, map(Ends.of, np.split(shuffled, cuts)), Ends())
    if not values:
        assert ends == Ends()
        return
    low, high = min(values), max(values)
    assert (ends.low, ends.n_low, ends.high, ends.n_high) == (low, values.count(low), high, values.count(high))
    # A neighbour may be missed where the end occurs once in its block; it is never one that is not there.
    assert ends.above_low in {np.inf, *(v for v in values if v > low)}
    assert ends.below_high in {-np.inf, *(v for v in values if v < high)}
    if not cuts and values.count(low) > 1:
        assert ends.above_low == min((v for v in values if v > low), default=np.inf)


def test_the_warning_names_the_key_to_add():
    (text,) = warnings(np.r_[NORMAL, [-999] * 8000])
    assert "variable 'x' of jets is exactly -999 for 8,000 of 18,000 values" in text
    assert "jets.missing.values_of: {x: [-999]}" in text
    (text,) = warnings(np.r_[NORMAL, [-999] * 8000], of="tracks")
    assert "constituents.tracks.missing.values_of: {x: [-999]}" in text
    assert warnings(np.r_[NORMAL, [-999] * 8000], unscaled=["x"]) == []


def test_more_missing_than_not():
    half = np.r_[NORMAL, [np.nan] * 10_000]
    assert warnings(half) == []
    assert warnings(np.r_[half, [np.nan]]) == ["variable 'x' of jets is missing for 10,001 of 20,001 values"]


def test_logarithms_that_do_not_exist():
    (text,) = warnings(np.r_[POSITIVE, 0, -0.1], log=["x"])
    assert "variable 'x' of jets is not above 0 for 2 of 10,002 values" in text
    assert warnings(POSITIVE, log=["x"]) == []


@pytest.mark.real_data
def test_sentinels_of_a_real_file(shared_data):
    with uproot.open(shared_data("NanoAODv5_sample.root")) as file:
        jets = file["Events"].arrays(filter_name="Jet_*")
    values = {name.removeprefix("Jet_"): ak.to_numpy(ak.flatten(jets[name])) for name in jets.fields}
    suspicious = {name: [v for v, _ in found(x)] for name, x in values.items() if found(x)}
    assert suspicious == {"btagCSVV2": [-10], "btagDeepB": [-2], "btagDeepC": [-1], "qgl": [-1]}
