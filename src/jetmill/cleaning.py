"""What becomes of a chunk of jets: derived variables, missing values, cuts, classes; the same for constituents."""

from collections.abc import Mapping

import numpy as np

from jetmill import columns as store
from jetmill.config import Cleaning, Constituents
from jetmill.errors import JetmillError
from jetmill.expressions import Expression
from jetmill.missing import mark_missing, stored_type
from jetmill.ragged import count_true, position_in_jet, sort_in_jet
from jetmill.selection import apply_cuts, label, where
from jetmill.sources import Chunk


class JetRecipe:
    """Which columns of jets to read and what to make of them.

    Attributes
    ----------
    carried
        Dataset name of each stored column to the variable it holds.
    read
        Variables to read from the files.
    """

    def __init__(self, settings: Cleaning):
        self._jets, self._classes = settings.jets, settings.classes
        groups = {
            store.VARIABLES: settings.stored_variables,
            store.REFERENCE: self._jets.reference,
            store.ADDITIONAL_LABELS: self._jets.additional_labels,
            store.EVENT: settings.input.event_id,
        }
        self.carried = {f"{group}/{name}": name for group, names in groups.items() for name in names}
        wanted = dict.fromkeys([*self.carried.values(), *settings.used_variables])
        self.read = [name for name in wanted if name not in self._jets.define]

    def types(self, in_file: Mapping[str, np.dtype]) -> dict[str, np.dtype]:
        """Return the type each stored column gets, from those of the variables in the files."""
        types = {}
        for column, name in self.carried.items():
            if column.startswith((store.EVENT, store.ADDITIONAL_LABELS)):
                types[column] = in_file[name]
            elif column.startswith(store.REFERENCE) or name not in in_file:
                types[column] = np.dtype(np.float32)
            else:
                types[column] = stored_type(in_file[name])
        return types

    @property
    def steps(self) -> list[str]:
        """Titles of the cutflow."""
        return ["read", *(c.cut for c in self._jets.select), "in a class"]

    def clean(self, chunk: Chunk) -> tuple[dict[str, np.ndarray], np.ndarray, list[int], int]:
        """Clean some jets.

        Returns
        -------
        columns
            The stored columns and the labels of the jets to keep.
        kept : ndarray of bool, shape (n_jets,)
        flow
            Jets left after each of `steps`.
        ambiguous
            Jets that fit more than one class.
        """
        n_jets = len(chunk.entry)
        table = self._mark_missing(chunk.columns)
        counts = {count: table[count] for count in self._jets.missing.slots}
        for name, text in self._jets.define.items():
            table |= self._mark_missing({name: _define(text, table, n_jets)} | counts)
        passed, left = apply_cuts(table, self._jets.select)
        labels, ambiguous = label(table, list(self._classes.values()))
        kept = passed & (labels >= 0)
        flow = [n_jets, *left, int(kept.sum())]
        # Only variables follow the rules for missing values; the rest is carried as it came.
        columns = {
            column: (table if column.startswith(store.VARIABLES) else chunk.columns)[name][kept]
            for column, name in self.carried.items()
        }
        return columns | {store.LABEL: labels[kept].astype(np.uint8)}, kept, flow, ambiguous

    def _mark_missing(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        rules = self._jets.missing
        return mark_missing(columns, values=rules.values, values_of=rules.values_of, slots=rules.slots)


class ConstituentRecipe:
    """Which columns of a collection to read and what to make of them.

    Attributes
    ----------
    read
        Variables to read from the files.
    """

    # Titles of the counts that `clean` returns.
    STEPS = ("read", "selected", "kept")

    def __init__(self, collection: str, settings: Constituents):
        self._collection, self._settings = collection, settings
        self.read = settings.read

    def types(self, in_file: Mapping[str, np.dtype]) -> dict[str, np.dtype]:
        """Return the type each stored column gets, from those of the variables in the files."""
        settings, name = self._settings, self._collection
        floats = {v: stored_type(in_file[v]) if v in in_file else np.dtype(np.float32) for v in settings.variables}
        return (
            {store.counts(name): np.dtype(np.uint16)}
            | {store.constituent(name, v): dtype for v, dtype in floats.items()}
            | {store.constituent_label(name, v): np.dtype(np.int32) for v in settings.labels}
        )

    def clean(self, chunk: Chunk, jets: np.ndarray) -> tuple[dict[str, np.ndarray], list[int]]:
        """Clean the constituents of the jets where the mask `jets` is true: select, sort, then cut off.

        Returns
        -------
        columns
            The stored columns: the number of constituents per jet, and their values.
        flow
            Constituents after each of `STEPS`.
        """
        settings = self._settings
        found = chunk.constituents(self._collection, self.read, jets)
        counts, table = found.counts, self._mark_missing(found.columns)
        n_read = int(counts.sum())
        for name, text in settings.define.items():
            table |= self._mark_missing({name: _define(text, table, n_read)})
        order = np.arange(n_read)
        if settings.select:
            passed = np.logical_and.reduce([where(Expression(cut), table, missing=False) for cut in settings.select])
            order, counts = np.flatnonzero(passed), count_true(passed, counts)
        n_selected = len(order)
        if settings.sort_by is not None:
            key = np.broadcast_to(Expression(settings.sort_by)(table), n_read)[order]
            order = order[sort_in_jet(key, counts)]
        if counts.max(initial=0) > settings.max:
            order = order[position_in_jet(counts) < settings.max]
            counts = np.minimum(counts, settings.max)
        untouched = len(order) == n_read and settings.sort_by is None

        def taken(column: np.ndarray) -> np.ndarray:
            return column if untouched else column[order]

        name = self._collection
        columns = (
            {store.counts(name): counts}
            | {store.constituent(name, v): taken(table[v]) for v in settings.variables}
            | {store.constituent_label(name, v): taken(self._label(v, found.columns[v])) for v in settings.labels}
        )
        return columns, [n_read, n_selected, len(order)]

    def _label(self, name: str, values: np.ndarray) -> np.ndarray:
        limits = np.iinfo(np.int32)
        if values.size and not limits.min <= int(values.min()) <= int(values.max()) <= limits.max:
            raise JetmillError(
                f"constituents.{self._collection}.labels: '{name}' has values from {values.min()} to {values.max()},"
                f" which do not fit into 32 bits"
            )
        return values.astype(np.int32)

    def _mark_missing(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        rules = self._settings.missing
        return mark_missing(columns, values=rules.values, values_of=rules.values_of)


def _define(text: str, table: Mapping[str, np.ndarray], length: int) -> np.ndarray:
    value = np.broadcast_to(Expression(text)(table), length)
    with np.errstate(over="ignore"):
        return value.astype(np.float32)
