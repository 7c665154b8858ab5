"""How well spectators, such as outputs of existing taggers, tell the first class from the others."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jetmill.report.jets.figure import Figure, Sample
from jetmill.report.plots import grid
from jetmill.report.style import class_lines
from jetmill.report.ticks import set_ticks

# Of a curve, as drawn.
POINTS = 400


def efficiencies(score: np.ndarray, signal: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the efficiencies of cuts ``score >= x`` at all values of the score, from the tightest.

    `score`, `signal` (bool) and `weight` are (n,); both results, of signal and of background, are float64 and begin
    at 0.
    """
    order = np.argsort(-score, kind="stable")
    score, signal, weight = score[order], signal[order], weight[order].astype(np.float64)
    # Jets of one score pass together.
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    passed = [np.cumsum(np.where(kind, weight, 0))[last] for kind in (signal, ~signal)]
    return tuple(np.append(0, of / of[-1]) for of in passed)  # type: ignore[return-value]


def draw(sample: Sample) -> Iterator[tuple[str, Any]]:
    """Draw the misidentification of every other class against the efficiency of the first, a plot per spectator."""
    label, weight = (getattr(next(iter(sample.variables.values())), name) for name in ("label", "weight"))
    signal, *others = sample.classes
    curves = {}
    for name, score in sample.spectators.items():
        finite = np.isfinite(score)
        # A tagger of another class tags the first one by small values.
        rises = np.mean(score[finite & (label == 0)]) >= np.mean(score[finite & (label > 0)]) if finite.any() else True
        for k in range(1, len(sample.classes)):
            used = finite & np.isin(label, (0, k))
            if np.unique(label[used]).size == 2 and np.ptp(score[used]) > 0:
                sign = 1 if rises else -1
                other_weights = weight[used & (label == k)].astype(np.float64)
                n_effective = other_weights.sum() ** 2 / (other_weights**2).sum()
                curves[name, k] = *efficiencies(sign * score[used], label[used] == 0, weight[used]), n_effective
    names = list(dict.fromkeys(name for name, _ in curves))
    if not names:
        return
    columns = min(3, len(names))
    legend = class_lines(others)
    drawn = grid(
        sample.settings.label,
        -(-len(names) // columns),
        columns,
        (3.3, 2.7),
        legend=legend,
        margins=(0.7, 0.2, 0.55, 0.25),
    )
    plots = drawn.plots.ravel()
    for axes in plots[len(names) :]:
        axes.remove()
    for axes, name in zip(plots, names, strict=False):
        areas = []
        for k, other in enumerate(others, 1):
            if (name, k) in curves:
                efficiency, mistag, n_effective = curves[name, k]
                areas.append((np.trapezoid(efficiency, mistag), other.colour))
                points = np.unique(np.searchsorted(efficiency, np.linspace(0, 1, POINTS)))
                x, y = efficiency[points], mistag[points]
                error = np.sqrt(y * (1 - y) / n_effective)
                axes.plot(x, y, color=other.colour, linestyle=other.dashes, linewidth=1.3)
                axes.fill_between(x, y - error, y + error, color=other.colour, alpha=0.25, linewidth=0)
        axes.text(0.97, 0.05 + 0.07 * len(areas), "AUC", transform=axes.transAxes, ha="right", fontsize=8)
        for i, (area, colour) in enumerate(reversed(areas)):
            axes.text(
                0.97, 0.05 + 0.07 * i, f"{area:.3f}", transform=axes.transAxes, ha="right", fontsize=8, color=colour
            )
        set_ticks(axes, "y", 1e-4, 1, log=True)
        set_ticks(axes, "x", 0, 1)
        axes.set_xlabel(f"efficiency of {signal.label}")
        axes.set_ylabel("misidentification")
        axes.set_title(sample.label(name), loc="right")
    yield "", drawn.figure


FIGURE = Figure(
    name="roc",
    title="Spectators as taggers",
    caption="Cuts on each spectator: share of the first class that passes, and of each other class. Spectators"
    " that are smaller for the first class are cut from above; bands are statistical errors. AUC is the area under"
    " efficiency against misidentification: what a training should beat.",
    draw=draw,
)
