"""Moments of a range of variables, from the training jets of all batches."""

import logging
from collections.abc import Sequence
from pathlib import Path

from jetmill.columns import VARIABLES, Batch
from jetmill.files import complete
from jetmill.scaling import Moments, write_moments
from jetmill.splitting import TRAIN

logger = logging.getLogger(__name__)


def fit_scalers(batches: Sequence[str | Path], output: str | Path, *, variables: Sequence[str]) -> None:
    """Add up the moments of some variables, one column of one batch at a time.

    Parameters
    ----------
    batches
        Column files of all batches.
    output
        JSON file of moments, see `jetmill.scaling.write_moments`.
    """
    total = dict.fromkeys(variables, Moments())
    for path in batches:
        with Batch(path) as batch:
            rows = batch.rows(TRAIN)
            for name in variables:
                total[name] += Moments.of(batch.read(f"{VARIABLES}/{name}", rows))
    with complete(output) as partial:
        write_moments(total, partial)
    for name, moments in total.items():
        logger.info("%12d values  %s", moments.count, name)
