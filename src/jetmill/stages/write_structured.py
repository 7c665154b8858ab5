"""One part of an output as records in their own units: the layout that salt trains on."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from jetmill.balancing.selection import PartSpec, final_order, select_jets
from jetmill.balancing.tables import written_jets
from jetmill.files import open_intermediate_file
from jetmill.scaling.scalers import read_scalers
from jetmill.writing import layout
from jetmill.writing.assembling import Tables
from jetmill.writing.content import Content
from jetmill.writing.rows import Ragged, Rows, records
from jetmill.writing.unscaled import FLAVOUR, constituent_fields, jet_fields

logger = logging.getLogger(__name__)


def write_structured(
    source: PartSpec,
    balance_path: str | Path,
    scalers_path: str | Path,
    output: str | Path,
    *,
    content: Content,
    compression: str,
) -> None:
    """Write a part as one dataset of records per object: ``jets`` (n,), constituents (n, slots).

    Variables are not scaled. ``jets`` has ``flavour_label``, the class; constituents have ``valid``,
    those in use in front. Attributes: of ``jets``, ``flavour_label`` with the names of the classes; of
    the file, what salt records of its training data: ``unique_jets``, ``jet_counts``, ``dsids``.
    """
    scalers = read_scalers(scalers_path)
    with open_intermediate_file(balance_path) as balance_file:
        selected = list(select_jets(source, balance_file))
        tables = Tables.read(balance_file)
        kept, unique = written_jets(balance_file, source.output)
    rows: dict[str, Rows] = {"jets": records(jet_fields(selected, tables, scalers["jets"], content))}
    for collection, length in content.slots.items():
        fields = constituent_fields(selected, collection, scalers[collection], content)
        counts = next(iter(fields.values())).counts
        in_use = np.arange(counts.sum() + 1) < counts.sum()
        values = records({name: f.values for name, f in fields.items()} | {"valid": in_use})
        rows[collection] = Ragged(values, counts, length)
    by_class = dict(zip(tables.classes, kept.tolist(), strict=True))
    attributes: dict[str, dict[str, Any]] = {
        "jets": {FLAVOUR: list(tables.classes)},
        "/": {
            "unique_jets": unique,
            "jet_counts": json.dumps(by_class),
            "dsids": json.dumps([]),
        },
    }
    layout.write_rows(output, rows, final_order(selected), attributes, {}, compression)
    logger.info("%12d jets written", rows["jets"].shape[0])
