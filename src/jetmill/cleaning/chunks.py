"""Jets of a chunk of a file, and their constituents, between two steps of cleaning."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jetmill.cleaning.table import Table
from jetmill.ragged import broadcast, count_true
from jetmill.sources import Chunk
from jetmill.variables.missing import as_in_file


@dataclass
class JetChunk:
    """Jets of a chunk of a file between two steps.

    Attributes
    ----------
    source, file
        The chunk as it is read, and the number of its file in the sample.
    table
        Variables of the jets; after `jetmill.cleaning.jets.classify`, of those that are kept.
    passed_through
        Variables as they are in the file, but for their unit.
    constituents
        Collection to the constituents of all jets, for those that are read before the cuts.
    kept : ndarray of bool, shape (n_jets,)
        Which jets of the chunk pass the cuts and have a class.
    label : ndarray of int16, shape (n_jets,)
        Position of the class, -1 for jets of none, `NO_CLASS` in samples without truth.
    flow
        Number of jets that were read, after each cut, and in a class.
    ambiguous
        Number of jets that fit more than one class.
    """

    source: Chunk
    file: int
    table: Table
    passed_through: dict[str, np.ndarray] = field(default_factory=dict)
    constituents: dict[str, "ConstituentChunk"] = field(default_factory=dict)
    kept: np.ndarray = field(init=False)
    label: np.ndarray = field(init=False)
    flow: list[int] = field(default_factory=list)
    ambiguous: int = 0

    def __len__(self) -> int:
        """Return the number of jets that were read."""
        return len(self.source.entry)

    def identity(self, jets: np.ndarray) -> list[np.ndarray]:
        """Return file, entry and position of the jets where a mask is true, each int64 (n,)."""
        return [np.full(np.count_nonzero(jets), self.file), self.source.entry[jets], self.source.position[jets]]


@dataclass
class ConstituentChunk:
    """Constituents of one collection of some jets of a chunk between two steps.

    Attributes
    ----------
    jets
        Their jets, of all of which `of_jets` says which have their constituents here.
    of_jets : ndarray of bool, shape (n_jets,)
    counts : ndarray of int64, shape (of_jets.sum(),)
        Constituents of each of these jets.
    table
        Variables of the constituents.
    labels
        Labels and further fields as they are in the file: numbers that mean missing in variables mean nothing in them.
    order : ndarray of int64 or None
        Constituents in their final order; None if it is that of the file.
    flow
        Number of constituents that were read, selected and kept.
    """

    jets: JetChunk
    of_jets: np.ndarray
    counts: np.ndarray
    table: Table
    labels: dict[str, np.ndarray]
    order: np.ndarray | None = None
    flow: list[int] = field(default_factory=list)

    def keep(self, kept: np.ndarray) -> None:
        """Keep the constituents where a mask is true."""
        self.counts = count_true(kept, self.counts)
        self._keep_values(kept)

    def keep_jets(self, jets: np.ndarray) -> None:
        """Keep the constituents of the jets where a mask (n_jets,) is true; so far there are those of all jets."""
        self._keep_values(np.repeat(jets, self.counts))
        self.of_jets, self.counts = jets, self.counts[jets]

    def _keep_values(self, kept: np.ndarray) -> None:
        self.table.keep(kept)
        self.labels = {name: values[kept] for name, values in self.labels.items()}

    def jet_variables(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Return variables of the jets, as ``jet_<name>`` of each constituent."""
        jets = self.jets.table.variables
        found = [n for name in names for n in (name, as_in_file(name)) if n in jets]
        return {f"jet_{name}": broadcast(jets[name], self.counts) for name in found}

    def final(self, values: np.ndarray) -> np.ndarray:
        """Return the values of the constituents that are kept, in their final order."""
        return values if self.order is None else values.take(self.order)
