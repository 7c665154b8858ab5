"""Make the figures of docs/balance.md with the functions of the workflow: ``python docs/figures.py``."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jetmill.balancing.resampling import Pool, largest
from jetmill.balancing.weights import mean_one, weight_table

IMAGES = Path(__file__).parent / "images"
CLASSES = ("b", "c", "light")
EDGES = np.linspace(20, 420, 21)
STYLE = {
    "axes.prop_cycle": mpl.cycler(color=["#5790fc", "#f89c20", "#e42536"]),
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
}


def spectra() -> np.ndarray:
    """Return jets of each class in each bin of pT, int64 (3, 20): falling spectra, b jets the hardest."""
    centres = (EDGES[:-1] + EDGES[1:]) / 2
    shapes = np.stack([np.exp(-centres / slope) for slope in (90, 60, 45)])
    return np.round(np.array([[3e4], [2e4], [1e5]]) * shapes / shapes.sum(axis=1, keepdims=True)).astype(np.int64)


def draw(axes: Axes, counts: np.ndarray, before: np.ndarray, title: str) -> None:
    """Draw one step histogram per class, thinner and thinner so that equal ones all show; dotted: before."""
    for name, values, old, width in zip(CLASSES, counts, before, (5, 3, 1), strict=True):
        steps = axes.stairs(values, EDGES, baseline=None, label=f"{name}: {values.sum():,.0f}", linewidth=width)
        axes.stairs(old, EDGES, baseline=None, color=steps.get_edgecolor(), linewidth=1, linestyle=":")
    axes.set(title=title, yscale="log", ylim=(5, 3e5), xlim=(20, 420))
    axes.legend(fontsize=8)


def figure(panels: dict[str, np.ndarray], label: str, path: Path) -> None:
    """Draw panels side by side, two in a row; the first one is what was there before."""
    before = next(iter(panels.values()))
    with mpl.rc_context(STYLE):
        made = Figure(figsize=(8, 3 * -(-len(panels) // 2)))
        grid = made.subplots(-(-len(panels) // 2), 2, squeeze=False, sharex=True, sharey=True)
        for axes, (title, counts) in zip(grid.flat, panels.items(), strict=True):
            draw(axes, counts, before, title)
        for axes in grid[-1]:
            axes.set_xlabel("jet $p_\\mathrm{T}$ [GeV]")
        for axes in grid[:, 0]:
            axes.set_ylabel(label)
        made.savefig(path, dpi=120, metadata={"Software": None})


def weighted(counts: np.ndarray, method: str, reference: int | None = None) -> np.ndarray:
    """Return the sums of weights of each class in each bin."""
    return counts * mean_one(weight_table(counts, method, reference), counts, int(counts.sum()))


def resampled(counts: np.ndarray, method: str, target: int | str | None = None) -> np.ndarray:
    """Return the jets that are written of each class in each bin."""
    return largest(method, Pool(counts, np.ones(len(counts)), target)).table


def main() -> None:
    """Make all figures."""
    IMAGES.mkdir(exist_ok=True)
    counts = spectra()
    panels = {
        "before": counts,
        "average": weighted(counts, "average"),
        "flat": weighted(counts, "flat"),
        "{reference: b}": weighted(counts, "reference", 0),
    }
    figure(panels, "sum of weights / 20 GeV", IMAGES / "weights.png")
    panels = {
        "before (none)": counts,
        "count": resampled(counts, "count"),
        "importance, target: c": resampled(counts, "importance", 1),
        "pdf, target: b": resampled(counts, "pdf", 0),
        "pdf, target: average": resampled(counts, "pdf", "average"),
        "countup, target: b": resampled(counts, "countup", 0),
    }
    figure(panels, "written jets / 20 GeV", IMAGES / "resampling.png")


if __name__ == "__main__":
    main()
