"""One set of scalers from the moments of all ranges."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from jetmill.files import complete
from jetmill.scaling import read_moments, scalers_from_moments, write_norm_dict, write_scale_dict, write_scalers

logger = logging.getLogger(__name__)


def merge_scalers(
    ranges: Sequence[str | Path],
    scalers_json: str | Path,
    scale_dict: str | Path,
    norm_dict: str | Path,
    *,
    default_offset: float,
    defaults: Mapping[str, float],
    strict: bool,
) -> None:
    """Write the scalers of all variables in three forms: jetmill's, umami's and salt's.

    Raises
    ------
    JetmillError
        If a variable is constant or missing everywhere, and `strict`.
    """
    moments = read_moments(ranges)
    scalers, problems = scalers_from_moments(moments, offset=default_offset, defaults=defaults, strict=strict)
    for write, path in ((write_scalers, scalers_json), (write_scale_dict, scale_dict), (write_norm_dict, norm_dict)):
        with complete(path) as partial:
            write(scalers, partial)
    for problem in problems:
        logger.warning("%s; it keeps its unit", problem)
    logger.info("%d scalers", len(scalers))
