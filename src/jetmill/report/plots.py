"""Plots in fixed places below the experiment's label and the legend, and histograms of classes in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jetmill.report.style import ClassStyle
from jetmill.report.ticks import characters

# What mathematical text would read as a command.
MATHS = str.maketrans({character: f"\\{character}" for character in "\\$_^{}%#&~"})


@dataclass(frozen=True)
class Grid:
    """A figure and its plots, (rows, columns), or (rows, columns, 2) with a ratio below each."""

    figure: Any
    plots: np.ndarray


def grid(
    label: str,
    rows: int,
    columns: int,
    size: tuple[float, float],
    *,
    legend: Sequence[tuple[Any, str]] = (),
    ratio: float = 0,
    margins: tuple[float, float, float, float] = (0.8, 0.2, 0.6, 0.15),
    gaps: tuple[float, float] = (0.65, 0.75),
) -> Grid:
    """Return a figure of plots in fixed places, with the experiment's label and the legend above them.

    Parameters
    ----------
    size
        Width and height of each plot without its ratio, inches.
    legend
        Handles and texts.
    ratio
        Height of the ratio below each plot.
    margins
        Left, right, bottom and top of the plots.
    gaps
        Between columns and rows.
    """
    from matplotlib.figure import Figure

    left, right, bottom, top = margins
    width = left + columns * size[0] + (columns - 1) * gaps[0] + right
    # As many columns of the legend as fit beside the label.
    room = width - left - right - 0.1 - 0.1 * len(label)
    entry = 0.45 + 0.085 * max((characters(text) for _, text in legend), default=0)
    n_columns = min(max(int(room / entry), 1), max(len(legend), 1))
    above = 0.12 + 0.19 * max(-(-len(legend) // n_columns), 1)
    height = above + top + rows * (size[1] + ratio) + (rows - 1) * gaps[1] + bottom
    figure = Figure(figsize=(width, height))
    figure.text(left / width, 1 - 0.08 / height, *_experiment(label), va="top", fontsize=11)
    if legend:
        figure.legend(
            *zip(*legend, strict=True),
            loc="upper right",
            bbox_to_anchor=(1 - right / width, 1 - 0.08 / height),
            ncols=n_columns,
        )
    plots = np.empty((rows, columns, 2 if ratio else 1), dtype=object)
    for row, column in np.ndindex(rows, columns):
        x, y = left + column * (size[0] + gaps[0]), height - above - top - row * (size[1] + ratio + gaps[1]) - size[1]
        for i, (low, tall) in enumerate(((y, size[1]), (y - ratio, ratio))[: plots.shape[2]]):
            axes = figure.add_axes((x / width, low / height, size[0] / width, tall / height))
            axes.xaxis.set_label_coords(1, -0.24 / tall)
            axes.yaxis.set_label_coords(-0.46 / size[0], 1)
            plots[row, column, i] = axes
    return Grid(figure, plots if ratio else plots[:, :, 0])


def _experiment(label: str) -> tuple[str, dict[str, Any]]:
    """Return the text of a label, its first word bold unless it is all, and the style of the rest."""
    first, _, rest = label.partition(" ")
    name = first.translate(MATHS)
    if not rest:
        return label.replace("$", r"\$"), {"style": "italic"}
    if first == "ATLAS":
        return rf"$\mathbfit{{{name}}}$ {rest.translate(MATHS)}", {}
    return rf"$\mathbf{{{name}}}$ {rest.translate(MATHS)}", {"style": "italic"}


def draw_classes(
    axes: Any, classes: Sequence[ClassStyle], edges: np.ndarray, values: np.ndarray, errors: np.ndarray | None = None
) -> None:
    """Draw a histogram of each class as steps, with its errors as a band; nothing where a value is NaN.

    `values` and `errors` are (n_classes, n_bins). Later classes have thinner lines, so that equal ones all show. Two
    artists draw all of it, without asking for their limits.
    """
    from matplotlib.collections import LineCollection, PolyCollection

    x, colours = np.repeat(edges, 2)[1:-1], [style.colour for style in classes]

    def steps(of: np.ndarray) -> np.ndarray:
        return np.stack([np.broadcast_to(x, (len(of), len(x))), np.repeat(of, 2, axis=1)], axis=2)

    if errors is not None:
        shown = np.where(np.isfinite(values) & np.isfinite(errors), errors, 0)
        up, down = (steps(np.nan_to_num(values) + sign * shown) for sign in (1, -1))
        bands = list(np.concatenate([up, down[:, ::-1]], axis=1))
        axes.add_collection(PolyCollection(bands, facecolors=colours, alpha=0.25, linewidths=0), autolim=False)
    lines = LineCollection(
        list(steps(values)),
        colors=colours,
        linestyles=[style.dashes for style in classes],
        linewidths=np.linspace(0.9 + 0.6 * min(len(values) - 1, 4), 0.9, len(values)),
        zorder=2,
    )
    axes.add_collection(lines, autolim=False)
