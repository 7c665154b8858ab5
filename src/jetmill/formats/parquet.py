"""Parquet: a table in its own units, constituents as lists, which weaver reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jetmill.errors import JetmillError
from jetmill.files import atomic_write, origin
from jetmill.formats.cards import hugging_face, weaver
from jetmill.formats.format import Format
from jetmill.packages import Package

if TYPE_CHECKING:
    from jetmill.formats.content.part import Part
    from jetmill.formats.content.rows import Ragged

PACKAGE = Package("write.formats: parquet", "pyarrow", ("pyarrow",), "pyarrow")
# Jets that are written at a time, and in a row group: readers that take a few rows here and there read whole groups.
BLOCK_ROWS, GROUP_ROWS = 50_000, 1_000


def write(part: "Part", output: str | Path) -> None:
    """Write a part: variables of jets by name, of constituents as lists, ``label_<class>`` as bool.

    Raises
    ------
    JetmillError
        If an integer does not fit into int64.
    """
    from jetmill.formats.content.unscaled import FLAVOUR, constituent_fields, jet_fields

    pa, pq = PACKAGE.load(), PACKAGE.load("pyarrow.parquet")
    jets = jet_fields(part.jets, part.tables, part.scalers[part.content.jets_name], part.content)
    flavour = jets[FLAVOUR]
    jets = {name: signed(name, values) for name, values in (part.fields | jets).items()}
    jets |= {f"label_{name}": flavour == number for number, name in enumerate(part.tables.classes)}
    ragged: dict[str, Ragged] = {}
    for collection in part.content.slots:
        of_each = constituent_fields(part.jets, collection, part.scalers[collection], part.content)
        of_each = part.constituent_fields(collection) | of_each
        ragged |= {f"{collection}_{name}": rows for name, rows in of_each.items()}
    order = part.order

    def table(rows: np.ndarray) -> Any:
        columns = {name: pa.array(values.take(rows)) for name, values in jets.items()}
        for name, values in ragged.items():
            ends = np.concatenate([[0], np.cumsum(values.counts[rows])]).astype(np.int32)
            columns[name] = pa.ListArray.from_arrays(ends, pa.array(signed(name, values.take_ragged(rows))))
        return pa.table(columns)

    schema = table(order[:0]).schema
    schema = schema.with_metadata({**(schema.metadata or {}), **origin})
    with atomic_write(output) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for start in range(0, len(order), BLOCK_ROWS):
            writer.write_table(table(order[start : start + BLOCK_ROWS]), row_group_size=GROUP_ROWS)


def signed(name: str, values: np.ndarray) -> np.ndarray:
    """Return unsigned integers of more than 8 bits as int64, since PyTorch, and so weaver, cannot batch them."""
    if values.dtype.kind != "u" or values.dtype.itemsize == 1:
        return values
    if values.size and values.max() > np.iinfo(np.int64).max:
        raise JetmillError(f"'{name}' has the value {values.max()}, beyond int64, in which Parquet files hold integers")
    return values.astype(np.int64)


FORMAT = Format(
    name="parquet",
    description="not scaled, for weaver",
    write=write,
    title="Parquet for weaver",
    loading="{results}/parquet/{output}/*.parquet",
    suffix="parquet",
    cards=(hugging_face.CARD, weaver.CARD),
    package=PACKAGE,
    memory=5,
)
