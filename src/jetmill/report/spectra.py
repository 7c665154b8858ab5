"""Figures of the bins of balance: spectra beside their target, maps, and weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jetmill.report.plots import draw_classes, grid
from jetmill.report.style import ClassStyle, class_lines
from jetmill.report.ticks import is_steep, log_ticks, nice_range, ratio_range, set_ticks, tick_labels
from jetmill.report.titles import title_of, unit_of
from jetmill.settings.figures import FigureSettings

# A map is 2.3 inches wide.
MAP_PIXELS = 200
# Spectra of so many tables are readable on a page.
SIDE_BY_SIDE = 3
# A logarithmic axis shows at most so many decades below the top.
DECADES = 7


@dataclass(frozen=True)
class Table:
    """Jets in the bins of balance, or their weights, at one stage of a run.

    Attributes
    ----------
    counts : ndarray, shape (n_classes, *bins)
        Jets, or sums of weights.
    squares : ndarray, shape (n_classes, *bins), optional
        Sums of squared weights, whose roots are the statistical errors.
    target : ndarray, shape (*bins), optional
        The spectrum that all classes are to have.
    """

    title: str
    counts: np.ndarray
    squares: np.ndarray | None = None
    target: np.ndarray | None = None


def shapes(table: np.ndarray, squares: np.ndarray | None, axis: int, edges: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return the spectrum of each class along an axis, and its errors: shares of its jets per unit, (n_classes, n)."""
    others = tuple(i + 1 for i in range(table.ndim - 1) if i != axis)
    projected = table.sum(axis=others)
    per = np.maximum(projected.sum(axis=1, keepdims=True), np.finfo(float).tiny) * np.diff(edges)
    return projected / per, None if squares is None else np.sqrt(squares.sum(axis=others)) / per


