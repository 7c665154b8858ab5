"""HDF5 of records in their own units: the layout that salt trains on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jetmill.columns.schema import constituent, variable
from jetmill.formats.cards import salt
from jetmill.formats.content.rows import Ragged, Rows, records
from jetmill.formats.files.layout import write_rows
from jetmill.formats.files.names import Names, names_of
from jetmill.formats.format import Format, Hdf5Check

if TYPE_CHECKING:
    import h5py

    from jetmill.formats.content.part import Part


def write(part: "Part", output: str | Path, *, compression: str, native_types: bool) -> None:
    """Write a part as one dataset of records per object: ``jets`` (n,), constituents (n, slots) (docs/output.md).

    Attributes of the file are what salt records of its training data: ``unique_jets``, ``jet_counts``, ``dsids``.
    """
    from jetmill.formats.content.unscaled import FLAVOUR, constituent_fields, jet_fields

    content, classes = part.content, list(part.tables.classes)
    names = Names(content.jets_name)
    native = part.jets[0].batch.native if native_types else {}

    def typed(of: str, name: str, values: np.ndarray) -> np.ndarray:
        """Return values of a variable in the type of the files.

        A logarithm may have a default that is no integer, and objects are padded with NaN.
        """
        column, scaler = variable(name) if of == names.jets else constituent(of, name), part.scalers[of].get(name)
        plain = of in content.objects or (scaler is not None and scaler.log)
        return values if plain else values.astype(native.get(column, values.dtype))

    of_jets = jet_fields(part.jets, part.tables, part.scalers[names.jets], content)
    of_jets = part.fields | {name: typed(names.jets, name, x) for name, x in of_jets.items()}
    rows: dict[str, Rows] = {names.jets: records(of_jets)}
    for collection, length in content.slots.items():
        fields = constituent_fields(part.jets, collection, part.scalers[collection], content)
        counts = next(iter(fields.values())).counts
        in_use = np.arange(counts.sum() + 1) < counts.sum()
        values_of = {name: f.values for name, f in part.constituent_fields(collection).items()}
        values_of |= {name: typed(collection, name, f.values) for name, f in fields.items()}
        values = records(values_of | {"valid": in_use})
        rows[collection] = Ragged(values, counts, length)
    of_file = {f"unique_{names.jets}": part.unique, f"{names.jet}_counts": json.dumps(part.written)}
    of_file |= {"dsids": json.dumps([])} | names.attributes
    write_rows(output, rows, part.order, {names.jets: {FLAVOUR: classes}, "/": of_file}, {}, compression)


def finite(file: "h5py.File", config: Mapping[str, Any]) -> dict[str, list[str] | None]:
    """Return the fields that must be finite: inputs and weights."""
    jets_name = names_of(file).jets
    weights = [name for name in file[jets_name].dtype.names if name.startswith("weight")]
    known = {name: c for name, c in config["constituents"].items() if name in file and c.get("objects") is None}
    of_constituents = {name: c["variables"] for name, c in known.items()}
    return {jets_name: [*config["jets"]["variables"], *weights], **of_constituents}


FORMAT = Format(
    name="structured",
    description="HDF5 of records, not scaled, for salt",
    write=write,
    title="Records for salt",
    loading="{results}/structured/{output}.h5\nthe configuration of a training is in {results}/salt/",
    suffix="h5",
    options=("compression", "native_types"),
    joined="structured",
    keeps_config=True,  # salt keeps it beside a trained model
    cards=(salt.GN2, salt.DL1),
    check=Hdf5Check(dataset=None, field="flavour_label", finite=finite),
)
