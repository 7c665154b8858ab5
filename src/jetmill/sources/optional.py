"""Variables that some files lack, and the values that stand in for them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from jetmill.sources.chunk import Chunk, ConstituentColumns, MissingVariableError, Source

MISSING = "missing"

Given = Mapping[str, bool | int | float | str]
# Name to value, of jets (None) and of collections of constituents.
Values = Mapping[str | None, Mapping[str, np.generic]]


class _Filled:
    """A chunk with the values of variables that its file lacks."""

    def __init__(self, chunk: Chunk, lacking: Values):
        self.entry, self.position = chunk.entry, chunk.position
        self.columns = chunk.columns | {name: np.full(len(self.entry), value) for name, value in lacking[None].items()}
        self._chunk, self._lacking = chunk, lacking

    def constituents(self, collection: str, names: Sequence[str], jets: np.ndarray) -> ConstituentColumns:
        """Read the constituents of the jets where the mask `jets` is true."""
        lacking = self._lacking[collection]
        found = self._chunk.constituents(collection, [name for name in names if name not in lacking], jets)
        n_values = int(found.counts.sum())
        more = {name: np.full(n_values, value) for name, value in lacking.items() if name in names}
        return ConstituentColumns(found.counts, found.columns | more)


class WithOptional:
    """A file that may lack some variables.

    Parameters
    ----------
    source
        The file.
    optional, of_constituents
        Variable of jets, and of each collection, to the value that it gets where the file lacks it, or ``missing``.
    """

    def __init__(self, source: Source, optional: Given, of_constituents: Mapping[str, Given] | None = None):
        self._source = source
        self._values: dict[str | None, dict[str, np.generic]] = {None: _of_small_types(optional)}
        self._values |= {of: _of_small_types(given) for of, given in (of_constituents or {}).items()}
        self._lacks: dict[tuple[str | None, str], bool] = {}

    @property
    def identity(self) -> dict[str, int | str]:
        """That of the file, and the variables that it lacks."""
        lacking = [(of, name) for (of, name), lacks in self._lacks.items() if lacks]
        names = ", ".join(name if of is None else f"{name} of {of}" for of, name in lacking)
        return self._source.identity | ({"lacks": names} if names else {})

    def variables(self) -> list[str]:
        """Return the names of all variables of the jets themselves that are numbers, and of optional ones, sorted."""
        return sorted({*self._source.variables(), *self._values[None]})

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of jets, or raise for the first that is neither there nor optional."""
        lacking = self._lacking(None, names)
        found = self._source.dtypes([name for name in names if name not in lacking])
        return {name: lacking[name].dtype if name in lacking else found[name] for name in names}

    def constituent_variables(self, collection: str) -> list[str]:
        """Return the names of all variables of a collection that are numbers, and of optional ones, sorted."""
        return sorted({*self._source.constituent_variables(collection), *self._values.get(collection, ())})

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of a collection, or raise for the first neither there nor optional."""
        lacking = self._lacking(collection, names)
        found = self._source.constituent_dtypes(collection, [name for name in names if name not in lacking])
        return {name: lacking[name].dtype if name in lacking else found[name] for name in names}

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[Chunk]:
        """Yield all jets in file order."""
        lacking: Values = {None: self._lacking(None, names)} | {
            of: self._lacking(of, n) for of, n in constituents.items()
        }
        there = [name for name in names if name not in lacking[None]]
        of_constituents = {of: [n for n in wanted if n not in lacking[of]] for of, wanted in constituents.items()}
        return (_Filled(chunk, lacking) for chunk in self._source.chunks(there, of_constituents))

    def _lacking(self, of: str | None, names: Sequence[str]) -> dict[str, np.generic]:
        """Return which of some variables the file lacks, and their values."""
        values = self._values.get(of, {})
        return {name: values[name] for name in names if name in values and self._is_lacking(of, name)}

    def _is_lacking(self, of: str | None, name: str) -> bool:
        if (of, name) not in self._lacks:
            types = self._source.dtypes if of is None else partial(self._source.constituent_dtypes, of)
            try:
                types([name])
            except MissingVariableError:
                self._lacks[of, name] = True
            else:
                self._lacks[of, name] = False
        return self._lacks[of, name]


def _of_small_types(given: Given) -> dict[str, np.generic]:
    return {name: _of_small_type(value) for name, value in given.items()}


def _of_small_type(value: bool | float | str) -> np.generic:
    """Return a value in the smallest type that holds it, float32 for floats, so that no type of other files changes."""
    if value == MISSING:
        return np.float32(np.nan)
    if isinstance(value, float):
        return np.float32(value)
    small: np.generic = np.min_scalar_type(value).type(value)
    return small
