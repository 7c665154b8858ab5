"""Plots of the cleaned jets and of balancing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jetmill.balancing.tables import COUNTS, EDGES, KEPT, OUTSIDE, SUMS, WEIGHTS, cleaned_jets, of_samples, written_jets
from jetmill.balancing.weights import class_totals
from jetmill.columns.batch_list import CleanedBatch, sum_cutflows, with_dropped
from jetmill.files import open_intermediate_file
from jetmill.report.figures import draw_class_counts, draw_cutflow, draw_maps, draw_spectra
from jetmill.report.style import save
from jetmill.splitting import SPLITS, TRAIN


def plot_balance(
    batches: Sequence[CleanedBatch],
    balance_path: str | Path,
    cutflow: str | Path,
    classes_plot: str | Path,
    spectra: str | Path | None = None,
    maps: str | Path | None = None,
) -> None:
    """Draw cutflow, class counts, and the balancing histogram before and after weighting.

    `spectra` needs an axis, `maps` two, of which it shows the first two.
    """
    flows: dict[str, list[list[tuple[str, int]]]] = {}
    for batch in batches:
        flows.setdefault(batch.sample, []).append(batch.cutflow)
    with open_intermediate_file(balance_path) as file:
        classes = list(file.attrs["classes"])
        counts = sum(table[TRAIN] for table in of_samples(file, COUNTS).values())
        dropped = {name: table[TRAIN].sum() for name, table in of_samples(file, OUTSIDE).items()}
        cleaned, kept, different = cleaned_jets(file), file[f"{KEPT}/train"][()], written_jets(file, "train")[1]
        edges = {name: file[f"{EDGES}/{name}"][()] for name in file.attrs["variables"]}
        spectrum, written, event_weights = counts, kept, SUMS in file
        if event_weights:
            spectrum, written = (file[f"{SUMS}/{of}"][()] for of in ("cleaned", "train"))
        weighted = {f"weights {name}": written * file[f"{WEIGHTS}/{name}"][()] for name in file.attrs["weights"]}
    cutflows = {sample: sum_cutflows(parts) for sample, parts in flows.items()}
    if any(dropped.values()):
        cutflows = {sample: with_dropped(flow, dropped[sample]) for sample, flow in cutflows.items()}
    by_class = dict(zip(SPLITS, cleaned, strict=True))
    tables = {"as cleaned": spectrum}
    if not np.array_equal(kept, counts) or different < kept.sum():
        tables["resampled"] = written
        by_class["train, resampled"] = class_totals(kept)
    if event_weights:
        tables = {f"{title}, event weights": table for title, table in tables.items()}
        by_class["train, event weights"] = class_totals(written)
    for title, table in weighted.items():
        by_class[f"train, {title}"] = class_totals(table)
    tables |= weighted
    figures = {cutflow: draw_cutflow(cutflows), classes_plot: draw_class_counts(classes, by_class)}
    if spectra is not None:
        figures[spectra] = draw_spectra(classes, edges, tables)
    if maps is not None:
        figures[maps] = draw_maps(classes, edges, tables)
    for path, figure in figures.items():
        save(figure, path)
