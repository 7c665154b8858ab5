"""Figures of the cleaned jets and of balancing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jetmill.balancing.binning import Axis, volumes
from jetmill.balancing.tables import (
    COUNTS,
    EDGES,
    KEPT,
    OUTSIDE,
    REPEAT_HISTOGRAM,
    REPEATS,
    SQUARES,
    SUMS,
    TARGET,
    THRESHOLD,
    WEIGHTS,
    cleaned_jets,
    of_samples,
    written_jets,
)
from jetmill.balancing.weights import class_totals, target_of_table
from jetmill.columns.batch_list import CleanedBatch, sum_cutflows, with_dropped
from jetmill.files import atomic_write, open_intermediate_file
from jetmill.formats.files.names import Names
from jetmill.report.bars import draw_class_counts, draw_cutflow
from jetmill.report.resampling import draw_resampling
from jetmill.report.spectra import Table, draw_maps, draw_spectra, draw_weights
from jetmill.report.style import class_styles, save, style
from jetmill.settings.figures import FigureSettings
from jetmill.splitting import SPLITS, TRAIN, split_of

CONSTITUENT_STEPS = ("of jets that stay", "selected", "within the slots")
# Headings on the page.
CLEANING, CLASSES, SPECTRA, RESAMPLING = "Samples and cutflow", "Classes", "Spectra", "Resampling"
CLEANED = "train, as cleaned"


def plot_balance(
    batches: Sequence[CleanedBatch], balance_path: str | Path, output: str | Path, settings: FigureSettings
) -> None:
    """Draw cutflow, class counts, the bins before and after balancing, weights and repeats into a directory."""
    say = Names(settings.jets).say
    with atomic_write(output, directory=True) as directory, style(), open_intermediate_file(balance_path) as file:
        for name, title, caption, category, figure in _figures(batches, file, settings):
            save(figure, directory / name, Title=title, Description=say(caption), Category=category)


def _figures(
    batches: Sequence[CleanedBatch], file: h5py.File, settings: FigureSettings
) -> Iterator[tuple[str, str, str, str, Any]]:
    """Yield file name, title, caption, heading on the page, and figure."""
    dropped = {name: table[TRAIN].sum() for name, table in of_samples(file, OUTSIDE).items()}
    flows = _flows((batch.sample, batch.cutflow) for batch in batches)
    if any(dropped.values()):
        flows = {sample: with_dropped(flow, dropped[sample]) for sample, flow in flows.items()}
    figure = draw_cutflow(flows, settings.label)
    yield (
        "cutflow",
        "Cutflow",
        "Jets of each sample after each cut, in the order of the configuration.",
        CLEANING,
        figure,
    )
    constituents = _flows(
        (name, list(zip(CONSTITUENT_STEPS, counted, strict=True)))
        for batch in batches
        for name, counted in batch.constituents.items()
    )
    if constituents:
        caption = (
            "Constituents of the jets that stay: how many pass the selection, and how many of them fit into the slots."
        )
        yield (
            "constituents",
            "Constituents",
            caption,
            CLEANING,
            draw_cutflow(constituents, settings.label, "constituents"),
        )
    classes, edges = list(file.attrs["classes"]), _edges(file)
    by_split = {split: n for split, n in zip(SPLITS, cleaned_jets(file), strict=True) if n.any()}
    # Runs that a finished one is applied to may have jets for testing only.
    tables = list(_tables(file, classes, edges)) if "train" in by_split else []
    styles = class_styles(classes, settings)
    counts = by_split | {table.title: class_totals(table.counts) for table in tables if table.title != CLEANED}
    caption = "Cleaned jets of each split, and training jets as they are written: resampled, or sums of their weights."
    if not counts:
        return
    yield "classes", "Classes", caption, CLASSES, draw_class_counts(styles, counts, settings.label)
    if not tables:
        return
    if edges:
        caption = (
            "Training jets of each class along the axes of the bins, before and after balancing; each class has area 1."
            " Bands are statistical errors. Below: ratio to the spectrum that all classes are to have, or to the first"
            " class."
        )
        yield "spectra", "Spectra", caption, SPECTRA, draw_spectra(styles, edges, tables, settings)
    if len(edges) > 1:
        caption = (
            "The same in the plane of the first two axes. White: no jets of the class, or no positive sum of weights."
        )
        yield "spectra_2d", "Bins", caption, SPECTRA, draw_maps(styles, edges, tables, settings)
    weights = {name: file[f"{WEIGHTS}/{name}"][()] for name in file.attrs["weights"]}
    if weights:
        kept, squares = file[f"{KEPT}/train"][()], _squared_repeats(file, "train")
        caption = (
            "Weights of the written training jets, without event weights. The effective number of jets is"
            " (sum of weights)² / sum of squared weights; percentages are its share of the jets of each class."
        )
        yield "weights", "Weights", caption, SPECTRA, draw_weights(styles, weights, kept, squares, settings.label)
    if REPEAT_HISTOGRAM in file:
        repeats = of_samples(file, REPEAT_HISTOGRAM)
        written = {output: written_jets(file, output)[0] for output in repeats}
        caption = (
            "Left: how often single jets are written. Right: the share of the available jets that is used, and the"
            " share of the written jets that is unique."
        )
        yield (
            "resampling",
            "Resampling",
            caption,
            RESAMPLING,
            draw_resampling(styles, written, repeats, settings.label),
        )


def _flows(parts: Iterable[tuple[str, list[tuple[str, int]]]]) -> dict[str, list[tuple[str, int]]]:
    """Add up the cutflows of each sample or collection."""
    of_each: dict[str, list[list[tuple[str, int]]]] = {}
    for name, flow in parts:
        of_each.setdefault(name, []).append(flow)
    return {name: sum_cutflows(flows) for name, flows in of_each.items()}


def _edges(file: h5py.File) -> dict[str, np.ndarray]:
    return {name: file[f"{EDGES}/{name}"][()] for name in file.attrs["variables"]}


def _tables(file: h5py.File, classes: Sequence[str], edges: Mapping[str, np.ndarray]) -> Iterator[Table]:
    """Yield the training jets in the bins as cleaned, resampled and with each weight, and resampled validation jets."""
    counts = sum(table[TRAIN] for table in of_samples(file, COUNTS).values())
    kept, sums = file[f"{KEPT}/train"][()], SUMS in file
    cleaned, written = (file[f"{SUMS}/{of}"][()] for of in ("cleaned", "train")) if sums else (counts, kept)
    suffix = ", event weights" if sums else ""
    yield Table(CLEANED + suffix, cleaned, file[f"{SQUARES}/cleaned"][()] if sums else counts)
    squares = file[f"{SQUARES}/train"][()] if sums else _squared_repeats(file, "train")
    if not np.array_equal(kept, counts) or REPEATS in file:
        yield Table(f"train, resampled{suffix}", written, squares, _target(file, "train"))
    for output in of_samples(file, REPEAT_HISTOGRAM) if REPEAT_HISTOGRAM in file else ():
        if output != "train":
            yield Table(output, file[f"{KEPT}/{output}"][()], _squared_repeats(file, output), _target(file, output))
    size = volumes([Axis(name, edge) for name, edge in edges.items()]) if edges else None
    for name in file.attrs["weights"]:
        weight = file[f"{WEIGHTS}/{name}"][()]
        aim = target_of_table(np.maximum(written, 0), name, classes, size)
        yield Table(f"weights {name}", written * weight, squares * weight**2, aim)


def _target(file: h5py.File, output: str) -> np.ndarray:
    """Return the spectrum that resampling aims at; that of all written jets if the method has none."""
    name = f"{TARGET}/{output}"
    target: np.ndarray = file[name][()] if name in file else file[f"{KEPT}/{output}"][()].sum(axis=0)
    return target


def _squared_repeats(file: h5py.File, output: str) -> np.ndarray:
    """Return the sums over the jets of an output of how often each is written, squared, float64 (n_classes, *bins)."""
    kept: np.ndarray = file[f"{KEPT}/{output}"][()].astype(np.float64)
    if REPEATS not in file:
        return kept
    split, total = SPLITS.index(split_of(output)), np.zeros_like(kept)
    for sample, jets in of_samples(file, COUNTS).items():
        times = file[f"{REPEATS}/{output}/{sample}"][()].astype(np.float64)
        # Keys are uniform: so many jets are below the threshold, and taken once more.
        share = file[f"{THRESHOLD}/{output}/{sample}"][()] / 2.0**64
        total += jets[split] * (times**2 + share * (2 * times + 1))
    return total
