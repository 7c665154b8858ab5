"""Plots of resampling: shapes against the target, and repeated jets."""

from pathlib import Path

from jetmill.balancing.tables import EDGES, KEPT, REPEAT_HISTOGRAM, TARGET
from jetmill.files import open_intermediate_file
from jetmill.report.figures import draw_resampling
from jetmill.report.style import save


def plot_resampling(balance_path: str | Path, figure: str | Path, *, output: str) -> None:
    """Draw the jets of a resampled output, ``train`` or ``val_resampled``."""
    with open_intermediate_file(balance_path) as file:
        classes = list(file.attrs["classes"])
        edges = {name: file[f"{EDGES}/{name}"][()] for name in file.attrs["variables"]}
        written, repeat_histogram = file[f"{KEPT}/{output}"][()], file[f"{REPEAT_HISTOGRAM}/{output}"][()]
        # Without a target, classes are compared with all of them together.
        target = file[f"{TARGET}/{output}"][()] if f"{TARGET}/{output}" in file else written.sum(axis=0)
    save(draw_resampling(classes, edges, written, target, repeat_histogram), figure)
