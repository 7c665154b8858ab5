"""The check that a finished file holds the scaled values of the cleaned columns."""

import logging
from pathlib import Path

import numpy as np

from jetmill.balancing.selection import PartSpec, final_order, select_jets
from jetmill.columns.schema import variable
from jetmill.errors import JetmillError
from jetmill.files import open_intermediate_file
from jetmill.formats.content.scaled import read_columns
from jetmill.loading.jets import load
from jetmill.report.figures import draw_closure, save

logger = logging.getLogger(__name__)


def plot_closure(source: PartSpec, balance_path: str | Path, part: str | Path, output: str | Path) -> None:
    """Compare a finished part with the cleaned columns it was made from, scaled in double precision.

    Raises
    ------
    JetmillError
        If a value is missing in one and present in the other.
    """
    jets = load(part)
    with open_intermediate_file(balance_path) as file:
        selected = list(select_jets(source, file))
    order = final_order(selected)
    largest, typical = np.zeros(len(jets.variables)), np.zeros(len(jets.variables))
    cleaned = read_columns(selected, [variable(name) for name in jets.variables])
    for i, (name, column) in enumerate(zip(jets.variables, cleaned.values(), strict=True)):
        expected, found = jets.scaling.forward(column[order], i), jets.inputs[:, i]
        present = ~np.isnan(expected)
        if not np.array_equal(present, ~jets.is_default[:, i]):
            raise JetmillError(f"{part}: '{name}' is not missing in the same jets as in the cleaned batches")
        if present.any():
            miss = np.abs(found - expected)[present]
            largest[i], typical[i] = miss.max(), np.median(miss)
    worst = int(np.argmax(largest))
    logger.info("largest deviation %.3g scales, of %s", largest[worst], jets.variables[worst])
    figure = draw_closure(jets.variables, largest, typical, jets.inputs.dtype.name)
    save(figure, output)
