"""Input formats: each module here with a `FORMAT` defines one, and all yield the same chunks of jets.

Heavy packages are imported inside functions, since formats are imported wherever a configuration is read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources.chunk import Chunk, ConstituentColumns, Source
from jetmill.sources.damage import UnreadableError
from jetmill.sources.first_jets import FirstJets
from jetmill.sources.optional import WithOptional

__all__ = ["Chunk", "ConstituentColumns", "Source", "UnreadableError", "open_source"]


@contextmanager
def open_source(path: str, settings: Input, constituents: Mapping[str, Constituents] | None = None) -> Iterator[Source]:
    """Open an input file of the format that the configuration names; raises what `InputFormat.open` does."""
    from jetmill.sources.registry import INPUT_FORMATS

    with INPUT_FORMATS[settings.format].open(path, settings, constituents or {}) as source:
        of_constituents = {name: c.optional for name, c in (constituents or {}).items()}
        if settings.optional or any(of_constituents.values()):
            source = WithOptional(source, settings.optional, of_constituents)
        yield source if settings.max_jets_per_file is None else FirstJets(source, settings.max_jets_per_file)
