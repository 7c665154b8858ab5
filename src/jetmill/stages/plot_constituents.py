"""A plot of how many constituents selection and truncation leave."""

from collections.abc import Sequence
from pathlib import Path

from jetmill.columns.batch_list import CleanedBatch, sum_cutflows
from jetmill.report.figures import draw_cutflow
from jetmill.report.style import save

STEPS = ("of jets that stay", "selected", "within the slots")


def plot_constituents(batches: Sequence[CleanedBatch], output: str | Path) -> None:
    """Draw how many constituents of each collection are read, selected and kept, in all samples."""
    flows: dict[str, list[list[tuple[str, int]]]] = {}
    for batch in batches:
        for collection, counted in batch.constituents.items():
            flows.setdefault(collection, []).append(list(zip(STEPS, counted, strict=True)))
    figure = draw_cutflow({name: sum_cutflows(parts) for name, parts in flows.items()}, of="constituents")
    save(figure, output)
