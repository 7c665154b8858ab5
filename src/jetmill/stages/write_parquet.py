"""One part of an output as a table in its own units, constituents as lists: what weaver reads."""

import logging
from pathlib import Path

import numpy as np

from jetmill.balancing.selection import PartSpec, final_order, select_jets
from jetmill.errors import JetmillError
from jetmill.files import atomic_write, open_intermediate_file, origin
from jetmill.packages import FORMATS
from jetmill.scaling.scalers import read_scalers
from jetmill.writing.assembling import Tables
from jetmill.writing.content import Content
from jetmill.writing.unscaled import FLAVOUR, constituent_fields, jet_fields

# Jets that are written at a time, a row group of the file.
BLOCK_ROWS = 50_000

logger = logging.getLogger(__name__)


def write_parquet(
    source: PartSpec,
    balance_path: str | Path,
    scalers_path: str | Path,
    output: str | Path,
    *,
    content: Content,
) -> None:
    """Write a part as Parquet.

    Columns: variables of jets by name, ``<collection>_<variable>`` as lists without padding,
    ``label_<class>`` as bool, ``flavour_label``, weights and what is carried along.

    Raises
    ------
    JetmillError
        If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise JetmillError(str(FORMATS["parquet"])) from None
    scalers = read_scalers(scalers_path)
    with open_intermediate_file(balance_path) as balance_file:
        selected = list(select_jets(source, balance_file))
        tables = Tables.read(balance_file)
    jets = jet_fields(selected, tables, scalers["jets"], content)
    flavour = jets[FLAVOUR]
    jets |= {f"label_{name}": flavour == number for number, name in enumerate(tables.classes)}
    ragged = {
        f"{collection}_{name}": rows
        for collection in content.slots
        for name, rows in constituent_fields(selected, collection, scalers[collection], content).items()
    }
    order = final_order(selected)

    def table(rows: np.ndarray) -> pa.Table:
        columns = {name: pa.array(values.take(rows)) for name, values in jets.items()}
        for name, values in ragged.items():
            ends = np.concatenate([[0], np.cumsum(values.counts[rows])]).astype(np.int32)
            columns[name] = pa.ListArray.from_arrays(ends, pa.array(values.take_ragged(rows)))
        return pa.table(columns)

    schema = table(order[:0]).schema
    schema = schema.with_metadata({**(schema.metadata or {}), **origin})
    with atomic_write(output) as partial, pq.ParquetWriter(partial, schema) as writer:
        for start in range(0, len(order), BLOCK_ROWS):
            writer.write_table(table(order[start : start + BLOCK_ROWS]))
    logger.info("%12d jets written", len(order))
