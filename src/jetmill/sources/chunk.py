"""What every source yields: some jets of a file, as columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Chunk:
    """Consecutive jets of one file.

    Attributes
    ----------
    columns
        Variable name to values of shape (n_jets,), in the type of the file.
    entry, position
        Entry of the tree and position in that entry of each jet, int64 (n_jets,): the identity of
        a jet inside its file.
    """

    columns: dict[str, np.ndarray]
    entry: np.ndarray
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.entry)


class Source(Protocol):
    """An open input file.

    Attributes
    ----------
    identity
        What tells the file from others without reading it: ``size`` in bytes, and what the format has.
    """

    identity: dict[str, int | str]

    def dtypes(self, names: list[str]) -> dict[str, np.dtype]:
        """Return the type of each variable in the file, or raise for the first that is not there."""

    def chunks(self, names: list[str]) -> Iterator[Chunk]:
        """Yield all jets in file order, a bounded number at a time."""
