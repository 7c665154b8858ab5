"""The check that a finished file can be turned back into what was cleaned."""

import logging
from pathlib import Path

import h5py
import numpy as np

from jetmill.columns import VARIABLES
from jetmill.errors import JetmillError
from jetmill.loading import load
from jetmill.plotting import draw_closure, save
from jetmill.stages.write import PartOf, final_order, pick, read_columns

logger = logging.getLogger(__name__)


def plot_closure(source: PartOf, balance_path: str | Path, part: str | Path, output: str | Path) -> None:
    """Invert the scaling of a finished part and compare it with the cleaned columns it was made from.

    Raises
    ------
    JetmillError
        If a value is missing in one and present in the other.
    """
    jets = load(part)
    with h5py.File(balance_path, "r") as file:
        picked = list(pick(source, file))
    order = final_order(picked)
    largest, typical = np.zeros(len(jets.variables)), np.zeros(len(jets.variables))
    cleaned = read_columns(picked, [f"{VARIABLES}/{name}" for name in jets.variables])
    for i, (name, column) in enumerate(zip(jets.variables, cleaned.values(), strict=True)):
        values, inverse = column[order], jets.variable(name)
        present = ~np.isnan(values)
        if not np.array_equal(present, ~np.isnan(inverse)):
            raise JetmillError(f"{part}: '{name}' is not missing in the same jets as in the cleaned batches")
        if present.any():
            miss = np.abs(inverse - values)[present] / jets.scale[i]
            largest[i], typical[i] = miss.max(), np.median(miss)
    worst = int(np.argmax(largest))
    logger.info("largest deviation %.3g scales, of %s", largest[worst], jets.variables[worst])
    figure = draw_closure(jets.variables, largest, typical, jets.inputs.dtype.name)
    save(figure, output)
