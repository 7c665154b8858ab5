"""How many jets of some batches are in each cell of the balancing histogram."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jetmill.balancing.binning import axes_of, shape
from jetmill.balancing.tables import COUNTS, write_table
from jetmill.columns import LABEL, Batch
from jetmill.files import create_hdf5
from jetmill.splitting import SPLITS
from jetmill.writing.picking import cells_of

logger = logging.getLogger(__name__)


def bin_jets(
    batches: Sequence[tuple[str, str | Path]],
    output: str | Path,
    *,
    bins: Mapping[str, Sequence[tuple[float, float, int]]],
    n_classes: int,
    types: Mapping[str, str] | None = None,
) -> None:
    """Write the counts of each sample, see `jetmill.balancing.tables`.

    Parameters
    ----------
    batches
        Sample and column file of each batch.
    bins
        Variable to segments ``(low, high, number of bins)``.
    types
        Column to the type that it is read in (`jetmill.batch_list.CleanedBatch`).

    Raises
    ------
    JetmillError
        If a jet is outside the bins.
    """
    axes = axes_of(bins)
    n_cells = int(np.prod(shape(axes)))
    counts: dict[str, np.ndarray] = {}
    for sample, path in batches:
        with Batch(path, types) as batch:
            cell = cells_of(batch, axes)
            group = (batch.split_codes() * np.int64(n_classes) + batch.read(LABEL)) * n_cells + cell
        found = np.bincount(group, minlength=len(SPLITS) * n_classes * n_cells)
        counts[sample] = counts.get(sample, 0) + found
        logger.info("%12d jets in %d of %d cells  %s", len(cell), len(np.unique(cell)), n_cells, path)
    with create_hdf5(output) as file:
        for sample, found in counts.items():
            write_table(file, f"{COUNTS}/{sample}", found.reshape(len(SPLITS), n_classes, *shape(axes)))
