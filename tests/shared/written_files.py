"""Parts, written as the rules of the workflow do."""

from jetmill.formats.content.part import Part
from jetmill.stages.write import write


def write_part(spec, balance_path, scalers_path, output, *, content, format_name="hdf5", **options):
    """Write one part."""
    write(format_name, Part.read(spec, balance_path, scalers_path, content), output, options)
