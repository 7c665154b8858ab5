"""A part of an output: its jets, and what is needed to turn their cleaned columns into rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from jetmill.balancing.selection import PartSpec, SelectedJets, final_order, select_jets
from jetmill.balancing.tables import written_jets
from jetmill.columns.schema import Column
from jetmill.files import open_intermediate_file
from jetmill.formats.content.rows import Ragged
from jetmill.formats.content.scaled import Tables, constituent_counts
from jetmill.labels import DATA, count_classes
from jetmill.scaling.scalers import Scaler, read_scalers
from jetmill.settings.content import Content


@dataclass(frozen=True)
class Part:
    """A part of an output.

    Attributes
    ----------
    jets
        The jets that it takes from each batch.
    tables, scalers, content
        Weights and bins; scalers of jets and of each collection; what to write.
    written
        Jets of each class in the whole output.
    unique
        How many of them are unique jets.
    fields_kept
        Columns of fields of the input to write as they are there.
    """

    jets: Sequence[SelectedJets]
    tables: Tables
    scalers: Mapping[str, Mapping[str, Scaler]]
    content: Content
    written: Mapping[str, int]
    unique: int
    fields_kept: Sequence[Column] = ()

    @classmethod
    def read(cls, spec: PartSpec, balance_path: str | Path, scalers_path: str | Path, content: Content) -> "Part":
        """Select the jets of a part, and read the tables and scalers."""
        scalers = read_scalers(scalers_path)
        with open_intermediate_file(balance_path) as file:
            jets, tables = list(select_jets(spec, file)), Tables.read(file)
            n_jets, unique = written_jets(file, spec.output)
        classes = tables.classes
        if not all(batch.truth for batch in spec.batches):
            content, classes = content.without_truth(), [DATA]
        return cls(
            jets, tables, scalers, content, dict(zip(classes, n_jets.tolist(), strict=True)), unique, spec.fields
        )

    @property
    def fields(self) -> dict[str, np.ndarray]:
        """The fields of the input by name, each (n_jets,), in the types of the files."""
        return self._fields_of(None, lambda jets, columns: jets.read(columns))

    def constituent_fields(self, collection: str) -> dict[str, Ragged]:
        """Return the fields of constituents of the input by name, in the types of the files, 0 in empty slots."""
        fields = self._fields_of(collection, lambda jets, columns: jets.read_constituents(collection, columns)[1])
        counts, length = constituent_counts(self.jets, collection), self.content.slots[collection]
        return {name: Ragged.of(values, counts, length) for name, values in fields.items()}

    def _fields_of(
        self, collection: str | None, read: Callable[[SelectedJets, Sequence[Column]], list[np.ndarray]]
    ) -> dict[str, np.ndarray]:
        columns = [column for column in self.fields_kept if column.constituents == collection]
        # A batch without jets may have no file that could be read.
        parts = [read(jets, columns) for jets in self.jets if len(jets)]
        types = self.jets[0].batch.types
        found = zip(*parts, strict=True) if parts else ([np.empty(0, types[column])] for column in columns)
        return {column.name: np.concatenate(values) for column, values in zip(columns, found, strict=True)}

    @cached_property
    def order(self) -> np.ndarray:
        """The row to put at each place, int64 (n_jets,)."""
        return final_order(self.jets)

    @property
    def class_counts(self) -> dict[str, int]:
        """Jets of each class in the part."""
        return count_classes(np.concatenate([jets.label for jets in self.jets]), self.tables.classes)
