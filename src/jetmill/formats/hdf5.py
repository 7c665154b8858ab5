"""Scaled arrays in HDF5, one dataset for each kind: see `jetmill.formats.files.layout`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetmill.formats.files.layout import FIELDS, INPUTS, LABELS, datasets, write_rows
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
    rows = scaled_rows(part.jets, *known) | {f"{FIELDS}/{name}": values for name, values in part.fields.items()}
    write_rows(output, rows, part.order, attributes(*known), dataset_types(part.content), compression)


def finite(file: "h5py.File", config: Mapping[str, Any]) -> dict[str, list[str] | None]:  # noqa: ARG001
    """Return the datasets that must be finite: inputs and weights."""
    inputs = [name for name in datasets(file) if name.endswith(("/inputs", "/conditional"))]
    return dict.fromkeys([INPUTS, *inputs, *(f"jets/{name}" for name in file["jets"] if name.startswith("weight"))])


FORMAT = Format(
    name="hdf5",
    description="scaled arrays, as umami writes them",
    write=write,
    title="Scaled arrays",
    loading='import jetmill; {output} = jetmill.load("{results}/{output}.h5")',
    suffix="h5",
    options=("compression",),
    joined="",
    check=Hdf5Check(labels=LABELS, field=None, finite=finite),
)
