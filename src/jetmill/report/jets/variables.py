"""Each variable per class, in its own unit and scaled."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jetmill.report.jets.figure import Figure, Sample, Variables
from jetmill.report.plots import draw_classes, grid
from jetmill.report.style import ClassStyle, class_lines
from jetmill.report.ticks import is_steep, nice_range, set_ticks

ON_A_PAGE, COLUMNS, BINS = 12, 4, 40
# A logarithmic axis shows at most so many decades below the top.
DECADES = 5
# The most classes whose shares missing fit above a plot.
MOST_SHARES = 10


def draw(sample: Sample) -> Iterator[tuple[str, Any]]:
    """Draw pages of variables, in the order of the inputs."""
    for of, variables in sample.variables.items():
        names = list(variables.values)
        for page, start in enumerate(range(0, len(names), ON_A_PAGE)):
            yield f"{of}-{page:02d}", _page(sample, variables, names[start : start + ON_A_PAGE], start)


def histogram(values: np.ndarray, label: np.ndarray, weight: np.ndarray, n_classes: int) -> Any:
    """Return a histogram (bins, classes) of values (n,) over the range that holds 99 % of them, with errors."""
    import hist

    low, high = np.percentile(values, [0.5, 99.5])
    if low == high:
        low, high = low - 0.5, high + 0.5
    # Integers of a small range have a bin each.
    n_bins = BINS
    if high - low < BINS and (values == np.rint(values)).all():
        low, high = np.floor(low) - 0.5, np.ceil(high) + 0.5
        n_bins = int(high - low)
    axis, of_class = hist.axis.Regular(n_bins, low, high), hist.axis.Integer(0, n_classes)
    return hist.Hist(axis, of_class, storage=hist.storage.Weight()).fill(values, label.astype(np.int64), weight=weight)


def _page(sample: Sample, variables: Variables, names: list[str], first: int) -> Any:
    rows = -(-2 * len(names) // COLUMNS)
    legend, margins = class_lines(sample.classes), (0.65, 0.15, 0.45, 0.2)
    drawn = grid(sample.settings.label, rows, COLUMNS, (2.55, 1.25), legend=legend, margins=margins, gaps=(0.5, 0.62))
    plots = drawn.plots.ravel()
    for i, name in enumerate(names):
        default = variables.is_default[:, first + i]
        values, scaled = variables.values[name], variables.scaled[:, first + i]
        _draw(plots[2 * i], sample, values, ~default, variables)
        _draw(plots[2 * i + 1], sample, scaled, np.ones_like(default), variables)
        plots[2 * i].set_xlabel(sample.title(name), fontsize=8)
        plots[2 * i + 1].set_xlabel("scaled, with defaults" if default.any() else "scaled", fontsize=8)
        if default.any():
            _write_missing(plots[2 * i], missing_shares(default, variables.label, len(sample.classes)), sample.classes)
    for axes in plots[2 * len(names) :]:
        axes.remove()
    for axes in drawn.plots[:, 0]:
        axes.set_ylabel("share / bin", fontsize=8)
    return drawn.figure


def missing_shares(is_default: np.ndarray, label: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the share of each class that misses a variable, float64 (n_classes,), NaN without any of the class."""
    of_class = (np.bincount(which, minlength=n_classes) for which in (label[is_default], label))
    with np.errstate(invalid="ignore"):
        found: np.ndarray = np.divide(*of_class)
    return found


def _write_missing(axes: Any, shares: np.ndarray, classes: Sequence[ClassStyle]) -> None:
    """Write the share missing of each class above a plot, in the colour and order of the classes."""
    if len(shares) > MOST_SHARES:
        axes.set_title(f"{np.nanmin(shares):.1%} to {np.nanmax(shares):.1%} missing", fontsize=7, loc="right", pad=2)
        return
    step, size = min(0.13, 0.8 / len(shares)), 7 if len(shares) < 8 else 6
    place = {"y": 1.02, "transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": size}
    axes.text(x=1 - step * len(shares), s="missing", **place)
    for k, (share, style) in enumerate(zip(shares, classes, strict=True)):
        if np.isfinite(share):
            text = f"{share:.0%}" if share >= 0.0995 or not share else f"{share:.1%}"
            axes.text(x=1 - step * (len(shares) - 1 - k), s=text, color=style.colour, **place)


def _draw(axes: Any, sample: Sample, values: np.ndarray, shown: np.ndarray, variables: Variables) -> None:
    """Draw the shape of each class, with its statistical error as a band."""
    if not shown.any():
        axes.text(0.5, 0.5, "missing everywhere", transform=axes.transAxes, ha="center")
        axes.set(xticks=[], yticks=[])
        return
    found = histogram(values[shown], variables.label[shown], variables.weight[shown], len(sample.classes))
    edges, content, squares = found.axes[0].edges, found.values().T, found.variances().T
    total = content.sum(axis=1, keepdims=True)
    total = np.where(total > 0, total, 1)
    shares = content / total
    draw_classes(axes, sample.classes, edges, shares, np.sqrt(squares) / total)
    log = is_steep(shares)
    low, high = nice_range(shares, log=log)
    set_ticks(axes, "y", max(low, high / 10**DECADES) if log else low, high, log=log, most=4)
    set_ticks(axes, "x", edges[0], edges[-1], most=5)


FIGURE = Figure(
    name="variables",
    title="Variables",
    caption="Each class has area 1; bands are statistical errors. Left in the variable's own unit, without missing"
    " values, and above it the share missing of each class; right as the network sees it, where defaults stand for"
    " missing values. Axes hold 99 % of the jets or constituents.",
    draw=draw,
)
