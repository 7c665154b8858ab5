"""The selections of Root2HDF5 in the tutorial, against the formulas of the predecessor in MeV."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from jetmill.cleaning.cuts import apply_cuts
from jetmill.settings.jets import Cut

TUTORIAL = Path(__file__).resolve().parents[2] / "docs/trees-tutorial.md"
SECTION = TUTORIAL.read_text().split("## The selections of Root2HDF5")[1]
SELECTIONS = yaml.safe_load(re.search(r"```yaml\n(.*?)```", SECTION, flags=re.DOTALL)[1])
IN_MEV = ("pt", "m", "true_pt", "true_m", "split23")

ORACLE = {
    "common": lambda j: (np.abs(j["true_eta"]) < 2) & (j["true_pt"] > 350e3) & (j["m"] > 40e3) & (j["n_clusters"] > 2),
    "signal": lambda j: (
        (np.abs(j["flavour"]) == 6)
        & (j["dr_top"] < 0.75)
        & (j["dr_w"] < 0.75)
        & (j["true_m"] > 140e3)
        & (j["n_ghost_b"] > 0)
        & (np.log(j["split23"] / 1e3) > 3.3 - 6.98e-4 * j["pt"] / 1e3)
    ),
    "ttbar": lambda j: j["ttbar_delta_r"] < 2,
    "transferred": lambda j: (np.abs(j["eta"]) < 2) & (j["pt"] > 350e3) & (j["m"] > 40e3) & (j["n_clusters"] > 2),
    "calibration": lambda j: np.abs(j["true_eta"]) < 2.5,
    "every_22nd": lambda j: np.array([int(n) % 22 == 0 for n in j["EventInfo_mcEventNumber"]]),
}


@pytest.fixture(scope="module")
def jets():
    rng, n = np.random.default_rng(1), 20_000
    return {
        **{name: rng.uniform(-3, 3, n) for name in ("eta", "true_eta")},
        **{name: rng.uniform(200e3, 1500e3, n) for name in ("pt", "true_pt")},
        **{name: rng.uniform(0, 250e3, n) for name in ("m", "true_m")},
        "split23": rng.uniform(1, 40e3, n),
        **{name: rng.uniform(0, 3, n) for name in ("dr_top", "dr_w", "ttbar_delta_r")},
        "flavour": rng.choice([-6, -5, 5, 6], n),
        **{name: rng.integers(0, 6, n) for name in ("n_clusters", "n_ghost_b")},
        "EventInfo_mcEventNumber": rng.integers(322_000_000, 323_000_000, n),
    }


@pytest.mark.parametrize("name", ORACLE)
def test_they_select_the_jets_of_the_predecessor(jets, name):
    table = {key: values / 1e3 if key in IN_MEV else values for key, values in jets.items()}
    table["count(clusters)"] = table["n_clusters"]
    passed, left = apply_cuts(table, [Cut(cut=text) for text in SELECTIONS[name]])
    expected = ORACLE[name](jets)
    assert 0 < expected.sum() < len(expected)
    np.testing.assert_array_equal(passed, expected)
    assert left[-1] == expected.sum()


def test_all_of_them_are_checked():
    assert set(SELECTIONS) == set(ORACLE)
