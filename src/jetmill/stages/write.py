"""One part of an output: rows of many batches, scaled, weighted, shuffled and written once."""

import logging
from pathlib import Path

import numpy as np

from jetmill.files import open_intermediate_file
from jetmill.scaling.scalers import read_scalers
from jetmill.writing import layout
from jetmill.writing.assembling import Tables, attributes, dataset_types, scaled_rows
from jetmill.writing.content import Content
from jetmill.writing.picking import PartOf, final_order, pick

logger = logging.getLogger(__name__)


def write_part(
    source: PartOf,
    balance_path: str | Path,
    scalers_path: str | Path,
    output: str | Path,
    *,
    content: Content,
    compression: str,
) -> None:
    """Write a part in the layout of `jetmill.writing.layout`.

    Parameters
    ----------
    content
        What to write.
    compression
        See `jetmill.writing.compression`.

    Raises
    ------
    JetmillError
        If a scaled value does not fit into float16.
    """
    scalers = read_scalers(scalers_path)
    with open_intermediate_file(balance_path) as balance_file:
        picked = list(pick(source, balance_file))
        tables = Tables.read(balance_file)
    rows = scaled_rows(picked, tables, scalers, content)
    types = dataset_types(content)
    layout.write_rows(output, rows, final_order(picked), attributes(tables, scalers, content), types, compression)
    by_class = np.bincount(np.concatenate([p.label for p in picked]), minlength=len(tables.classes))
    read = sum(p.rows.stop - p.rows.start for p in picked)
    found = ", ".join(f"{c} {n}" for c, n in zip(tables.classes, by_class, strict=True))
    logger.info("%12d jets read from %d batches", read, len(picked))
    logger.info("%12d jets written (%s)", by_class.sum(), found)
