"""The parts of each output joined into one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jetmill.formats.files.joining import join


def join_outputs(
    parts: Mapping[str, Sequence[str | Path]],
    outputs: Mapping[str, str | Path],
    *,
    merge: bool,
    compression: str,
    attributes: Mapping[str, str],
) -> None:
    """Join the parts of each output: see `jetmill.formats.files.joining.join`."""
    for output, path in outputs.items():
        join(parts[output], path, merge=merge, compression=compression, attributes=attributes)
