"""Each variable per class, in its own unit and scaled."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jetmill.report.jets.figure import Figure, Sample, Variables

ON_A_PAGE, COLUMNS, BINS = 12, 4, 40


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
    from matplotlib.figure import Figure as Canvas

    rows = -(-2 * len(names) // COLUMNS)
    height = 2.1 * rows + 0.5
    figure = Canvas(figsize=(3.1 * COLUMNS, height))
    figure.subplots_adjust(0.05, 0.45 / height, 0.99, 1 - 0.55 / height, wspace=0.25, hspace=0.5)
    plots = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for i, name in enumerate(names):
        default = variables.is_default[:, first + i]
        values, scaled = variables.values[name], variables.scaled[:, first + i]
        _draw(plots[2 * i], sample, values, ~default, variables)
        _draw(plots[2 * i + 1], sample, scaled, np.ones_like(default), variables)
        plots[2 * i].set_xlabel(sample.title(name), labelpad=1, fontsize=8)
        plots[2 * i + 1].set_xlabel("scaled, with defaults" if default.any() else "scaled", labelpad=1, fontsize=8)
        if default.any():
            plots[2 * i].set_title(f"{default.mean():.1%} missing", fontsize=7, loc="right", pad=2)
    for axes in plots[2 * len(names) :]:
        axes.set_visible(False)
    handles, labels = plots[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels))
    return figure


def _draw(axes: Any, sample: Sample, values: np.ndarray, shown: np.ndarray, variables: Variables) -> None:
    """Draw the shape of each class, with its statistical error as a band."""
    from matplotlib.ticker import LogLocator

    axes.minorticks_off()
    axes.tick_params(top=False, right=False)
    if not shown.any():
        axes.text(0.5, 0.5, "missing everywhere", transform=axes.transAxes, ha="center")
        return
    n_classes = len(sample.classes)
    found = histogram(values[shown], variables.label[shown], variables.weight[shown], n_classes)
    edges, tops = found.axes[0].edges, []
    for k, name in enumerate(sample.classes):
        content, error = found.values()[:, k], np.sqrt(found.variances()[:, k])
        total = content.sum()
        if total > 0:
            content, error = content / total, error / total
        axes.stairs(content, edges, color=f"C{k}", linewidth=1.1, label=name)
        axes.stairs(content + error, edges, baseline=content - error, fill=True, color=f"C{k}", alpha=0.25, linewidth=0)
        tops += [content[content > 0]]
    if (positive := np.concatenate(tops)).size:
        axes.set_yscale("log")
        top = positive.max()
        axes.set_ylim(max(positive.min() / 2, top / 1e5), 2 * top)
    # Ticks take most of the time of small plots.
    axes.yaxis.set_major_locator(LogLocator(numticks=4))
    axes.minorticks_off()
    axes.set_xlim(edges[0], edges[-1])


FIGURE = Figure(
    name="variables",
    title="Variables",
    caption="Each class has area 1; bands are statistical errors. Left in the variable's own unit, without missing"
    " values; right as the network sees it, where defaults stand for missing values. Axes hold 99 % of the jets or"
    " constituents.",
    draw=draw,
)
