"""Statistics of a range of variables, from the training jets of all batches."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jetmill.columns import Batch, constituent, variable
from jetmill.files import complete
from jetmill.scaling.moments import Statistics, write_statistics
from jetmill.scaling.settings import ScalingSettings, is_scaled
from jetmill.splitting import TRAIN

# Values that are read at a time.
BLOCK_ROWS = 2**18

logger = logging.getLogger(__name__)


def fit_scalers(
    batches: Sequence[str | Path], output: str | Path, *, of: str, variables: Sequence[str], settings: ScalingSettings
) -> None:
    """Go through some variables of the training jets, block by block, in constant memory.

    Parameters
    ----------
    batches
        Column files of all batches.
    output
        JSON file, see `jetmill.scaling.moments.write_statistics`.
    of
        ``jets`` or a collection of constituents, whose variables these are.
    settings
        How they will be scaled, which decides what must be known.
    """
    found = {}
    for name in variables:
        robust = settings.method == "robust" and is_scaled(name, settings)

        def blocks(name: str = name) -> Iterator[np.ndarray]:
            return _training_values(batches, of, name)

        found[name] = Statistics.of(blocks, log=name in settings.log, quartiles=robust)
        logger.info("%12d values  %s", found[name].moments.count, name)
    with complete(output) as partial:
        write_statistics({of: found}, partial)


def _training_values(batches: Sequence[str | Path], of: str, name: str) -> Iterator[np.ndarray]:
    for path in batches:
        with Batch(path) as batch:
            rows, column = batch.rows(TRAIN), variable(name)
            if of != "jets":
                rows, column = batch.constituents(of, rows)[1], constituent(of, name)
            for start in range(rows.start, rows.stop, BLOCK_ROWS):
                yield batch.read(column, slice(start, min(start + BLOCK_ROWS, rows.stop)))
