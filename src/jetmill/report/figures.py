"""Figures of the report, from arrays, in the style of the field: ticks inside, steps, log scales."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

STYLE: Any = {
    "axes.formatter.limits": (-3, 4),
    "axes.labelsize": 11,
    "axes.prop_cycle": cycler(
        color=["#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd", "#86c8dd", "#578dff"]
    ),
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "font.size": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "xtick.direction": "in",
    "xtick.minor.visible": True,
    "xtick.top": True,
    "ytick.direction": "in",
    "ytick.right": True,
}
# A map is 2.9 inches wide.
MAP_PIXELS = 200


def draw_cutflow(flows: Mapping[str, Sequence[tuple[str, int]]], of: str = "jets") -> Figure:
    """Draw the jets (or what `of` says) of each sample after each step, as shares of those read.

    `flows` is sample to pairs of step and number of jets.
    """
    with mpl.rc_context(STYLE):
        steps = [step for step, _ in next(iter(flows.values()))]
        figure = Figure(figsize=(9, 1.2 + 0.33 * len(steps) * len(flows)))
        axes = figure.add_subplot()
        height = 0.8 / len(flows)
        for i, (sample, flow) in enumerate(flows.items()):
            read = max(flow[0][1], 1)
            places = np.arange(len(steps)) + i * height
            axes.barh(places, [n / read for _, n in flow], height=0.9 * height, label=sample)
            for place, (_, n) in zip(places, flow, strict=True):
                axes.text(1.01, place, f"{n:,}  ({n / read:.1%})", va="center", fontsize=9)
        axes.set_yticks(np.arange(len(steps)) + 0.4 - height / 2, steps)
        axes.tick_params(axis="y", which="both", length=0)
        axes.minorticks_off()
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(top=False, right=False)
        axes.set_xlabel(f"share of the {of} read")
        figure.legend(loc="outside upper center", ncols=len(flows))
        return figure


def draw_class_counts(classes: Sequence[str], counts: Mapping[str, Sequence[float] | np.ndarray]) -> Figure:
    """Draw the number of jets of each class, a group of bars for each entry of `counts`."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4))
        axes = figure.add_subplot()
        width = 0.85 / len(counts)
        for i, (name, values) in enumerate(counts.items()):
            bars = axes.bar(np.arange(len(classes)) + i * width, values, width=0.92 * width, label=name)
            axes.bar_label(bars, [f"{v:,.0f}" for v in values], fontsize=7, padding=2, rotation=90)
        axes.set_xticks(np.arange(len(classes)) + 0.425 - width / 2, classes)
        axes.tick_params(axis="x", which="both", length=0)
        _log_scale(axes)
        axes.margins(y=0.25)
        axes.set_ylabel("jets")
        figure.legend(loc="outside upper center", ncols=len(counts))
        return figure


