"""The cell of each jet of a batch in the balancing histogram."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from jetmill.binning import axes_of, cell_index, shape
from jetmill.columns import LABEL, Batch, variable
from jetmill.errors import JetmillError
from jetmill.files import complete
from jetmill.splitting import SPLITS
from jetmill.tables import CELL, COUNTS

logger = logging.getLogger(__name__)


def bin_jets(
    batch_path: str | Path,
    output: str | Path,
    *,
    bins: Mapping[str, Sequence[tuple[float, float, int]]],
    n_classes: int,
) -> None:
    """Write the cell of each jet and the counts of the batch, see `jetmill.tables`.

    Raises
    ------
    JetmillError
        If a jet is outside the bins.
    """
    axes = axes_of(bins)
    n_cells = int(np.prod(shape(axes)))
    with Batch(batch_path) as batch:
        try:
            cell = cell_index([batch.read(variable(axis.variable)) for axis in axes], axes)
        except JetmillError as error:
            raise JetmillError(f"{batch_path}: {error}") from None
        group = (batch.split_codes() * np.int64(n_classes) + batch.read(LABEL)) * n_cells + cell
    counts = np.bincount(group, minlength=len(SPLITS) * n_classes * n_cells)
    with complete(output) as partial, h5py.File(partial, "w") as file:
        file[CELL] = cell
        table = counts.reshape(len(SPLITS), n_classes, *shape(axes))
        file.create_dataset(COUNTS, data=table, compression="gzip", compression_opts=1, shuffle=True)
    logger.info("%12d jets in %d of %d cells", len(cell), table.any(axis=(0, 1)).sum(), n_cells)
