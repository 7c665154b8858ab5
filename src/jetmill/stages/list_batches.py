"""The list of all cleaned batches."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from jetmill.columns.batch_list import sum_cutflows, write_batch_lists
from jetmill.inputs.copies import copy_warnings
from jetmill.splitting import Groups

logger = logging.getLogger(__name__)


def list_batches(paths: Sequence[str | Path], outputs: Mapping[str | Path, Mapping[str, Groups]]) -> None:
    """Write lists of the column files of all batches, see `jetmill.columns.batch_list`, and log the cutflow.

    It warns of input files that seem to be copies of others.
    """
    batches = write_batch_lists(paths, outputs)
    for title, left in sum_cutflows([batch.cutflow for batch in batches]):
        logger.info("%12d jets  %s", left, title)
    logger.info("%12d batches", len(batches))
    for sentence in copy_warnings(batches):
        logger.warning("%s", sentence)