def draw_spectra(classes: Sequence[str], edges: Mapping[str, np.ndarray], counts: Mapping[str, np.ndarray]) -> Figure:
    """Draw the spectrum of each class along each axis, a column of plots for each entry of `counts`.

    Parameters
    ----------
    edges
        Variable to its bin edges, in the order of the axes.
    counts
        Title to jets or sums of their weights, (n_classes, *bins).
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * len(counts), 3 * len(edges)))
        plots = figure.subplots(len(edges), len(counts), squeeze=False, sharex="row")
        for row, (variable, edge) in enumerate(edges.items()):
            for column, (title, table) in enumerate(counts.items()):
                axes = plots[row, column]
                others = tuple(i + 1 for i in range(len(edges)) if i != row)
                for name, spectrum in zip(classes, table.sum(axis=others), strict=True):
                    axes.stairs(spectrum / np.diff(edge) / _total(table), edge, label=name, linewidth=1.4)
                _log_scale(axes)
                axes.set_xscale("log" if edge[0] > 0 else "linear")
                axes.set_xlabel(variable)
                if row == 0:
                    axes.set_title(title)
                if column == 0:
                    axes.set_ylabel(f"share of all jets per unit of {variable}", fontsize=8)
        handles, labels = plots[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(classes))
        return figure


def draw_maps(classes: Sequence[str], edges: Mapping[str, np.ndarray], counts: Mapping[str, np.ndarray]) -> Figure:
    """Draw each class in the plane of the first two axes, a row for each entry of `counts` (see `draw_spectra`).

    Neighbouring bins are drawn as one where there are more than a map has pixels.
    """
    with mpl.rc_context(STYLE):
        (x_name, x_edges), (y_name, y_edges) = list(edges.items())[:2]
        (x, x_starts), (y, y_starts) = _coarser(x_edges), _coarser(y_edges)
        figure = Figure(figsize=(2.9 * len(classes), 2.6 * len(counts)))
        plots = figure.subplots(len(counts), len(classes), squeeze=False, sharex=True, sharey=True)
        for row, (title, table) in enumerate(counts.items()):
            plane = table.sum(axis=tuple(range(3, table.ndim)))
            plane = np.add.reduceat(np.add.reduceat(plane, x_starts, axis=1), y_starts, axis=2)
            area = np.outer(np.diff(x), np.diff(y))
            density = np.ma.masked_less_equal(plane, 0) / area
            norm = mpl.colors.LogNorm(density.min(), density.max()) if density.count() else None
            for column, name in enumerate(classes):
                axes = plots[row, column]
                image = axes.pcolormesh(x, y, density[column].T, norm=norm, rasterized=True)
                axes.set_yscale("log" if y[0] > 0 else "linear")
                axes.set_title(f"{name}, {title}", fontsize=9)
                if column == 0:
                    axes.set_ylabel(y_name)
                if row == len(counts) - 1:
                    axes.set_xlabel(x_name)
            figure.colorbar(image, ax=plots[row, :], label="jets per unit area")
        return figure


def draw_resampling(
    classes: Sequence[str],
    edges: Mapping[str, np.ndarray],
    written: np.ndarray,
    target: np.ndarray,
    repeat_histogram: np.ndarray,
) -> Figure:
    """Draw the shape of each class against the target of resampling, and how often jets are repeated.

    Parameters
    ----------
    edges
        Variable to its bin edges, in the order of the axes.
    written, target
        Jets that are written, (n_classes, *bins), and the target spectrum, (*bins).
    repeat_histogram
        Jets that are taken 0, 1, 2, ... times, (n_classes, times + 1).
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.6 * (len(edges) + 1)))
        plots = figure.subplots(len(edges) + 1, 2, squeeze=False)
        for row, (variable, edge) in enumerate(edges.items()):
            others = tuple(i for i in range(len(edges)) if i != row)
            aim = target.sum(axis=others) / max(target.sum(), 1)
            shape, ratio = plots[row]
            shape.stairs(aim / np.diff(edge), edge, label="target", color="black", linewidth=2.5, alpha=0.3)
            for number, name in enumerate(classes):
                spectrum = written[number].sum(axis=others) / max(written[number].sum(), 1)
                shape.stairs(spectrum / np.diff(edge), edge, label=name, linewidth=1.2)
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio.stairs(np.where(aim > 0, spectrum / aim, np.nan), edge, linewidth=1.2, baseline=None)
            _log_scale(shape)
            ratio.set_ylim(0.8, 1.2)
            ratio.axhline(1, color="grey", linewidth=0.8)
            for axes, title in ((shape, f"share of jets per unit of {variable}"), (ratio, "ratio to the target")):
                axes.set_xscale("log" if edge[0] > 0 else "linear")
                axes.set_xlabel(variable)
                axes.set_title(title, fontsize=9)
        times, none = plots[-1]
        width = 0.85 / len(classes)
        for number, name in enumerate(classes):
            repeated = repeat_histogram[number, 1:]
            places = np.arange(1, len(repeated) + 1) + (number - (len(classes) - 1) / 2) * width
            times.bar(places, repeated, width=width, label=name)
        _log_scale(times)
        times.set_xlabel("times that a jet is written")
        times.set_title("unique jets", fontsize=9)
        times.xaxis.get_major_locator().set_params(integer=True)
        times.tick_params(axis="x", which="minor", length=0)
        taken = repeat_histogram[:, 1:].sum(axis=1) / np.maximum(repeat_histogram.sum(axis=1), 1)
        unique = repeat_histogram[:, 1:].sum(axis=1) / np.maximum(written.reshape(len(classes), -1).sum(axis=1), 1)
        for offset, (values, title) in enumerate(
            ((taken, "of the available jets are used"), (unique, "of the written jets are unique"))
        ):
            bars = none.bar(
                np.arange(len(classes)) + 0.4 * offset - 0.2, values, width=0.36, color=f"C{5 + offset}", label=title
            )
            none.bar_label(bars, [f"{v:.0%}" for v in values], fontsize=8, padding=2)
        none.set_xticks(np.arange(len(classes)), classes)
        none.tick_params(axis="x", which="both", length=0)
        none.set_ylim(0, 1.45)
        none.legend(loc="upper center", ncols=1, fontsize=8)
        handles, labels = plots[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return figure


def _coarser(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return edges of at most `MAP_PIXELS` bins, and which bin each of them starts with."""
    n_bins = len(edges) - 1
    starts = np.arange(0, n_bins, -(-n_bins // MAP_PIXELS))
    return np.append(edges[starts], edges[-1]), starts


def _total(counts: np.ndarray) -> float:
    """Return what to divide by for shares: the sum, or 1 if it is not positive."""
    total = float(counts.sum())
    return total if total > 0 else 1.0


def _log_scale(axes: Any) -> None:
    """Make the y axis logarithmic, over a decade at least, if anything is drawn above zero."""
    if axes.dataLim.y1 > 0:
        axes.set_yscale("log", nonpositive="clip")
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom=min(bottom, top / 20))
        axes.yaxis.set_minor_formatter(NullFormatter())
