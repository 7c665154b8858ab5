"""Linear correlations of the inputs."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jetmill.report.jets.figure import Figure, Sample


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
    """Draw a matrix for the jets and for each collection."""
    from matplotlib.figure import Figure as Canvas

    for of, variables in sample.variables.items():
        names = [sample.title(name) for name in variables.values]
        matrix = correlations(variables.scaled, variables.is_default)
        size = 3.5 + 0.13 * len(names)
        figure = Canvas(figsize=(size + 1, size), layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r")
        fontsize = 6 if len(names) > 20 else 8
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=fontsize)
        axes.set_yticks(range(len(names)), names, fontsize=fontsize)
        axes.minorticks_off()
        axes.tick_params(length=0)
        if len(names) <= 12:
            for i, j in np.argwhere(np.isfinite(matrix)):
                colour = "white" if abs(matrix[i, j]) > 0.6 else "black"
                axes.text(j, i, f"{100 * matrix[i, j]:.0f}", ha="center", va="center", fontsize=7, color=colour)
        figure.colorbar(image, ax=axes, label="linear correlation", shrink=0.8)
        yield of, figure


FIGURE = Figure(
    name="correlations",
    title="Correlations",
    caption="Pearson's coefficient of each pair of scaled variables, of the jets or constituents that have both; in"
    " percent where there is room. White where one does not vary.",
    draw=draw,
)
