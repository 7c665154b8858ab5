"""The list of all cleaned batches."""

import logging
from collections.abc import Sequence
from pathlib import Path

from jetmill.batch_list import CleanedBatch, sum_cutflows, write_batch_list

logger = logging.getLogger(__name__)

# Of files that ROOT was asked to write reproducibly.
NO_UUID = "00000000-0000-0000-0000-000000000000"


def list_batches(paths: Sequence[str | Path], output: str | Path) -> None:
    """Write the list of the column files of all batches, see `jetmill.batch_list`, and log the cutflow.

    Input files that seem to be copies of others are a warning.
    """
    batches = write_batch_list(paths, output)
    for title, left in sum_cutflows([batch.cutflow for batch in batches]):
        logger.info("%12d jets  %s", left, title)
    logger.info("%12d batches", len(batches))
    if copies := _copies(batches):
        path, what, other = copies[0]
        more = f" (and {len(copies) - 1} more like it)" if len(copies) > 1 else ""
        logger.warning(
            "%s and %s have the same %s%s: if one is a copy of the other, its jets count twice; remove it from samples",
            path,
            other,
            what,
            more,
        )


def _copies(batches: Sequence[CleanedBatch]) -> list[tuple[str, str, str]]:
    """Return the input files with jets whose content or UUID an earlier one has, what it is, and that one."""
    first: dict[tuple[str, str], str] = {}
    copies = []
    for batch in batches:
        for entry in batch.inputs:
            if not entry["jets"]:
                continue
            path = f"{entry['path']} of {batch.sample}"
            marks = [("content", entry.get("sha256")), ("UUID", entry.get("uuid"))]
            known = [(what, mark) for what, mark in marks if mark not in (None, NO_UUID)]
            if same := [mark for mark in known if mark in first]:
                copies.append((path, same[0][0], first[same[0]]))
            for mark in known:
                first.setdefault(mark, path)
    return copies
