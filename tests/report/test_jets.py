"""Figures of the training jets, beside plain loops and scikit-learn."""

import json
from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score, roc_curve

import jetmill
from jetmill.columns.batch_list import read_batch_list
from jetmill.config.load import load
from jetmill.report.jets.closure import deviations
from jetmill.report.jets.correlations import correlations
from jetmill.report.jets.figure import Sample, Variables
from jetmill.report.jets.registry import FIGURES
from jetmill.report.jets.roc import efficiencies
from jetmill.report.jets.variables import histogram, missing_shares
from jetmill.report.style import class_styles, style
from jetmill.settings.figures import FigureSettings
from jetmill.settings.report import ShownVariable
from jetmill.stages.plot_jets import number_of_ranges, plot_jets

SETTINGS = FigureSettings(variables={"x": ShownVariable(label="jet $x$", unit="GeV")})
RNG = np.random.default_rng(3)
N = 400


@pytest.fixture(scope="module")
def sample():
    """Two variables: one missing for some jets, and one without any value."""
    x = RNG.normal(50, 10, N)
    x[:48:2] = x[1:33:2] = np.nan
    values = {"x": x, "gone": np.full(N, np.nan)}
    scaled = np.stack([np.where(np.isnan(x), -9, (x - 50) / 10), np.zeros(N)], axis=1).astype(np.float32)
    missing = np.stack([np.isnan(c) for c in values.values()], axis=1)
    restored = {"x": scaled[:, 0].astype(np.float64) * 10 + 50, "gone": np.zeros(N)}
    label = (np.arange(N) % 2).astype(np.uint8)
    variables = Variables(values, scaled, missing, restored, label, np.ones(N, dtype=np.float32))
    return Sample(class_styles(["b", "light"], SETTINGS), {"jets": variables}, {"tagger": RNG.random(N)}, SETTINGS)


@pytest.mark.filterwarnings("error")
def test_every_figure_can_be_drawn(sample, tmp_path):
    with style():
        drawn = {(name, of): figure for name, f in FIGURES.items() for of, figure in f.draw(sample)}
        for number, figure in enumerate(drawn.values()):
            figure.savefig(tmp_path / f"{number}.png")
    assert set(drawn) == {("variables", "jets-00"), ("correlations", "jets"), ("roc", ""), ("closure", "jets")}
    x, scaled, gone, *_ = drawn["variables", "jets-00"].axes
    assert x.get_xlabel() == "jet $x$ [GeV]"
    written = [text.get_text() for text in x.texts]
    assert written[written.index("missing") :] == ["missing", "12%", "8.0%"]
    assert scaled.get_xlabel() == "scaled, with defaults"
    assert gone.texts[0].get_text() == "missing everywhere"


def test_histograms_count_each_class_with_its_error():
    values, weight = np.arange(100.0) / 3, RNG.random(100)
    label = (np.arange(100) % 3).astype(np.uint8)
    found = histogram(values, label, weight, 3)
    edges = found.axes[0].edges
    for k in range(3):
        for b in range(len(edges) - 1):
            jets = zip(values, weight, label, strict=True)
            inside = [w for v, w, c in jets if edges[b] <= v < edges[b + 1] and c == k]
            assert found.values()[b, k] == pytest.approx(sum(inside))
            assert found.variances()[b, k] == pytest.approx(sum(w**2 for w in inside))


def test_missing_shares_are_those_of_each_class():
    missing, label = RNG.random(300) < 0.2, RNG.integers(0, 3, 300)
    of_each = [[m for m, k in zip(missing, label, strict=True) if k == c] for c in range(3)]
    assert missing_shares(missing, label, 4)[:3].tolist() == [sum(of) / len(of) for of in of_each]
    assert np.isnan(missing_shares(missing, label, 4)[3])


def test_small_integers_have_a_bin_each():
    assert histogram(np.array([0, 1, 1, 3.0]), np.zeros(4), np.ones(4), 1).values()[:, 0].tolist() == [1, 2, 0, 1]


def test_correlations_are_those_of_the_jets_that_have_both():
    values = RNG.normal(size=(300, 4)).astype(np.float32)
    values[:, 1] += values[:, 0]
    values[:, 3] = 7
    missing = RNG.random((300, 4)) < 0.3
    found = correlations(np.where(missing, -9, values).astype(np.float32), missing)
    for i, j in combinations(range(3), 2):
        both = ~missing[:, i] & ~missing[:, j]
        assert found[i, j] == pytest.approx(np.corrcoef(values[both, i], values[both, j])[0, 1], abs=1e-6)
    assert np.isnan(found[3, :3]).all()
    np.testing.assert_allclose(np.diag(found)[:3], 1)


def test_efficiencies_are_those_of_scikit_learn():
    score = np.round(RNG.random(500), 2)  # many jets of one score
    signal, weight = RNG.random(500) < score, RNG.random(500)
    efficiency, mistag = efficiencies(score, signal, weight)
    theirs = roc_curve(signal, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose((mistag, efficiency), theirs[:2], atol=1e-12)
    assert np.trapezoid(efficiency, mistag) == pytest.approx(roc_auc_score(signal, score, sample_weight=weight))


def test_deviations_are_in_the_unit_of_the_variable(sample):
    variables = sample.variables["jets"]
    largest, typical, spread = deviations(variables)["x"]
    plain = sorted(abs(a - b) for a, b in zip(variables.restored["x"], variables.values["x"], strict=True) if b == b)
    assert largest == plain[-1] < 1e-4
    assert typical == pytest.approx((plain[179] + plain[180]) / 2)
    assert spread == pytest.approx(np.nanstd(variables.values["x"]))
    assert "gone" not in deviations(variables)


@pytest.mark.workflow
def test_a_range_of_keys_has_about_the_jets_that_are_asked_for(default_run, tmp_path):
    results = default_run.results
    batches = read_batch_list(results / "clean/batches.json")
    n = len(jetmill.load(results / "train.h5"))
    assert number_of_ranges(batches, 10**6) == 1
    assert number_of_ranges(batches, n // 4) in (4, 5)
    raw = json.loads((results / "manifest.json").read_text())["config"]
    content = load(raw).content
    plot_jets(
        batches, results / "balance.h5", results / "scalers.json", tmp_path / "jets", content=content, n_jets=500,
        settings=FigureSettings(),
    )  # fmt: skip
    with Image.open(tmp_path / "jets/roc.png") as image:
        assert image.info["Title"] == "Spectators as taggers"
        assert image.info["Description"] == FIGURES["roc"].caption
