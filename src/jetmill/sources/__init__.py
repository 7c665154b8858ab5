"""Input files: one module per format, all yielding the same chunks of jets."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from jetmill.settings.constituents import Constituents as ConstituentSettings
from jetmill.settings.input import Input
from jetmill.sources.chunk import Chunk, Constituents, Source
from jetmill.sources.damage import UnreadableError

__all__ = ["Chunk", "Constituents", "Source", "UnreadableError", "open_source"]


def open_source(
    path: str, settings: Input, constituents: Mapping[str, ConstituentSettings] | None = None
) -> AbstractContextManager[Source]:
    """Open an input file of the format that the configuration names.

    A further format is a module with the classes of `jetmill.sources.chunk` and a line here.

    Raises
    ------
    UnreadableError
        If the file is damaged, gone or out of reach, now or while it is read.
    JetmillError
        If it does not hold what the configuration names.
    """
    if settings.format == "hdf5":
        from jetmill.sources.hdf5 import open_hdf5

        return open_hdf5(path, jets=settings.jets)
    from jetmill.sources.root import open_root

    return open_root(path, settings, constituents or {})
