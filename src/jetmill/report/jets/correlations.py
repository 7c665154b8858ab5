"""Linear correlations of the inputs."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jetmill.report.jets.figure import Figure, Sample
from jetmill.report.plots import grid
from jetmill.report.ticks import length_of, name_rows


def correlations(scaled: np.ndarray, is_default: np.ndarray) -> np.ndarray:
    """Return Pearson's coefficients of variables (n, n_variables), float64, of jets in which both are present.

    NaN for pairs of which less than three jets have both, or of which one does not vary.
    """
    present = (~is_default).astype(np.float64)
    values = np.where(is_default, 0, scaled).astype(np.float64)
    # Sums over the jets that have both, of each pair.
    n, first, square, product = present.T @ present, values.T @ present, (values**2).T @ present, values.T @ values
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = product / n - first * first.T / n**2
        variance = square / n - (first / n) ** 2
        # What rounding leaves of a constant is not a spread.
        variance = np.where(variance > 1e-10 * square / n, variance, np.nan)
        found: np.ndarray = covariance / np.sqrt(variance * variance.T)
    return np.where(n > 2, found.clip(-1, 1), np.nan)


def draw(sample: Sample) -> Iterator[tuple[str, Any]]:
    """Draw a matrix for the jets and for each collection, of two variables or more."""
    for of, variables in sample.variables.items():
        if len(variables.values) < 2:
            continue
        names = [sample.label(name) for name in variables.values]
        matrix = correlations(variables.scaled, variables.is_default)
        size, text = 2.0 + 0.13 * len(names), 6 if len(names) > 20 else 8
        room = 0.2 + length_of(names, text)
        drawn = grid(sample.settings.label, 1, 1, (size, size), margins=(room, 1.0, room, 0.15))
        axes, width = drawn.plots[0, 0], drawn.figure.get_figwidth()
        image = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
        name_rows(axes, "x", names, text)
        name_rows(axes, "y", names, text)
        if len(names) <= 12:
            for i, j in np.argwhere(np.isfinite(matrix)):
                colour = "white" if abs(matrix[i, j]) > 0.6 else "black"
                axes.text(j, i, f"{100 * matrix[i, j]:.0f}", ha="center", va="center", fontsize=7, color=colour)
        place = axes.get_position()
        bar = drawn.figure.add_axes((place.x1 + 0.12 / width, place.y0, 0.15 / width, place.height))
        drawn.figure.colorbar(image, cax=bar, label="linear correlation", ticks=[-1, -0.5, 0, 0.5, 1])
        yield of, drawn.figure


FIGURE = Figure(
    name="correlations",
    title="Correlations",
    caption="Pearson's coefficient of each pair of scaled variables, of the jets or constituents that have both; in"
    " percent where there is room. White where one does not vary.",
    draw=draw,
)
