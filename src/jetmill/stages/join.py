"""The parts of each output joined into one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jetmill.formats.files.joining import join
from jetmill.settings.stages import JoinSettings


def join_outputs(
    parts: Mapping[str, Sequence[str | Path]], outputs: Mapping[str, str | Path], settings: JoinSettings
) -> None:
    """Join the parts of each output: see `jetmill.formats.files.joining.join`."""
    for output, path in outputs.items():
        join(
            parts[output],
            path,
            merge=settings.merge,
            compression=settings.compression,
            attributes=settings.attributes,
        )