def draw_spectra(
    classes: Sequence[ClassStyle], edges: Mapping[str, np.ndarray], tables: Sequence[Table], settings: FigureSettings
) -> Any:
    """Draw the spectrum of each class along each axis, a column of plots for each table, at most three side by side.

    Below each is the ratio to the target, or to the first class where there is none. `edges` is variable to the edges
    of its bins, in the order of the axes.
    """
    from matplotlib.lines import Line2D

    legend = class_lines(classes)
    if any(table.target is not None for table in tables):
        legend.append((Line2D([], [], color="black", linewidth=3, alpha=0.3), "target"))
    n_blocks = -(-len(tables) // SIDE_BY_SIDE)
    columns = -(-len(tables) // n_blocks)
    drawn = grid(
        settings.label,
        n_blocks * len(edges),
        columns,
        (3.0, 2.1),
        legend=legend,
        ratio=0.8,
        margins=(0.75, 0.2, 0.55, 0.25),
        gaps=(0.75, 0.7),
    )
    # Table, axis, and one above its ratio.
    plots = drawn.plots.reshape(n_blocks, len(edges), columns, 2).swapaxes(1, 2).reshape(-1, len(edges), 2)
    for axes in plots[len(tables) :].ravel():
        axes.remove()
    for number, (table, of_table) in enumerate(zip(tables, plots, strict=False)):
        for axis, ((name, edge), (main, below)) in enumerate(zip(edges.items(), of_table, strict=True)):
            values, errors = shapes(table.counts, table.squares, axis, edge)
            log = _is_log(edge)
            if table.target is not None:
                ((aim,), _) = shapes(table.target[None], None, axis, edge)
                main.stairs(aim, edge, color="black", linewidth=3, alpha=0.3)
            else:
                aim = values[0]
            draw_classes(main, classes, edge, values, errors)
            steep = is_steep(values)
            # Errors of the highest bins count, those of nearly empty ones do not.
            low, high = nice_range(
                values if steep or errors is None else np.stack([values, values + errors]), log=steep
            )
            set_ticks(main, "y", max(low, high / 10**DECADES) if steep else low, high, log=steep, most=5)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(aim > 0, values / aim, np.nan)
                error = None if errors is None else np.where(aim > 0, errors / aim, np.nan)
            reach = ratio_range(ratio, error)
            draw_classes(below, classes, edge, ratio, error)
            below.axhline(1, color="grey", linewidth=0.8, zorder=1)
            # Without ticks at the ends, whose labels would touch those above.
            set_ticks(below, "y", 1 - 0.98 * reach, 1 + 0.98 * reach, most=5)
            for axes in (main, below):
                set_ticks(axes, "x", edge[0], edge[-1], log=log, labels=axes is below)
            below.set_xlabel(title_of(name, settings))
            below.set_ylabel(f"ratio to {'target' if table.target is not None else classes[0].label}", fontsize=7)
            if axis == 0:
                main.set_title(table.title, loc="right")
            if number % columns == 0:
                unit = unit_of(name, settings)
                main.set_ylabel(f"share of jets / {unit}" if unit else "share of jets / unit")
    return drawn.figure


def draw_maps(
    classes: Sequence[ClassStyle], edges: Mapping[str, np.ndarray], tables: Sequence[Table], settings: FigureSettings
) -> Any:
    """Draw each class in the plane of the first two axes, a row for each table (see `draw_spectra`).

    Neighbouring bins are drawn as one where there are more than a map has pixels.
    """
    import matplotlib as mpl

    (x_name, x_edges), (y_name, y_edges) = list(edges.items())[:2]
    (x, x_starts), (y, y_starts) = _coarser(x_edges), _coarser(y_edges)
    drawn = grid(
        settings.label, len(tables), len(classes), (2.3, 1.9), margins=(0.75, 1.15, 0.55, 0.3), gaps=(0.12, 0.35)
    )
    units = [unit for unit in (unit_of(x_name, settings), unit_of(y_name, settings)) if unit]
    of_area = "jets / " + (" ".join(units) if units else "unit area")
    area = np.outer(np.diff(x), np.diff(y))
    for row, (plots, table) in enumerate(zip(drawn.plots, tables, strict=True)):
        plane = table.counts.sum(axis=tuple(range(3, table.counts.ndim)))
        plane = np.add.reduceat(np.add.reduceat(plane, x_starts, axis=1), y_starts, axis=2)
        density = np.ma.masked_less_equal(plane, 0) / area
        low, high = (density.min(), density.max()) if density.count() else (1, 10)
        high = max(high, low * 1.001)
        for column, (axes, style) in enumerate(zip(plots, classes, strict=True)):
            image = axes.pcolormesh(x, y, density[column].T, norm=mpl.colors.LogNorm(low, high), rasterized=True)
            set_ticks(axes, "x", x[0], x[-1], log=_is_log(x), most=5, labels=row == len(tables) - 1)
            set_ticks(axes, "y", y[0], y[-1], log=_is_log(y), most=6, labels=column == 0)
            axes.set_title(f"{style.label}, {table.title}", fontsize=8)
        place = plots[-1].get_position()
        bar = drawn.figure.add_axes((place.x1 + 0.12 / drawn.figure.get_figwidth(), place.y0, 0.012, place.height))
        drawn.figure.colorbar(image, cax=bar)
        ticks, minor = log_ticks(low, high, 5)
        bar.set_yticks(ticks, tick_labels(ticks, log=True))
        bar.set_yticks(minor, [""] * len(minor), minor=True)
        bar.set_ylabel(of_area, fontsize=8)
        plots[0].set_ylabel(title_of(y_name, settings))
    for axes in drawn.plots[-1]:
        axes.set_xlabel(title_of(x_name, settings))
    return drawn.figure


def draw_weights(
    classes: Sequence[ClassStyle],
    weights: Mapping[str, np.ndarray],
    counts: np.ndarray,
    squares: np.ndarray,
    label: str,
) -> Any:
    """Draw how many written training jets of each class have which weight, a plot for each table.

    Parameters
    ----------
    weights
        Name to the weights of jets, (n_classes, *bins).
    counts, squares
        Written jets, and the sums of their squared repeats, of the same shape.
    """
    drawn = grid(label, 1, len(weights), (3.6, 2.6), legend=class_lines(classes), margins=(0.75, 0.2, 0.55, 0.25))
    drawn.plots[0, 0].set_ylabel("jets")
    for axes, (name, table) in zip(drawn.plots[0], weights.items(), strict=True):
        there = (counts > 0) & (table > 0)
        low, high = nice_range(table[there], log=True)
        edges = np.geomspace(low, high, 41)
        values, errors = (
            np.stack([np.histogram(w[t], edges, weights=n[t])[0] for w, t, n in zip(table, there, of, strict=True)])
            for of in (counts, squares)
        )
        draw_classes(axes, classes, edges, values, np.sqrt(errors))
        low_y, high_y = nice_range(values, log=True)
        # Room for the shares.
        set_ticks(axes, "y", low_y, high_y * (high_y / low_y) ** 0.5, log=True)
        set_ticks(axes, "x", low, high, log=True)
        axes.set_xlabel("weight of a jet")
        axes.set_title(f"weights {name}", loc="right")
        shares = effective_shares(counts, squares, table)
        axes.text(0.97, 0.95, "effective share of jets", transform=axes.transAxes, ha="right", va="top", fontsize=7)
        for k, (share, style) in enumerate(zip(shares, classes, strict=True)):
            place = (0.97 - 0.14 * (k % 6), 0.88 - 0.07 * (k // 6))
            text = {"fontsize": 8, "color": style.colour}
            axes.text(*place, f"{share:.0%}", transform=axes.transAxes, ha="right", va="top", **text)
    return drawn.figure


def effective_shares(counts: np.ndarray, squares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (sum of weights)^2 / (sum of squared weights) of each class, in parts of its jets; 0 without any.

    A jet that is written n times counts as one of n times the weight: `squares` are the sums of n^2.
    """
    axes = tuple(range(1, counts.ndim))
    total, below = (counts * weights).sum(axis=axes), (squares * weights**2).sum(axis=axes) * counts.sum(axis=axes)
    found: np.ndarray = np.divide(total**2, below, out=np.zeros(len(counts)), where=below > 0)
    return found


def _is_log(edges: np.ndarray) -> bool:
    """Return whether an axis is logarithmic: if it goes over more than a decade above 0."""
    return bool(edges[0] > 0 and edges[-1] > 10 * edges[0])


def _coarser(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return edges of at most `MAP_PIXELS` bins, and which bin each of them starts with."""
    n_bins = len(edges) - 1
    starts = np.arange(0, n_bins, -(-n_bins // MAP_PIXELS))
    return np.append(edges[starts], edges[-1]), starts
