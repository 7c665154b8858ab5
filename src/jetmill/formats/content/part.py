"""A part of an output: its jets, and what is needed to turn their cleaned columns into rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from jetmill.balancing.selection import PartSpec, SelectedJets, final_order, select_jets
from jetmill.balancing.tables import written_jets
from jetmill.columns.schema import field_of_input
from jetmill.files import open_intermediate_file
from jetmill.formats.content.scaled import Tables, read_columns
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
        Fields of the input to write as they are there.
    """

    jets: Sequence[SelectedJets]
    tables: Tables
    scalers: Mapping[str, Mapping[str, Scaler]]
    content: Content
    written: Mapping[str, int]
    unique: int
    fields_kept: Sequence[str] = ()

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
        columns = list(map(field_of_input, self.fields_kept))
        # A batch without jets may have no file that could be read.
        if jets := [jets for jets in self.jets if len(jets)]:
            return {column.name: values for column, values in read_columns(jets, columns).items()}
        return {column.name: np.empty(0, self.jets[0].batch.types[column]) for column in columns}

    @cached_property
    def order(self) -> np.ndarray:
        """The row to put at each place, int64 (n_jets,)."""
        return final_order(self.jets)

    @property
    def class_counts(self) -> dict[str, int]:
        """Jets of each class in the part."""
        return count_classes(np.concatenate([jets.label for jets in self.jets]), self.tables.classes)
