"""How many jets of some batches are in each cell of the balancing histogram."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jetmill.balancing.binning import Axis, axes_of, refuse_outside, shape
from jetmill.balancing.tables import COUNTS, OUTSIDE, write_table
from jetmill.columns import LABEL, Batch, variable
from jetmill.errors import JetmillError
from jetmill.files import create_hdf5, put
from jetmill.splitting import SPLITS, TRAIN
from jetmill.writing.picking import cells_of

logger = logging.getLogger(__name__)


def bin_jets(
    batches: Sequence[tuple[str, str | Path]],
    output: str | Path,
    *,
    bins: Mapping[str, Sequence[tuple[float, float, int]]],
    n_classes: int,
    outside: str,
    types: Mapping[str, str] | None = None,
) -> None:
    """Write the counts of each sample, see `jetmill.balancing.tables`.

    Parameters
    ----------
    batches
        Sample and column file of each batch.
    bins
        Variable to segments ``(low, high, number of bins)``.
    outside
        ``error`` or ``drop``: what is done with training jets outside the bins.
    types
        Column to the type that it is read in (`jetmill.batch_list.CleanedBatch`).

    Raises
    ------
    JetmillError
        If a training jet is outside the bins and `outside` is ``error``.
    """
    axes = axes_of(bins)
    n_cells, n_groups = int(np.prod(shape(axes))), len(SPLITS) * n_classes
    counts: dict[str, np.ndarray] = {}
    lost: dict[str, np.ndarray] = {}
    for sample, path in batches:
        with Batch(path, types) as batch:
            cell = cells_of(batch, axes)
            group = batch.split_codes() * np.int64(n_classes) + batch.read(LABEL)
            inside = cell >= 0
            if outside == "error" and not inside[batch.rows(TRAIN)].all():
                _refuse(batch, axes)
        found = np.bincount(group[inside] * n_cells + cell[inside], minlength=n_groups * n_cells)
        counts[sample] = counts.get(sample, 0) + found
        lost[sample] = lost.get(sample, 0) + np.bincount(group[~inside], minlength=n_groups)
        n_used = len(np.unique(cell[inside]))
        logger.info("%12d jets in %d of %d cells  %s", inside.sum(), n_used, n_cells, path)
    with create_hdf5(output) as file:
        for sample, found in counts.items():
            write_table(file, f"{COUNTS}/{sample}", found.reshape(len(SPLITS), n_classes, *shape(axes)))
            put(file, f"{OUTSIDE}/{sample}", lost[sample].reshape(len(SPLITS), n_classes))


def _refuse(batch: Batch, axes: Sequence[Axis]) -> None:
    """Say which training jets are outside the bins."""
    try:
        refuse_outside([batch.read(variable(axis.variable), batch.rows(TRAIN)) for axis in axes], axes)
    except JetmillError as error:
        raise JetmillError(f"{batch.path}: {error}") from None
