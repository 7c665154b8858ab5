import numpy as np
import pytest
from batches import write_batch

from jetmill.columns.batch_list import read_batch_list, write_batch_lists
from jetmill.report import figures
from jetmill.stages import plot_constituents as stage


def batch(path, **counted):
    attributes = {
        "splits": np.array([1, 0, 0]),
        "sample": "tt",
        "cutflow": [["read", 1]],
        "inputs": [],
        "warnings": [],
        "constituents": counted,
    }
    write_batch(path, iter([("key", np.zeros(1, dtype=np.uint64))]), attributes)
    return path


def test_constituents_of_all_batches_are_counted_together(tmp_path, monkeypatch):
    paths = [
        batch(tmp_path / "a.h5", tracks=[100, 80, 60], sv=[4, 4, 4]),
        batch(tmp_path / "b.h5", tracks=[100, 40, 40], sv=[0, 0, 0]),
    ]
    figures = []
    monkeypatch.setattr(stage, "save", lambda figure, _: figures.append(figure))
    batches = write_batch_lists(paths, {tmp_path / "batches.json": {}})
    stage.plot_constituents(batches, tmp_path / "c.png")
    (axes,) = figures[0].axes
    assert [bar.get_width() for bar in axes.patches] == [1, 0.6, 0.5, 1, 1, 1]
    assert [text.get_text().split()[0] for text in axes.texts] == ["200", "120", "100", "4", "4", "4"]
    assert batches[0].constituents == {"tracks": [100, 80, 60], "sv": [4, 4, 4]}
    assert [b.__dict__ | {"cutflow": [["read", 1]]} for b in batches] == [
        b.__dict__ for b in read_batch_list(tmp_path / "batches.json")
    ]


def test_resampling_shows_shapes_ratios_and_repeats(tmp_path):
    edges = {"pt": np.array([20.0, 50.0, 100.0])}
    written, target = np.array([[10, 30], [20, 20]]), np.array([25.0, 75.0])
    repeated = np.array([[5, 20, 10], [0, 40, 0]])
    figure = figures.draw_resampling(["b", "c"], edges, written, target, repeated)
    figure.savefig(tmp_path / "r.png")
    shape, ratio, times, shares = figure.axes
    np.testing.assert_allclose(
        [p.get_data().values * np.diff(edges["pt"]) for p in shape.patches][1:], [[0.25, 0.75], [0.5, 0.5]]
    )
    np.testing.assert_allclose([p.get_data().values for p in ratio.patches], [[1, 1], [2, 2 / 3]])
    assert [bar.get_height() for bar in times.patches] == [20, 10, 40, 0]
    # Of 35 jets of class b 30 are used, and 30 of the 40 that are written are different ones.
    assert [bar.get_height() for bar in shares.patches] == pytest.approx([30 / 35, 1, 30 / 40, 1])
