"""One set of scalers from the statistics of all ranges."""

import logging
from collections.abc import Sequence
from pathlib import Path

from jetmill.scaling.moments import read_statistics
from jetmill.scaling.scalers import fit_all, write_scalers
from jetmill.settings.stages import MergeSettings

logger = logging.getLogger(__name__)


def merge_scalers(
    ranges: Sequence[str | Path],
    output: str | Path,
    settings: MergeSettings,
) -> None:
    """Write the scalers of all variables as JSON, see `jetmill.scaling.scalers.write_scalers`.

    Raises
    ------
    JetmillError
        If a variable is constant or missing everywhere, and that is an error.
    """
    statistics = read_statistics(ranges)
    scalers, warnings = fit_all(statistics, settings.rules, strict=settings.strict, jets_name=settings.jets_name)
    write_scalers(scalers, statistics, warnings, output)
    for warning in (w for rows in warnings.values() for of_variable in rows.values() for w in of_variable):
        logger.warning("%s", warning)
    logger.info("%d scalers", sum(map(len, scalers.values())))
