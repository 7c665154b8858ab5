"""A collection of constituents: what is read of it, and the columns that it becomes."""

from collections.abc import Iterable, Sequence

import numpy as np

from jetmill.cleaning.chunks import ConstituentChunk, JetChunk
from jetmill.cleaning.table import Table, as_integers, new_values
from jetmill.cleaning.varying import Varying
from jetmill.columns.schema import Column, constituent, constituent_label, counts, field_of_input
from jetmill.settings.clean import CleanSettings
from jetmill.sources import Source
from jetmill.variables.expressions import count_of
from jetmill.variables.missing import stored_type


class Collection:
    """A collection of constituents of the files of a sample.

    Attributes
    ----------
    read
        Variables that are read from the files.
    fields
        Those that test files keep as they are in the files (`keep_fields`).
    """

    def __init__(self, name: str, settings: CleanSettings, varying: Varying | None):
        self._name, self._settings = name, settings.constituents[name]
        self._varying = varying if settings.variation and settings.variation.collection == name else None
        varied = settings.variation.of_constituents if self._varying and settings.variation else []
        self.read = self._used = list(dict.fromkeys([*settings.constituents_read(name), *varied]))
        self.fields: list[str] = []

    def keep_fields(self, names: Iterable[str]) -> None:
        """Keep fields of the files; those of computed variables have other values."""
        self.fields = sorted(set(names).difference(self._settings.made))
        self.read = list(dict.fromkeys([*self._used, *self.fields]))

    def field_types(self, source: Source) -> dict[Column, np.dtype]:
        """Return the types of the fields in a file; a factor makes floats."""
        types, units = source.constituent_dtypes(self._name, self.fields) if self.fields else {}, self._settings.units
        return {
            field_of_input(name, self._name): stored_type(dtype) if name in units else dtype
            for name, dtype in types.items()
        }

    def add_to_jets(self, jets: JetChunk, used: Sequence[str]) -> None:
        """Read the constituents of all jets, if the variables of jets depend on them, and add these variables."""
        count = count_of(self._name)
        changes_jets = self._varying is not None and self._varying.changes_jets
        if count not in used and not changes_jets:
            return
        constituents = self._read(jets, np.ones(len(jets), dtype=bool))
        jets.table.replace({count: constituents.counts})
        if self._varying is not None and changes_jets:
            jets.table.replace(self._varying.momenta_of_jets(constituents))
        jets.constituents[self._name] = constituents

    def of_kept(self, jets: JetChunk) -> ConstituentChunk:
        """Return the constituents of the jets that are kept."""
        if self._name not in jets.constituents:
            return self._read(jets, jets.kept)
        constituents = jets.constituents.pop(self._name)
        constituents.keep_jets(jets.kept)
        return constituents

    def columns(self, constituents: ConstituentChunk) -> dict[Column, np.ndarray]:
        """Return the columns that are stored of cleaned constituents."""
        variables, labels = constituents.table.variables, constituents.labels
        columns = {counts(self._name): constituents.counts}
        columns |= {constituent(self._name, n): constituents.final(variables[n]) for n in self._settings.variables}
        key = f"constituents.{self._name}.labels"
        for label in self._settings.labels:
            computed = label.source not in labels and label.source not in self._settings.units
            values = constituents.final(labels[label.source] if label.source in labels else variables[label.source])
            if label.values:
                values = new_values(values, label.values)
            elif computed or values.dtype.kind != "f":
                values = as_integers(key, label.name, values)
            columns[constituent_label(self._name, label.name)] = values
        for name in self.fields:
            values = labels[name] if name in labels else variables[name]
            columns[field_of_input(name, self._name)] = constituents.final(values)
        return columns

    def _read(self, jets: JetChunk, of_jets: np.ndarray) -> ConstituentChunk:
        """Read the constituents of the jets where a mask is true, mark missing values, convert units, and vary them."""
        found = jets.source.constituents(self._name, self.read, of_jets)
        table = Table(self._settings.missing)
        table.add({name: found.columns[name] for name in self._used})
        for name, factor in self._settings.units.items():
            if name in table.variables:
                table.convert(name, found.columns[name].dtype, factor)
        as_in_file = {*self._settings.label_sources.values(), *self.fields}.difference(self._settings.units)
        labels = {name: found.columns[name] for name in as_in_file.intersection(found.columns)}
        constituents = ConstituentChunk(jets, of_jets, found.counts, table, labels)
        if self._varying is not None:
            self._varying.vary_constituents(constituents)
        return constituents
