"""A part of an output, or a whole output as a directory, in one of the formats."""

import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from jetmill.formats.content.part import Part

logger = logging.getLogger(__name__)


def write(format_name: str, source: Part | str | Path, output: str | Path, options: Mapping[str, Any]) -> None:
    """Write a part or output in a format, from what it is made from: a `Part`, or a finished file of another format.

    `output` is the path of a part, or of the main file in a directory; `options` are the keys of ``write`` that the
    files of the format depend on.
    """
    # Not from the registry, which imports all formats.
    found = import_module(f"jetmill.formats.{format_name}").FORMAT
    found.write(source, output if found.suffix else Path(output).parent, **options)
    if isinstance(source, Part):
        counts, n_read = source.class_counts, sum(jets.rows.stop - jets.rows.start for jets in source.jets)
        logger.info("%12d jets read from %d batches", n_read, len(source.jets))
        logger.info("%12d jets written (%s)", sum(counts.values()), ", ".join(f"{c} {n}" for c, n in counts.items()))
