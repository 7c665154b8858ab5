"""The first jets of a file, for a quick trial."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jetmill.sources.chunk import Chunk, ConstituentColumns, Source


class _FirstOfChunk:
    """The first jets of a chunk."""

    def __init__(self, chunk: Chunk, n: int):
        self.columns = {name: values[:n] for name, values in chunk.columns.items()}
        self.entry, self.position = chunk.entry[:n], chunk.position[:n]
        self._chunk = chunk

    def constituents(self, collection: str, names: Sequence[str], jets: np.ndarray) -> ConstituentColumns:
        """Read the constituents of the jets where the mask `jets` is true."""
        of_chunk = np.zeros(len(self._chunk.entry), dtype=bool)
        of_chunk[: len(jets)] = jets
        return self._chunk.constituents(collection, names, of_chunk)


class FirstJets:
    """A file of which only the first jets are read, in whole entries: the event of the last one is not cut.

    Parameters
    ----------
    source
        The file.
    n_jets
        Jets to read, or as many more as their last event has.
    """

    def __init__(self, source: Source, n_jets: int):
        self._source, self._n_jets = source, n_jets

    @property
    def identity(self) -> dict[str, int | str]:
        """That of the file."""
        return self._source.identity

    def variables(self) -> list[str]:
        """Return the names of all variables of the jets themselves that are numbers, sorted."""
        return self._source.variables()

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of jets in the file, or raise for the first that is not there."""
        return self._source.dtypes(names)

    def constituent_variables(self, collection: str) -> list[str]:
        """Return the names of all variables of a collection that are numbers, sorted."""
        return self._source.constituent_variables(collection)

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of a collection, or raise for the first that is not there."""
        return self._source.constituent_dtypes(collection, names)

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[Chunk]:
        """Yield the first jets in file order; what comes after them is not read."""
        left = self._n_jets
        for chunk in self._source.chunks(names, constituents):
            if left <= len(chunk.entry):
                yield _FirstOfChunk(chunk, int(np.searchsorted(chunk.entry, chunk.entry[left - 1], side="right")))
                return
            yield chunk
            left -= len(chunk.entry)
