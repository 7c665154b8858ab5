"""A collection of constituents: what is read of it, and the columns that it becomes."""

from collections.abc import Sequence

import numpy as np

from jetmill.cleaning.chunks import ConstituentChunk, JetChunk
from jetmill.cleaning.table import Table, as_integers, new_values
from jetmill.columns.schema import Column, constituent, constituent_label, counts
from jetmill.ragged import broadcast, position_in_jet
from jetmill.settings.clean import CleanSettings
from jetmill.settings.systematics import Systematics
from jetmill.systematics import VARIATIONS, vary
from jetmill.systematics.maps import read_maps
from jetmill.systematics.momenta import jets_from_constituents
from jetmill.systematics.numbers import random_numbers
from jetmill.variables.expressions import count_of


class Collection:
    """A collection of constituents of the files of a sample.

    Attributes
    ----------
    read
        Variables that are read from the files.
    """

    def __init__(self, name: str, settings: CleanSettings, sample: str):
        self._name, self._settings, self._seed, self._sample = name, settings.constituents[name], settings.seed, sample
        variation = settings.variation
        self._variation = variation if variation and variation.systematics.collection == name else None
        roles = [] if self._variation is None else self._variation.systematics.roles.values()
        self.read = list(dict.fromkeys([*settings.constituents_read(name), *roles]))
        self._maps = {}
        if self._variation is not None and self._variation.systematics.maps is not None:
            needed = VARIATIONS[self._variation.name].maps
            self._maps = read_maps(self._variation.systematics.maps, needed)

    def add_to_jets(self, jets: JetChunk, used: Sequence[str]) -> None:
        """Read the constituents of all jets, if the variables of jets depend on them, and add these variables."""
        count = count_of(self._name)
        systematics = None if self._variation is None else self._variation.systematics
        if count not in used and (systematics is None or not systematics.jets):
            return
        constituents = self._read(jets, np.ones(len(jets), dtype=bool))
        jets.table.replace({count: constituents.counts})
        if systematics is not None and systematics.jets:
            jets.table.replace(momenta_of_jets(constituents, systematics))
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
        return columns

    def _read(self, jets: JetChunk, of_jets: np.ndarray) -> ConstituentChunk:
        """Read the constituents of the jets where a mask is true, mark missing values, convert units, and vary them."""
        found = jets.source.constituents(self._name, self.read, of_jets)
        table = Table(self._settings.missing)
        table.add(found.columns)
        for name, factor in self._settings.units.items():
            if name in table.variables:
                table.convert(name, found.columns[name].dtype, factor)
        as_in_file = {*self._settings.label_sources.values()}.difference(self._settings.units)
        labels = {name: found.columns[name] for name in as_in_file.intersection(found.columns)}
        constituents = ConstituentChunk(jets, of_jets, found.counts, table, labels)
        if self._variation is not None:
            self._vary(constituents)
        return constituents

    def _vary(self, constituents: ConstituentChunk) -> None:
        """Vary the constituents, of which some may be lost."""
        assert self._variation is not None
        systematics, counts = self._variation.systematics, constituents.counts
        variables = constituents.table.variables
        identity = [broadcast(x, counts) for x in constituents.jets.identity(constituents.of_jets)]
        random = random_numbers(self._seed, self._variation.name, self._sample, [*identity, position_in_jet(counts)])
        varied, kept = vary(
            self._variation.name,
            variables,
            dict(systematics.roles),  # type: ignore[arg-type]
            maps=self._maps,
            unit=systematics.unit,
            random=random,
            empty=systematics.empty,
        )
        constituents.table.replace({name: x for name, x in varied.items() if x is not variables[name]})
        if kept is not None:
            constituents.keep(kept)


def momenta_of_jets(constituents: ConstituentChunk, systematics: Systematics) -> dict[str, np.ndarray]:
    """Return the variables of jets that are recomputed from varied constituents, float32 (n_jets,)."""
    variables = constituents.table.variables
    pt, eta, phi, energy = (variables[systematics.roles[role]] for role in ("pt", "eta", "phi", "energy"))
    momenta = jets_from_constituents(pt, eta, phi, energy, constituents.counts)
    parts = dict(zip(("pt", "eta", "phi", "mass"), momenta, strict=True))
    return {name: parts[role].astype(np.float32) for role, name in systematics.jets.items()}
