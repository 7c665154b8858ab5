"""Flavours and cuts of atlas-ftag-tools, against the package itself."""

import sys

import numpy as np
import pytest

from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.settings.figures import FigureSettings
from jetmill.variables.expressions import Expression
from jetmill.variables.ftag import all_cuts, cut_expression, flavour_class, flavours, read_flavours

COLUMNS = {"x": np.arange(-6, 6), "y": np.linspace(-1, 1, 12)}


def config(**classes):
    return {
        "samples": {"tt": {"files": "tt.h5"}},
        "input": {"format": "hdf5"},
        "jets": {"variables": ["pt"]},
        "classes": classes,
        "balance": {"bins": {"pt": [0, 1, 2]}},
    }


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ("x == 5", COLUMNS["x"] == 5),
        (["x", "!=", 5], COLUMNS["x"] != 5),
        (["y", ">", 0.25], COLUMNS["y"] > 0.25),
        (["y", "<=", "-0.5"], COLUMNS["y"] <= -0.5),
        ("x in (1,-2)", np.isin(COLUMNS["x"], [1, -2])),
        ("x notin (1,-2)", ~np.isin(COLUMNS["x"], [1, -2])),
        ("x in (3,)", COLUMNS["x"] == 3),
        (["x", "%4==", 3], COLUMNS["x"] % 4 == 3),
        (["x", "%10<=", 7], COLUMNS["x"] % 10 <= 7),
    ],
)
def test_cuts(cut, expected):
    assert Expression(cut_expression(cut))(COLUMNS).tolist() == expected.tolist()


def test_all_cuts_are_true():
    expected = (COLUMNS["x"] > 0) & (COLUMNS["y"] < 0.5)
    assert Expression(all_cuts(["x > 0", ["y", "<", 0.5]]))(COLUMNS).tolist() == expected.tolist()


@pytest.mark.parametrize("cut", ["x == nan", "x ~ 5", "x == a", "x", ["x", "%1.5==", 1], ["x", "%4>", 1]])
def test_cuts_without_an_equal(cut):
    with pytest.raises(JetmillError, match="x"):
        cut_expression(cut)


@pytest.mark.readers
def test_every_flavour_selects_what_the_package_selects():
    ftag = pytest.importorskip("ftag")
    generator = np.random.default_rng(1)
    for prefix, theirs in (("ftag.", ftag.Flavours), ("ftag.extended.", ftag.Extended_Flavours)):
        assert list(flavours(prefix != "ftag.")) == [flavour.name for flavour in theirs]
        for flavour in theirs:
            numbers = {int(n) for cut in flavour.cuts for n in np.atleast_1d(cut.value)}
            near = sorted({n + d for n in numbers for d in (-1, 0, 1)})
            jets = np.zeros(500, dtype=[(name, "i4") for name in flavour.cuts.variables])
            for name in jets.dtype.names:
                jets[name] = generator.choice(near, len(jets))
            selected = Expression(flavour_class(prefix + flavour.name)["cut"])({n: jets[n] for n in jets.dtype.names})
            assert np.flatnonzero(selected).tolist() == flavour.cuts(jets).idx.tolist()


@pytest.mark.readers
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ftag.bjet", "has no flavour 'ftag.bjet'. Did you mean 'ftag.bjets'?"),
        ("ftag.bbjets", "Did you mean 'ftag.extended.bbjets'?"),
        ("ftag.extended.bbjet", "Did you mean 'ftag.extended.bbjets'?"),
        ("ftag.qwxyz", "atlas-ftag-tools has no flavour 'ftag.qwxyz'."),
    ],
)
def test_a_flavour_that_is_not_there(name, hint):
    pytest.importorskip("ftag")
    with pytest.raises(JetmillError) as error:
        load(config(b=name))
    assert str(error.value).startswith("classes.b: ")
    assert str(error.value).endswith(hint)


@pytest.mark.readers
def test_classes_by_flavour():
    pytest.importorskip("ftag")
    classes = load(config(b="ftag.bjets", c={"samples": ["tt"], "cut": "ftag.cjets"}, other="rest")).classes
    assert [of.cut for of in classes.values()] == [
        "HadronConeExclTruthLabelID == 5",
        "HadronConeExclTruthLabelID == 4",
        "rest",
    ]


@pytest.mark.readers
def test_labels_and_colours_of_flavours():
    pytest.importorskip("ftag")
    given = {"b": "ftag.bjets", "c": {"cut": "ftag.cjets", "label": "charm"}, "other": "rest"}
    found = FigureSettings.from_config(load(config(**given)))
    assert found.class_labels == {"b": "$b$-jets", "c": "charm"}
    assert found.class_colours == {"b": "tab:blue", "c": "tab:orange"}


@pytest.mark.readers
def test_every_flavour_can_be_drawn():
    pytest.importorskip("ftag")
    for prefix, extended in (("ftag.", False), ("ftag.extended.", True)):
        load(config(**{name: prefix + name for name in flavours(extended)}))


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ({"label": r"$\betta$"}, r"classes.b.label: its mathematics is wrong at '\\betta'"),
        ({"colour": "darkbleu"}, "classes.b.colour: 'darkbleu' is not a colour that matplotlib knows."
         " Did you mean 'darkblue'?"),
    ],
)  # fmt: skip
def test_labels_and_colours_that_cannot_be_drawn(shown, message):
    with pytest.raises(JetmillError) as error:
        load(config(b={"cut": "flavour == 5", **shown}, other="rest"))
    assert str(error.value).startswith(message)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "ftag", None)
    with pytest.raises(JetmillError) as error:
        load(config(b="ftag.bjets"))
    assert "needs atlas-ftag-tools; `pip install atlas-ftag-tools`, or write the expression" in str(error.value)


def test_a_file_without_flavours(tmp_path):
    path = tmp_path / "flavours.yaml"
    path.write_text("bjets: {cuts: [x == 5]}")
    with pytest.raises(JetmillError, match="must be a list of flavours, each with name and cuts"):
        read_flavours(path)
