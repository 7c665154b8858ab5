"""Make the figures of docs/balance.md and README.md with the functions of the workflow: ``python docs/figures.py``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jetmill.balancing.resampling import Pool, largest
from jetmill.balancing.weights import mean_one, target_of_table, weight_table
from jetmill.report.spectra import Table, draw_spectra
from jetmill.report.style import class_styles, style
from jetmill.settings.figures import FigureSettings

IMAGES = Path(__file__).parent / "images"
CLASSES = ("b", "c", "light")
EDGES = np.linspace(20, 420, 21)


def spectra() -> np.ndarray:
    """Return jets of each class in each bin of pT, int64 (3, 20): falling spectra, b jets the hardest."""
    centres = (EDGES[:-1] + EDGES[1:]) / 2
    shapes = np.stack([np.exp(-centres / slope) for slope in (90, 60, 45)])
    return np.round(np.array([[3e4], [2e4], [1e5]]) * shapes / shapes.sum(axis=1, keepdims=True)).astype(np.int64)


def weighted(counts: np.ndarray, method: str, reference: int | None = None) -> Table:
    """Return the sums of weights of each class in each bin."""
    weight = mean_one(weight_table(counts, method, reference), counts, int(counts.sum()))
    name = method if reference is None else f"{method}_{CLASSES[reference]}"
    target = target_of_table(counts, name, CLASSES, None)
    return Table(f"weights {name}", counts * weight, counts * weight**2, target)


def resampled(counts: np.ndarray, method: str, target: int | str | None = None) -> Table:
    """Return the jets that are written of each class in each bin."""
    kept = largest(method, Pool(counts, np.ones(len(counts)), target)).table
    aim = CLASSES[target] if isinstance(target, int) else target
    return Table(f"{method}{f', target: {aim}' if aim else ''}; {kept.sum():,.0f} jets", kept, kept**2 / counts)


def save(tables: Sequence[Table], name: str) -> None:
    """Draw the spectra of tables as the report of a run does."""
    settings = FigureSettings(label="Simulation", energy="GeV")
    with style():
        figure = draw_spectra(class_styles(CLASSES, settings), {"pt": EDGES}, tables, settings)
        figure.savefig(IMAGES / f"{name}.png", dpi=120, metadata={"Software": None})


def main() -> None:
    """Make all figures."""
    IMAGES.mkdir(exist_ok=True)
    counts = spectra()
    before = Table(f"as cleaned; {counts.sum():,} jets", counts, counts)
    by_weight = [weighted(counts, "average"), weighted(counts, "flat"), weighted(counts, "reference", 0)]
    save([before, *by_weight[:2]], "spectra")
    save([before, *by_weight], "weights")
    save(
        [
            before,
            resampled(counts, "count"),
            resampled(counts, "importance", 1),
            resampled(counts, "pdf", 0),
            resampled(counts, "pdf", "average"),
            resampled(counts, "countup", 0),
        ],
        "resampling",
    )


if __name__ == "__main__":
    main()
