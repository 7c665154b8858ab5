"""Variables that some files lack, and the values that stand in for them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jetmill.sources.chunk import Chunk, MissingVariableError, Source

MISSING = "missing"


class WithOptional:
    """A file that may lack some variables of jets.

    Parameters
    ----------
    source
        The file.
    optional
        Variable to the value that its jets get where the file lacks it, or ``missing``.
    """

    def __init__(self, source: Source, optional: Mapping[str, bool | int | float | str]):
        self._source = source
        self._values = {name: _of_small_type(value) for name, value in optional.items()}
        self._lacks: dict[str, bool] = {}

    @property
    def identity(self) -> dict[str, int | str]:
        """That of the file, and the variables that it lacks."""
        lacking = ", ".join(name for name, lacks in self._lacks.items() if lacks)
        return self._source.identity | ({"lacks": lacking} if lacking else {})

    def variables(self) -> list[str]:
        """Return the names of all variables of the jets themselves that are numbers, and of optional ones, sorted."""
        return sorted({*self._source.variables(), *self._values})

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of jets, or raise for the first that is neither there nor optional."""
        found = self._source.dtypes([name for name in names if not self._is_lacking(name)])
        return {name: found[name] if name in found else self._values[name].dtype for name in names}

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of a collection, or raise for the first that is not there."""
        return self._source.constituent_dtypes(collection, names)

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[Chunk]:
        """Yield all jets in file order."""
        lacking = [name for name in names if self._is_lacking(name)]
        for chunk in self._source.chunks([name for name in names if name not in lacking], constituents):
            chunk.columns |= {name: np.full(len(chunk.entry), self._values[name]) for name in lacking}
            yield chunk

    def _is_lacking(self, name: str) -> bool:
        if name not in self._values:
            return False
        if name not in self._lacks:
            try:
                self._source.dtypes([name])
            except MissingVariableError:
                self._lacks[name] = True
            else:
                self._lacks[name] = False
        return self._lacks[name]


def _of_small_type(value: bool | float | str) -> np.generic:
    """Return a value in the smallest type that holds it, float32 for floats, so that no type of other files changes."""
    if value == MISSING:
        return np.float32(np.nan)
    if isinstance(value, float):
        return np.float32(value)
    small: np.generic = np.min_scalar_type(value).type(value)
    return small
