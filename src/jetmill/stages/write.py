"""One part of an output: rows of many batches, scaled, weighted, shuffled and written once."""

import logging
from pathlib import Path

import numpy as np

from jetmill.balancing.selection import PartSpec, final_order, select_jets
from jetmill.files import open_intermediate_file
from jetmill.scaling.scalers import read_scalers
from jetmill.writing import layout
from jetmill.writing.assembling import Tables, attributes, dataset_types, scaled_rows
from jetmill.writing.content import Content

logger = logging.getLogger(__name__)


def write_part(
    source: PartSpec,
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
        selected = list(select_jets(source, balance_file))
        tables = Tables.read(balance_file)
    rows = scaled_rows(selected, tables, scalers, content)
    types = dataset_types(content)
    layout.write_rows(output, rows, final_order(selected), attributes(tables, scalers, content), types, compression)
    by_class = np.bincount(np.concatenate([p.label for p in selected]), minlength=len(tables.classes))
    read = sum(p.rows.stop - p.rows.start for p in selected)
    found = ", ".join(f"{c} {n}" for c, n in zip(tables.classes, by_class, strict=True))
    logger.info("%12d jets read from %d batches", read, len(selected))
    logger.info("%12d jets written (%s)", by_class.sum(), found)
