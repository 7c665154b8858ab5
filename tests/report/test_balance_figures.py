"""Figures of cleaning and balance, beside numbers counted by hand."""

import numpy as np
import pytest

from jetmill.report.bars import draw_class_counts, draw_cutflow
from jetmill.report.resampling import draw_resampling
from jetmill.report.spectra import Table, draw_maps, draw_spectra, draw_weights, effective_shares, shapes
from jetmill.report.style import class_styles, style
from jetmill.report.ticks import characters, linear_ticks, log_ticks, tick_labels
from jetmill.report.titles import title_of
from jetmill.settings.figures import FigureSettings
from jetmill.settings.report import ShownVariable

EDGES = {"eta": np.array([-2.0, 0.0, 2.0]), "pt": np.array([20.0, 50.0, 100.0, 300.0])}
SETTINGS = FigureSettings(label="CMS Simulation", energy="GeV")
CLASSES = class_styles(["b", "light"], SETTINGS)

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def _style():
    with style():
        yield


def saved(figure, tmp_path):
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000
    return figure


def test_cutflow_bars_are_shares_of_the_jets_read(tmp_path):
    flows = {"tt": [("read", 200), ("pt >= 20", 50)], "qcd": [("read", 10), ("pt >= 20", 1)]}
    (axes,) = saved(draw_cutflow(flows, "Simulation"), tmp_path).axes
    widths = [bar.get_width() for container in axes.containers for bar in container]
    assert widths == [1, 0.25, 1, 0.1]
    assert [text.get_text() for text in axes.texts][:2] == ["200  (100.0%)", "50  (25.0%)"]


def test_classes_have_bars_of_their_colour(tmp_path):
    (axes,) = saved(draw_class_counts(CLASSES, {"train": [1000, 20], "val": [3, 0]}, ""), tmp_path).axes
    assert [[bar.get_height() for bar in bars] for bars in axes.containers] == [[1000, 3], [20, 0]]


def test_spectra_are_shares_per_unit_with_errors():
    counts, squares = np.arange(12.0).reshape(2, 2, 3), np.full((2, 2, 3), 4.0)
    values, errors = shapes(counts, squares, 1, EDGES["pt"])
    np.testing.assert_allclose(values[0], np.array([3, 5, 7]) / 15 / [30, 50, 200])
    np.testing.assert_allclose(errors[0], np.sqrt(8) / 15 / np.array([30, 50, 200]))


def test_figures_of_the_bins_can_be_drawn_with_empty_ones(tmp_path):
    empty = np.zeros((2, 2, 3))
    empty[0, 1, 2] = 5
    tables = [Table("as cleaned", empty, empty), Table("weights flat", empty, None, np.ones((2, 3)))]
    figure = saved(draw_spectra(CLASSES, EDGES, tables, SETTINGS), tmp_path)
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()] == ["η", "η", "$p_T$ [GeV]", "$p_T$ [GeV]"]
    saved(draw_maps(CLASSES, EDGES, tables, SETTINGS), tmp_path)
    saved(draw_weights(CLASSES, {"flat": empty / 5}, empty, empty, ""), tmp_path)
    repeats = {"train": np.array([[5, 20, 10], [0, 40, 0]])}
    saved(draw_resampling(CLASSES, {"train": np.array([40, 40])}, repeats, ""), tmp_path)


def test_spectra_of_many_tables_are_in_rows_of_three():
    tables = [Table(str(number), np.full((2, 2, 3), 1 + number), np.ones((2, 2, 3))) for number in range(5)]
    figure = draw_spectra(CLASSES, EDGES, tables, SETTINGS)
    plots = [axes for axes in figure.axes if axes.get_position().height > 0.1]
    assert len(plots) == 5 * len(EDGES)
    titled = {axes.get_title(loc="right"): axes.get_position() for axes in plots if axes.get_title(loc="right")}
    for number in range(5):
        place, first = titled[str(number)], titled["0"]
        assert place.x0 == pytest.approx(titled[str(number % 3)].x0)
        assert (place.y0 < first.y0) == (number >= 3)


