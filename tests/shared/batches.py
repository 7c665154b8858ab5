"""Column files for tests."""

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


def write_batch(path, whole_columns, attributes):
    """Write pairs of dataset name and values (n,) into a column file."""
    whole_columns = {at(name): values for name, values in whole_columns}
    shapes = {c: (len(values), values.dtype) for c, values in whole_columns.items()}
    pieces = ((c, 0, values) for c, values in whole_columns.items())
    batch_file.write_batch(path, shapes, pieces, {"types": Types().as_json(), "truth": True} | attributes)
