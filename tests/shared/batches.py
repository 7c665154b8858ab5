"""Column files for tests."""

import h5py
import numpy as np

from jetmill.cleaning.column_buffer import LIMITS
from jetmill.columns import batch_file
from jetmill.columns.batch_list import CleanedBatch
from jetmill.columns.promotion import Types
from jetmill.columns.schema import Column
from jetmill.settings.clean import InputBatch
from jetmill.stages import clean

at = Column.from_path


def clean_batch(files, output, *, settings, sample, first_file, checksums=None, limits=LIMITS):
    """Clean files that are the whole of a batch."""
    batch = InputBatch(sample, "0000", tuple(map(str, files)), first_file, checksums or {})
    clean.clean_batch(batch, output, settings, limits)


def cleaned(sample, path, types=None):
    """Return a batch of which only the column file is known."""
    return CleanedBatch(sample, str(path), 0, [], [], {}, [], [], types or {})


def columns_of(path):
    """Return all datasets of a batch file, its runs as if they were one: grouped by split or fold, sorted by key."""
    columns = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: columns.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
        runs = file.attrs["runs"]
    order = np.lexsort((columns["key"], np.concatenate([np.repeat(range(len(of_run)), of_run) for of_run in runs])))
    found = {}
    for name, values in columns.items():
        group, _, of_constituents = name.removeprefix("constituents/").partition("/")
        if not name.startswith("constituents/"):
            found[name] = values[order]
            continue
        starts = columns[f"constituents/{group}/offsets"]
        pieces = [range(starts[jet], starts[jet + 1]) for jet in order]
        if of_constituents == "offsets":
            found[name] = np.cumsum([0, *map(len, pieces)])
        else:
            found[name] = values[[place for piece in pieces for place in piece]]
    return found


def write_batch(path, whole_columns, attributes):
    """Write pairs of dataset name and values (n,) into a column file."""
    whole_columns = {at(name): values for name, values in whole_columns}
    described = {column: (len(values), values.dtype) for column, values in whole_columns.items()}
    with batch_file.create_batch(path) as writer:
        for column, values in whole_columns.items():
            writer.write(column, 0, values)
        writer.finish(described, {"types": Types().as_json(), "truth": True} | attributes)
