"""The protocol of input formats: files that yield chunks of jets as columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jetmill.errors import JetmillError


class MissingVariableError(JetmillError):
    """A file has no such variable."""


@dataclass(frozen=True)
class ConstituentColumns:
    """Constituents of some jets, ragged (`jetmill.ragged`).

    Attributes
    ----------
    counts
        Constituents of each jet, int64 (n_jets,).
    columns
        Variable name to values of shape (n_constituents,), in the type of the file.
    """

    counts: np.ndarray
    columns: dict[str, np.ndarray]


class Chunk(Protocol):
    """Consecutive jets of one file, all of those of each entry.

    Attributes
    ----------
    columns
        Variable name to values of shape (n_jets,), in the type of the file.
    entry, position
        Entry of the tree and position in that entry, int64 (n_jets,): the identity of a jet in its file.
    """

    columns: dict[str, np.ndarray]
    entry: np.ndarray
    position: np.ndarray

    def constituents(self, collection: str, names: Sequence[str], jets: np.ndarray) -> ConstituentColumns:
        """Read the constituents of the jets where the mask `jets` is true, without empty slots."""


class Source(Protocol):
    """An open input file.

    A variable that it does not have is a `MissingVariableError`.
    """

    @property
    def identity(self) -> dict[str, int | str]:
        """``size`` in bytes, and identifiers of the format; known without reading the file."""

    def variables(self) -> list[str]:
        """Return the names of all variables of the jets themselves that are numbers, sorted."""

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of jets in the file, or raise for the first that is not there."""

    def constituent_variables(self, collection: str) -> list[str]:
        """Return the names of all variables of a collection that are numbers, sorted; none if these are not known."""

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of a collection, or raise for the first that is not there."""

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[Chunk]:
        """Yield all jets in file order, a bounded number at a time, given all variables that will be read."""
