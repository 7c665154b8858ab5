"""TFRecords of a finished output, with the names of features that umami uses."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetmill.files import atomic_write
from jetmill.formats.files import layout
from jetmill.formats.files.names import names_of
from jetmill.formats.files.tfrecord_files import PACKAGE, RecordWriter
from jetmill.formats.format import Format

if TYPE_CHECKING:
    import h5py

# Jets that are read at a time.
BLOCK_ROWS = 10_000

logger = logging.getLogger(__name__)


def write(joined: str | Path, output: str | Path, *, records_per_file: int) -> None:
    """Write ``<output>_0001.tfrecord`` and so on, and ``metadata.json``, into a directory (docs/output.md).

    Each file has `records_per_file` jets, the last one the rest.
    """
    output = Path(output)
    with atomic_write(output, directory=True) as partial, layout.reopen_finished(joined) as file:
        names = names_of(file)
        layout.check_parts(joined, file[names.labels])
        n_jets = file[names.labels].shape[0]
        sources = dict(_features(file))
        for number, start in enumerate(range(0, n_jets, records_per_file), start=1):
            with RecordWriter(partial / f"{output.name}_{number:04d}.tfrecord") as writer:
                end = min(start + records_per_file, n_jets)
                for first in range(start, end, BLOCK_ROWS):
                    rows = slice(first, min(first + BLOCK_ROWS, end))
                    writer.write({name: dataset[rows] for name, dataset in sources.items()})
        (partial / "metadata.json").write_text(json.dumps(_metadata(file), indent=1))
    logger.info("%12d jets in %d files", n_jets, -(-n_jets // records_per_file))


def _features(file: "h5py.File") -> Iterator[tuple[str, Any]]:
    """Yield the name of each feature and the dataset it comes from."""
    names = names_of(file)
    yield f"X_{names.jets}", file[names.inputs]
    yield f"Y_{names.jets}", file[names.one_hot]
    yield "Weights", file[names.weight]
    for name in file.get(names.fields, ()):
        yield f"fields/{name}", _single(file[f"{names.fields}/{name}"])
    if names.conditional in file:
        yield "X_Add_Vars", file[names.conditional]
    for collection in layout.collections(file):
        yield f"{collection}/inputs", file[layout.constituent_inputs(collection)]
        yield f"{collection}/valid", file[layout.valid(collection)]
        for name in layout.constituent_labels(file, collection):
            yield f"{collection}/labels/{name}", file[layout.constituent_label(collection, name)]
        for name in layout.constituent_fields(file, collection):
            yield f"{collection}/fields/{name}", _single(file[layout.constituent_field(collection, name)])


def _single(field: "h5py.Dataset") -> Any:
    """Return a field, double precision as single."""
    return field.astype("f4") if field.dtype == "f8" else field


def _metadata(file: "h5py.File") -> dict[str, Any]:
    names = names_of(file)
    inputs = file[names.inputs]
    conditional = file[names.conditional].attrs[names.variables] if names.conditional in file else []
    collections = layout.collections(file)
    of_constituents = {name: file[layout.constituent_inputs(name)] for name in collections}
    labels = {name: layout.constituent_labels(file, name) for name in collections}

    def is_float(collection: str, label: str) -> bool:
        return bool(file[layout.constituent_label(collection, label)].dtype.kind == "f")

    objects = [name for name, d in of_constituents.items() if layout.OBJECTS in d.attrs]
    label_classes = {name: {label: _values(file, name, label) for label in labels[name]} for name in collections}
    return {
        f"n_{names.jets}": inputs.shape[0],
        f"n_{names.jet}_features": inputs.shape[1],
        "n_dim": file[names.one_hot].shape[1],
        "n_trks": {name: d.shape[1] for name, d in of_constituents.items()},
        "n_trk_features": {name: d.shape[2] for name, d in of_constituents.items()},
        "n_trks_labels": {name: len(labels[name]) for name in collections},
        "n_trks_classes": {name: max(map(len, label_classes[name].values()), default=0) for name in collections},
        "n_add_vars": len(conditional) or None,
        names.variables: list(inputs.attrs[names.variables]),
        "label_classes": list(file[names.labels].attrs["label_classes"]),
        "add_variables": list(conditional),
        "variables": {name: list(d.attrs["variables"]) for name, d in of_constituents.items()},
        "labels": label_classes,
        "float_labels": {name: [x for x in labels[name] if is_float(name, x)] for name in collections},
        **({layout.OBJECTS: objects} if objects else {}),
        **names.attributes,
    }


def _values(file: "h5py.File", collection: str, label: str) -> list[str]:
    """Return the names of the values of a label, if they are known."""
    return list(file[layout.constituent_label(collection, label)].attrs.get("label_classes", []))


FORMAT = Format(
    name="tfrecords",
    description="the arrays for TensorFlow",
    write=write,
    title="TFRecords",
    loading=(
        "from jetmill.loading.tensorflow import record_dataset\n"
        '{output} = record_dataset("{results}/tfrecords/{output}", batch_size=1000)'
    ),
    made_from="hdf5",
    options=("records_per_file",),
    package=PACKAGE,
)
