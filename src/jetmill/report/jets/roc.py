"""How well spectators, such as outputs of existing taggers, tell the first class from the others."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jetmill.report.jets.figure import Figure, Sample

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
    from matplotlib.figure import Figure as Canvas

    label, weight = (getattr(next(iter(sample.variables.values())), name) for name in ("label", "weight"))
    signal, *others = sample.classes
    curves = {}
    for name, score in sample.spectators.items():
        finite = np.isfinite(score)
        # A tagger of another class tags the first one by small values.
        rises = np.mean(score[finite & (label == 0)]) >= np.mean(score[finite & (label > 0)]) if finite.any() else True
        for k, other in enumerate(others, 1):
            used = finite & np.isin(label, (0, k))
            if np.unique(label[used]).size == 2 and np.ptp(score[used]) > 0:
                sign = 1 if rises else -1
                curves[name, other] = efficiencies(sign * score[used], label[used] == 0, weight[used])
    names = list(dict.fromkeys(name for name, _ in curves))
    if not names:
        return
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Canvas(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    plots = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in plots[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(plots, names, strict=False):
        for k, other in enumerate(others, 1):
            if (name, other) in curves:
                efficiency, mistag = curves[name, other]
                area = np.trapezoid(efficiency, mistag)
                points = np.unique(np.searchsorted(efficiency, np.linspace(0, 1, POINTS)))
                axes.plot(
                    efficiency[points], mistag[points], color=f"C{k}", linewidth=1.3, label=f"{other} (AUC {area:.3f})"
                )
        axes.set_yscale("log")
        axes.set_ylim(1e-4, 1)
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"efficiency of {signal}")
        axes.set_ylabel("misidentification")
        axes.set_title(sample.title(name), loc="left")
        axes.legend(loc="lower right")
    yield "", figure


FIGURE = Figure(
    name="roc",
    title="Spectators as taggers",
    caption="Cuts on each spectator: share of the first class that passes, and of each other class. Spectators"
    " that are smaller for the first class are cut from above. AUC is the area under efficiency against"
    " misidentification: what a training should beat.",
    draw=draw,
)
