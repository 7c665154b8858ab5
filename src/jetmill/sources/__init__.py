"""Input formats: each module here with a `FORMAT` defines one, and all yield the same chunks of jets.

Heavy packages are imported inside functions, since formats are imported wherever a configuration is read.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources.chunk import Chunk, ConstituentColumns, Source
from jetmill.sources.damage import UnreadableError

__all__ = ["Chunk", "ConstituentColumns", "Source", "UnreadableError", "open_source"]


def open_source(
    path: str, settings: Input, constituents: Mapping[str, Constituents] | None = None
) -> AbstractContextManager[Source]:
    """Open an input file of the format that the configuration names; raises what `InputFormat.open` does."""
    from jetmill.sources.registry import INPUT_FORMATS

    return INPUT_FORMATS[settings.format].open(path, settings, constituents or {})
