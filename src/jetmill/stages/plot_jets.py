"""Figures of a random sample of the training jets, from their cleaned columns, whatever the formats."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jetmill.balancing.selection import PartSpec
from jetmill.columns.batch_list import CleanedBatch
from jetmill.columns.schema import Kind, variable
from jetmill.files import atomic_write
from jetmill.formats.content.part import Part
from jetmill.formats.content.scaled import (
    constituent_columns,
    constituent_counts,
    passed_through,
    read_columns,
    weights_of,
)
from jetmill.formats.files.names import Names
from jetmill.report.jets.figure import Sample, Variables
from jetmill.report.jets.registry import FIGURES
from jetmill.report.style import class_styles, save, style
from jetmill.scaling.scalers import Scaler, Scaling, scale_rows
from jetmill.settings.content import Content
from jetmill.settings.figures import FigureSettings
from jetmill.splitting import TRAIN

# Constituents count as so many jets, for the memory of the job.
CONSTITUENTS_OF_A_JET = 20

logger = logging.getLogger(__name__)


def plot_jets(
    batches: Sequence[CleanedBatch],
    balance: str | Path,
    scalers: str | Path,
    output: str | Path,
    *,
    content: Content,
    n_jets: int,
    settings: FigureSettings,
) -> None:
    """Draw all figures of the training jets into a directory.

    Keys are random, so that the jets of the first range of keys of each batch are a fair sample.

    Parameters
    ----------
    n_jets
        About how many jets to use, fewer with many constituents.
    settings
        Label and titles of axes.
    """
    spec = PartSpec.from_batches(batches, "train", (0, number_of_ranges(batches, n_jets)))
    sample = sample_of(Part.read(spec, balance, scalers, content), settings)
    logger.info("%d jets drawn", len(next(iter(sample.variables.values())).label))
    say = Names(content.jets_name).say
    with atomic_write(output, directory=True) as directory, style():
        for figure in FIGURES.values():
            for of, drawn in figure.draw(sample):
                name, title = "-".join(filter(None, (figure.name, of))), f"{figure.title}, {of}" if of else figure.title
                save(drawn, directory / name, Title=title, Description=say(figure.caption), Category=figure.title)


def number_of_ranges(batches: Sequence[CleanedBatch], n_jets: int) -> int:
    """Return into how many ranges of keys to divide the training jets, so that one has about `n_jets`."""
    jets = sum(sum(batch.splits) for batch in batches)
    kept = [sum(batch.constituents[name][2] for batch in batches) for name in batches[0].constituents]
    load = max([1.0, *(n / max(jets, 1) / CONSTITUENTS_OF_A_JET for n in kept)])
    return max(1, int(np.ceil(sum(batch.splits[TRAIN] for batch in batches) * load / n_jets)))


def sample_of(part: Part, settings: FigureSettings) -> Sample:
    """Return the jets of a part with their scaled variables."""
    jets_name = part.content.jets_name
    of_jets, jets = part.scalers[jets_name], part.jets
    label = np.concatenate([j.label for j in jets])
    weight = np.ones(len(label), dtype=np.float32)
    if part.content.event_weights:
        weight = weights_of(jets, part.tables, part.content)["weight"]
    values = [*read_columns(jets, [variable(name) for name in of_jets]).values()]
    variables = {jets_name: _variables(values, of_jets, label, weight, part.content.precision)}
    for collection in part.content.slots:
        counts, scalers = constituent_counts(jets, collection), part.scalers[collection]
        columns = [np.concatenate(c) for c in zip(*constituent_columns(jets, collection, list(scalers)), strict=True)]
        of_jet = np.repeat(np.arange(len(label)), counts)
        variables[collection] = _variables(columns, scalers, label[of_jet], weight[of_jet], part.content.precision)
    classes = class_styles(part.tables.classes, settings)
    return Sample(classes, variables, passed_through(jets, Kind.SPECTATOR), settings)


def _variables(
    columns: Iterable[np.ndarray], scalers: Mapping[str, Scaler], label: np.ndarray, weight: np.ndarray, precision: str
) -> Variables:
    values = dict(zip(scalers, columns, strict=True))
    scaled, is_default = scale_rows(list(values.values()), list(scalers.values()))
    scaled = scaled.astype(precision)
    restored = dict(zip(scalers, Scaling.from_scalers(scalers.values()).inverse(scaled).T, strict=True))
    return Variables(values, scaled, is_default, restored, label, weight)