def test_maps_of_many_bins_are_drawn_coarser(tmp_path):
    edges = {"eta": np.linspace(-2.5, 2.5, 1001), "pt": np.geomspace(20, 1000, 151)}
    table = np.random.default_rng(1).poisson(0.1, (2, 1000, 150))
    figure = saved(draw_maps(CLASSES, edges, [Table("as cleaned", table)], SETTINGS), tmp_path)
    maps = [axes.collections[0] for axes in figure.axes if axes.get_title()]
    for mesh, counts in zip(maps, table, strict=True):
        corners = mesh.get_coordinates()
        area = np.outer(np.diff(corners[:, 0, 1]), np.diff(corners[0, :, 0]))
        assert area.shape == (150, 200)
        expected = counts.reshape(200, 5, 150).sum(axis=1).T
        np.testing.assert_allclose(mesh.get_array().filled(0).reshape(150, 200) * area, expected, atol=1e-9)


def test_the_effective_share_is_that_of_a_list_of_weights():
    counts, weights = np.array([[3, 1], [0, 0]]), np.array([[1.0, 4.0], [1.0, 1.0]])
    listed = np.array([1, 1, 1, 4])
    share, none = effective_shares(counts, counts, weights)
    assert share == pytest.approx(listed.sum() ** 2 / (listed**2).sum() / 4)
    assert none == 0


def test_ticks_are_round_and_readable():
    assert linear_ticks(0, 1, 6)[0] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert tick_labels(log_ticks(20, 1000, 6)[0], log=True) == ["20", "50", "100", "200", "500", "1000"]
    assert tick_labels(np.array([-0.5, -1e-17, 0.5])) == ["-0.5", "0", "0.5"]


def test_colours_of_classes_differ():
    for n in (2, 6, 7, 10, 25):
        assert len({(s.colour, s.dashes) for s in class_styles([*map(str, range(n))], SETTINGS)}) == n


def test_classes_with_labels_and_colours_of_their_own():
    settings = FigureSettings(
        class_labels={"b": "$b$-jets"}, class_colours={"b": "tab:orange", "bb": "tab:orange", "tau": "#5790fd"}
    )
    styles = {s.label: s for s in class_styles(["b", "bb", "rest", "tau"], settings)}
    assert list(styles) == ["$b$-jets", "bb", "rest", "tau"]
    assert [s.colour for s in styles.values() if s.label != "rest"] == ["tab:orange", "tab:orange", "#5790fd"]
    assert [s.dashes for s in styles.values()] == ["-", "--", "-", "-"]
    # Neither blue nor orange, which others have.
    assert styles["rest"].colour == "#e42536"


def test_the_legend_of_a_formula_is_about_as_long_as_it_is_drawn():
    assert characters("pt_btagJes") == 10
    assert characters(r"$H \rightarrow b\bar{b}$") == len("H xbxb")


@pytest.mark.parametrize(
    ("name", "settings", "title"),
    [
        ("pt", SETTINGS, "$p_T$ [GeV]"),
        ("pt", FigureSettings(), "$p_T$"),
        ("pt", FigureSettings(energy="MeV", factors={"pt": 0.001}), "$p_T$ [GeV]"),
        ("pt", FigureSettings(energy="MeV", factors={"pt": 0.0}), "$p_T$"),
        ("pt_btagJes", FigureSettings(), "$p_T$ [MeV]"),
        ("numberOfInnermostPixelLayerHits", SETTINGS, "innermost pixel layer hits"),
        ("DeepCSV_trackSip3dSig_2", SETTINGS, "signed 3D IP significance, 2"),
        ("my_variable", SETTINGS, "my_variable"),
        ("pt", FigureSettings(variables={"pt": ShownVariable(label="jet $p_T$", unit="TeV")}), "jet $p_T$ [TeV]"),
    ],
)  # fmt: skip
def test_titles_name_quantity_and_unit(name, settings, title):
    assert title_of(name, settings) == title
