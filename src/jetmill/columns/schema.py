"""The columns of cleaned jets: what each holds, and where it is in a batch file."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial

import numpy as np


class Kind(Enum):
    """What a column holds. The value is its group in a batch file, with {} for the collection."""

    KEY = "key"
    LABEL = "label"
    # Values of an expression of the section split. They are not stored.
    SPLIT_EXPRESSION = "split"
    VARIABLE = "variables"
    SPECTATOR = "spectators"
    ADDITIONAL_LABEL = "additional_labels"
    EVENT_WEIGHT = "event_weights"
    EVENT = "event"
    # Fields of the input that are kept for test files.
    FIELD = "fields"
    # Constituents per jet. They are stored as offsets.
    COUNTS = "constituents/{}/counts"
    OFFSETS = "constituents/{}/offsets"
    CONSTITUENT_VARIABLE = "constituents/{}/variables"
    CONSTITUENT_LABEL = "constituents/{}/labels"
    CONSTITUENT_FIELD = "constituents/{}/fields"


@dataclass(frozen=True)
class Column:
    """A column of cleaned jets or of their constituents.

    `name` is empty for kinds that have one column; `collection` is None for a column of jets.
    """

    kind: Kind
    name: str = ""
    collection: str | None = None

    def __str__(self) -> str:
        """Return the name for messages."""
        return f"'{self.name or self.path}'" + (f" of {self.collection}" if self.collection else "")

    @property
    def path(self) -> str:
        """The dataset in a batch file."""
        group = self.kind.value.format(self.collection)
        return f"{group}/{self.name}" if self.name else group

    @classmethod
    def from_path(cls, path: str) -> "Column":
        """Return the column that is stored in a dataset."""
        parts, collection = path.split("/"), None
        if parts[0] == "constituents":
            group, collection, kind, *rest = parts
            parts = [f"{group}/{{}}/{kind}", *rest]
        kind, name = parts if len(parts) == 2 else (parts[0], "")
        return cls(Kind(kind), name, collection)

    @property
    def constituents(self) -> str | None:
        """The collection whose constituents have one value each, None if jets have."""
        of_constituents = (Kind.CONSTITUENT_VARIABLE, Kind.CONSTITUENT_LABEL, Kind.CONSTITUENT_FIELD)
        return self.collection if self.kind in of_constituents else None

    @property
    def is_variable(self) -> bool:
        """Whether the column is a float wherever it is used, however it is stored."""
        return self.kind in (Kind.VARIABLE, Kind.CONSTITUENT_VARIABLE)

    @property
    def is_field(self) -> bool:
        """Whether the column is a field of the input that test files keep as it is."""
        return self.kind in (Kind.FIELD, Kind.CONSTITUENT_FIELD)

    @property
    def keeps_type(self) -> bool:
        """Whether the column has the type of the input files."""
        return self.is_field or self.kind in (Kind.EVENT, Kind.ADDITIONAL_LABEL)


KEY, LABEL = Column(Kind.KEY), Column(Kind.LABEL)
# Kinds that a finished batch file does not hold.
NOT_STORED = (Kind.SPLIT_EXPRESSION, Kind.COUNTS)
# Position of the jet in its event, in trees of events.
JET = Column(Kind.EVENT, "jet")


# From a name: of a variable of jets, of a factor of the event weight, of a key of ``split`` that is an expression.
variable, event_weight = partial(Column, Kind.VARIABLE), partial(Column, Kind.EVENT_WEIGHT)
split_expression = partial(Column, Kind.SPLIT_EXPRESSION)
# From a collection: constituents per jet, first constituent of each jet.
counts, offsets = partial(Column, Kind.COUNTS, ""), partial(Column, Kind.OFFSETS, "")


def constituent(collection: str, name: str) -> Column:
    """Return the column of a variable of constituents."""
    return Column(Kind.CONSTITUENT_VARIABLE, name, collection)


def constituent_label(collection: str, name: str) -> Column:
    """Return the column of a label of constituents."""
    return Column(Kind.CONSTITUENT_LABEL, name, collection)


def field_of_input(name: str, collection: str | None = None) -> Column:
    """Return the column of a field of the input, of jets or of a collection, as it is there."""
    return Column(Kind.FIELD if collection is None else Kind.CONSTITUENT_FIELD, name, collection)


def as_read(column: Column, values: np.ndarray, types: Mapping[Column, str]) -> np.ndarray:
    """Return the stored values of a column in the type that all jets of a run share.

    Without a type for the column, integers of variables become float32.
    """
    small = column.is_variable and values.dtype.kind != "f"
    return values.astype(types.get(column, np.float32 if small else values.dtype), copy=False)
