"""Column files for tests."""

from jetmill.columns import batch_file
from jetmill.columns.promotion import Types
from jetmill.columns.schema import Column

at = Column.from_path


def write_batch(path, whole_columns, attributes):
    """Write pairs of dataset name and values (n,) into a column file."""
    whole_columns = {at(name): values for name, values in whole_columns}
    shapes = {c: (len(values), values.dtype) for c, values in whole_columns.items()}
    pieces = ((c, 0, values) for c, values in whole_columns.items())
    batch_file.write_batch(path, shapes, pieces, {"types": Types().as_json()} | attributes)
