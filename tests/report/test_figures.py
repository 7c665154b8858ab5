import warnings

import numpy as np
import pytest

from jetmill.report import figures

CLASSES = ("b", "light")
EDGES = {"eta": np.array([-2.0, 0.0, 2.0]), "pt": np.array([20.0, 50.0, 100.0, 300.0])}


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(figure, tmp_path):
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000
    return figure


def stairs(axes):
    return [patch.get_data().values for patch in axes.patches]


def test_cutflow_bars_are_shares_of_the_jets_read(tmp_path):
    flows = {"tt": [("read", 200), ("pt >= 20", 50)], "qcd": [("read", 10), ("pt >= 20", 1)]}
    (axes,) = drawn(figures.draw_cutflow(flows), tmp_path).axes
    assert [bar.get_width() for bar in axes.patches] == [1, 0.25, 1, 0.1]
    assert [text.get_text() for text in axes.texts] == ["200  (100.0%)", "50  (25.0%)", "10  (100.0%)", "1  (10.0%)"]


def test_class_counts(tmp_path):
    (axes,) = drawn(figures.draw_class_counts(CLASSES, {"train": [1000, 20], "val": [3, 0]}), tmp_path).axes
    assert [bar.get_height() for bar in axes.patches] == [1000, 20, 3, 0]


def test_spectra_are_projections_per_unit(tmp_path):
    table = np.arange(12.0).reshape(2, 2, 3)
    figure = drawn(figures.draw_spectra(CLASSES, EDGES, {"as cleaned": table}), tmp_path)
    along_eta, along_pt = figure.axes
    np.testing.assert_allclose(stairs(along_eta), [[3 / 132, 12 / 132], [21 / 132, 30 / 132]])
    np.testing.assert_allclose(stairs(along_pt)[0], np.array([3, 5, 7]) / [30, 50, 200] / 66)


def test_maps_with_empty_cells(tmp_path):
    table = np.zeros((2, 2, 3))
    table[0, 1, 2] = 5
    figure = drawn(figures.draw_maps(CLASSES, EDGES, {"as cleaned": table, "weights flat": table}), tmp_path)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["b, as cleaned", "light, as cleaned"]


def test_maps_of_many_bins_are_drawn_coarser(tmp_path):
    edges = {"eta": np.linspace(-2.5, 2.5, 1001), "pt": np.geomspace(20, 1000, 151)}
    table = np.random.default_rng(1).poisson(0.1, (2, 1000, 150))
    figure = drawn(figures.draw_maps(CLASSES, edges, {"as cleaned": table}), tmp_path)
    maps = [axes.collections[0] for axes in figure.axes if axes.get_title()]
    for mesh, counts in zip(maps, table, strict=True):
        corners = mesh.get_coordinates()
        area = np.outer(np.diff(corners[:, 0, 1]), np.diff(corners[0, :, 0]))
        assert area.shape == (150, 200)
        expected = counts.reshape(200, 5, 150).sum(axis=1).T
        np.testing.assert_allclose(mesh.get_array().filled(0).reshape(150, 200) * area, expected, atol=1e-9)
