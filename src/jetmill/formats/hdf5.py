"""Scaled arrays in HDF5, one dataset for each kind: see `jetmill.formats.files.layout`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetmill.formats.files.layout import constituent_field, datasets, write_rows
from jetmill.formats.files.names import Names, names_of
from jetmill.formats.format import Format, Hdf5Check

if TYPE_CHECKING:
    import h5py

    from jetmill.formats.content.part import Part


def write(part: "Part", output: str | Path, *, compression: str) -> None:
    """Write a part.

    Raises
    ------
    JetmillError
        If a scaled value does not fit into float16.
    """
    from jetmill.formats.content.scaled import attributes, dataset_types, scaled_rows

    known = part.tables, part.scalers, part.content
    fields = Names(part.content.jets_name).fields
    rows = scaled_rows(part.jets, *known) | {f"{fields}/{name}": values for name, values in part.fields.items()}
    for collection in part.content.slots:
        kept = part.constituent_fields(collection)
        rows |= {constituent_field(collection, name): values for name, values in kept.items()}
    write_rows(output, rows, part.order, attributes(*known), dataset_types(part.content), compression)


def finite(file: "h5py.File", config: Mapping[str, Any]) -> dict[str, list[str] | None]:  # noqa: ARG001
    """Return the datasets that must be finite: inputs and weights."""
    inputs = [name for name in datasets(file) if name.endswith(("/inputs", "/conditional"))]
    names = names_of(file)
    weights = [names.at(name) for name in file[names.jets] if name.startswith("weight")]
    return dict.fromkeys([names.inputs, *inputs, *weights])


FORMAT = Format(
    name="hdf5",
    description="scaled arrays, as umami writes them",
    write=write,
    title="Scaled arrays",
    loading='import jetmill\n{output} = jetmill.load("{results}/{output}.h5")',
    suffix="h5",
    options=("compression",),
    joined="",
    check=Hdf5Check(dataset="labels", field=None, finite=finite),
)
