"""Input files: one module per format, each giving the same chunks of jets."""

from jetmill.sources.chunk import Chunk
from jetmill.sources.root import open_root

# A further format is a function with the signature of `open_root`.
OPENERS = {"root": open_root}

__all__ = ["OPENERS", "Chunk", "open_root"]
