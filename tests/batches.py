"""Column files for tests."""

from jetmill.columns import batch_file
from jetmill.columns.promotion import Types


def write_batch(path, whole_columns, attributes):
    """Write pairs of dataset name and values (n,) into a column file."""
    whole_columns = dict(whole_columns)
    shapes = {name: (len(values), values.dtype) for name, values in whole_columns.items()}
    pieces = ((name, 0, values) for name, values in whole_columns.items())
    batch_file.write_batch(path, shapes, pieces, {"types": Types().as_json()} | attributes)
