"""What becomes of a chunk of jets: derived variables, missing values, cuts, classes; the same for constituents."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jetmill.cleaning.selection import apply_cuts, label, where
from jetmill.cleaning.steps import Steps
from jetmill.columns.schema import LABEL, Column, Kind, constituent, constituent_label
from jetmill.columns.schema import counts as counts_column
from jetmill.errors import JetmillError
from jetmill.ragged import broadcast, count_true, position_in_jet, sort_in_jet
from jetmill.settings.clean import CleanSettings
from jetmill.settings.jets import Jets, NeuralNetwork
from jetmill.sources import Chunk
from jetmill.variables.expressions import Expression, count_of
from jetmill.variables.missing import (
    as_it_came,
    carry,
    count_beyond,
    is_missing,
    mark_missing,
    replace,
    stored_type,
)
from jetmill.variables.networks import ConstituentNetwork, Network, odds
from jetmill.variables.systematics import VARIATIONS, jets_from_constituents, random_numbers, read_maps, vary


@dataclass(frozen=True)
class Cleaned:
    """What is left of a chunk of jets.

    Attributes
    ----------
    columns
        The stored columns and the labels of the jets to keep, without what is made of constituents.
    kept : ndarray of bool, shape (n_jets,)
    table
        All variables of the jets to keep.
    flow
        Jets left after each of `JetRecipe.steps`.
    ambiguous
        Jets that fit more than one class.
    lost
        Variable to values that are missing as they are infinite, undefined, or beyond the type that stores them.
    """

    columns: dict[Column, np.ndarray]
    kept: np.ndarray
    table: dict[str, np.ndarray]
    flow: list[int]
    ambiguous: int
    lost: Counter[str]


class JetRecipe:
    """Which columns of jets to read and what to make of them.

    Attributes
    ----------
    carried
        Dataset name of each stored column to the variable it holds.
    read
        Variables to read from the files.
    """

    def __init__(self, settings: CleanSettings, sample: str):
        self._settings, self._jets, self._sample = settings, settings.jets, sample
        self.carried = _carried(settings)
        self._used = settings.used_variables
        wanted = dict.fromkeys([*self.carried.values(), *self._used])
        self.read = [name for name in wanted if name not in settings.made]
        self._lost: Counter[str] = Counter()
        self._steps = Steps(self._jets.transforms)
        self._networks = [(n, Network(n.file, len(n.variables))) for n in settings.networks_of(None)]

    def types(self, in_file: Mapping[str, np.dtype]) -> dict[Column, np.dtype]:
        """Return the type each stored column gets, from those of the variables in the files."""
        types = {}
        for column, name in self.carried.items():
            as_in_file = column.keeps_type and name not in self._jets.units
            if as_in_file and name in in_file:
                types[column] = in_file[name]
            elif column.kind in (Kind.SPECTATOR, Kind.EVENT_WEIGHT) or name not in in_file:
                types[column] = np.dtype(np.float32)
            else:
                types[column] = stored_type(in_file[name])
        return types

    @property
    def steps(self) -> list[str]:
        """Titles of the cutflow."""
        return ["read", *(c.cut for c in self._jets.select), "in a class"]

    def clean(self, chunk: Chunk, constituents: Mapping[str, "ConstituentRecipe"], number: int) -> Cleaned:
        """Clean some jets.

        Parameters
        ----------
        constituents
            Recipes of the collections, for variables of jets that are made of constituents.
        number
            Number of the file in the sample.
        """
        jets, n_jets = self._jets, len(chunk.entry)
        self._lost = Counter()
        table = self._mark_missing(chunk.columns)
        # What is only carried along has a rule of its own.
        self._lost = Counter({name: n for name, n in self._lost.items() if name in self._used})
        carried = dict(chunk.columns)
        for name, factor in jets.units.items():
            scaled = _in_unit(table[name], carried[name].dtype, factor)
            # Numbers that mean missing are in no unit.
            carried[name] = np.where(is_missing(scaled), carried[name], scaled)
            replace(table, _counted({name: scaled}, mark_missing({name: scaled}), self._lost))
        counts = {count: table[count] for count in jets.missing.slots}
        for recipe in constituents.values():
            replace(table, recipe.of_jets(chunk, number, self._used))
        if jets.rank_by is not None:
            table["rank"] = _rank(np.broadcast_to(Expression(jets.rank_by)(table), n_jets), chunk.entry)
        for name, text in jets.define.items():
            table |= self._mark_missing({name: _define(text, table, n_jets, self._lost, name)} | counts)
        for step, plugin in self._steps.steps:
            table |= self._mark_missing(self._steps.of_jets(step, plugin, table) | counts)
        for settings, network in self._networks:
            output = network(np.stack([table[name] for name in settings.variables], axis=1), settings.column)
            table |= self._mark_missing({settings.name: _result(settings, output)} | counts)
        passed, left = apply_cuts(table, jets.select)
        labels, ambiguous = label(table, self._class_cuts(), n_jets)
        kept = passed & (labels >= 0)
        flow = [n_jets, *left, int(kept.sum())]
        # Only variables and what is computed follow the rules for missing values; the rest is carried as it came,
        # but for its unit.
        carried |= {name: table[name] for name in self._settings.made if name in table}
        columns = {
            column: (table if column.kind in (Kind.VARIABLE, Kind.EVENT_WEIGHT) else carried)[name][kept]
            for column, name in self.carried.items()
            if name not in self._settings.made_of_constituents
        }
        for column, name in self.carried.items():
            if column.kind in (Kind.SPECTATOR, Kind.ADDITIONAL_LABEL):
                columns[column], n = carry(columns[column], as_it_came=column.kind is Kind.SPECTATOR)
                self._lost[f"{name} of {column.kind.value}"] += n
        columns[LABEL] = labels[kept].astype(np.uint8)
        return Cleaned(
            columns, kept, {name: values[kept] for name, values in table.items()}, flow, ambiguous, self._lost
        )

    def _class_cuts(self) -> list[str | None]:
        """Return the expression of each class, None for a class of other samples."""
        classes = self._settings.classes
        return [c.cut if c.samples is None or self._sample in c.samples else None for c in classes]

    def _mark_missing(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return _counted(columns, _mark_missing_of_jets(self._jets, columns), self._lost)


class ConstituentRecipe:
    """Which columns of a collection to read and what to make of them.

    Attributes
    ----------
    read
        Variables to read from the files.
    """

    # Titles of the counts that `clean` returns.
    STEPS = ("read", "selected", "kept")

    def __init__(self, collection: str, settings: CleanSettings, sample: str):
        self._collection, self._settings, self._jets = collection, settings.constituents[collection], settings.jets
        variation = settings.variation
        self._variation = variation if variation and variation.systematics.collection == collection else None
        self._varied = [] if self._variation is None else list(self._variation.systematics.roles.values())
        self.read = list(dict.fromkeys([*settings.constituents_read(collection), *self._varied]))
        self._of_jets = settings.jet_variables_of(collection)
        self._seed, self._sample = settings.seed, sample
        self._of_all_jets: tuple[Chunk, np.ndarray, dict[str, np.ndarray]] | None = None
        self._maps = {}
        if self._variation is not None and self._variation.systematics.maps is not None:
            needed = VARIATIONS[self._variation.name].maps
            self._maps = read_maps(self._variation.systematics.maps, needed)
        self._lost: Counter[str] = Counter()
        self._steps = Steps(self._settings.transforms)
        self._networks = [
            (n, ConstituentNetwork(n.file, collection, n.variables, n.slots or self._settings.max))
            for n in settings.networks_of(collection)
        ]
        self._carried = _carried(settings)

    def types(self, in_file: Mapping[str, np.dtype]) -> dict[Column, np.dtype]:
        """Return the type each stored column gets, from those of the variables in the files."""
        settings, name = self._settings, self._collection
        return (
            {counts_column(name): np.dtype(np.uint16)}
            | {constituent(name, v): self._type(v, in_file) for v in settings.variables}
            | {constituent_label(name, v): np.dtype(np.int32) for v in settings.labels}
        )

    def _type(self, name: str, in_file: Mapping[str, np.dtype]) -> np.dtype:
        """Return the type a variable is stored in: that of the file if it is small and can neither change nor miss."""
        if name not in in_file:
            return np.dtype(np.float32)
        settings, dtype = self._settings, in_file[name]
        changed = [*settings.made, *settings.units, *settings.missing.values_of, *self._varied]
        small = dtype.kind != "f" and dtype.itemsize <= 2
        return dtype if small and not settings.missing.values and name not in changed else stored_type(dtype)

    def of_jets(self, chunk: Chunk, number: int, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Return variables of jets that are made of constituents: how many, and momenta that vary."""
        found: dict[str, np.ndarray] = {}
        systematics = None if self._variation is None else self._variation.systematics
        recomputed = {} if systematics is None else systematics.jets
        count = count_of(self._collection)
        if count not in wanted and not recomputed:
            return found
        counts, table = self._read(chunk, np.ones(len(chunk.entry), dtype=bool), number)
        self._of_all_jets = chunk, counts, table
        found[count] = counts
        if systematics is not None and recomputed:
            pt, eta, phi, energy = (table[systematics.roles[role]] for role in ("pt", "eta", "phi", "energy"))
            momenta = jets_from_constituents(pt, eta, phi, energy, counts)
            parts = dict(zip(("pt", "eta", "phi", "mass"), momenta, strict=True))
            found |= {name: parts[role].astype(np.float32) for role, name in recomputed.items()}
        return found

    def clean(
        self, chunk: Chunk, cleaned: Cleaned, number: int
    ) -> tuple[dict[Column, np.ndarray], list[int], Counter[str]]:
        """Clean the constituents of the jets that are kept: vary, define, select, transform, sort, then cut off.

        Parameters
        ----------
        number
            Number of the file in the sample.

        Returns
        -------
        columns
            The stored columns: the number of constituents per jet, their values, and the variables of jets that
            networks make of them.
        flow
            Constituents after each of `STEPS`.
        lost
            As that of `Cleaned`, of constituents.
        """
        settings = self._settings
        counts, table = self._of_kept_jets(chunk, cleaned.kept, number)
        n_read = int(counts.sum())
        jet_variables = self._jet_variables(cleaned.table, counts)
        for name, text in settings.define.items():
            table |= self._mark_missing({name: _define(text, table | jet_variables, n_read, self._lost, name)})
        if settings.select:
            cuts = [where(Expression(cut), table | jet_variables, missing=False) for cut in settings.select]
            passed = np.logical_and.reduce(cuts)
            counts = count_true(passed, counts)
            table = {name: values[passed] for name, values in table.items()}
        n_selected = int(counts.sum())
        for step, plugin in self._steps.steps:
            table |= self._mark_missing(self._steps.of_constituents(step, plugin, table, counts, cleaned.table))
        table = self._jet_variables(cleaned.table, counts) | table
        order = None
        if settings.sort_by is not None:
            key = np.broadcast_to(Expression(settings.sort_by)(table), n_selected)
            order = sort_in_jet(key, counts)
        if counts.max(initial=0) > settings.max:
            order = np.arange(n_selected) if order is None else order
            order = order[position_in_jet(counts) < settings.max]
            counts = np.minimum(counts, settings.max)

        def taken(column: np.ndarray) -> np.ndarray:
            return column if order is None else column[order]

        name = self._collection
        columns = (
            {counts_column(name): counts}
            | {constituent(name, v): taken(table[v]) for v in settings.variables}
            | {constituent_label(name, v): taken(self._label(v, table)) for v in settings.labels}
        )
        for of_network, network in self._networks:
            inputs = np.empty((counts.sum(), len(of_network.variables)), dtype=np.float32)
            with np.errstate(over="ignore"):
                for i, variable in enumerate(of_network.variables):
                    inputs[:, i] = taken(table[variable])
            made = self._variable_of_jets(of_network, network(inputs, counts, of_network.column), cleaned.table)
            columns |= {column: made for column, name in self._carried.items() if name == of_network.name}
        return columns, [n_read, n_selected, int(counts.sum())], self._lost

    def _jet_variables(self, jets: Mapping[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the variables of jets that are used, as ``jet_<name>`` of each constituent."""
        names = [name for variable in self._of_jets for name in (variable, as_it_came(variable)) if name in jets]
        return {f"jet_{name}": broadcast(jets[name], counts) for name in names}

    def _variable_of_jets(
        self, network: NeuralNetwork, output: np.ndarray, jets: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return what becomes of the output of a network, with the missing values of variables of jets."""
        counts = {count: jets[count] for count in self._jets.missing.slots}
        made = {network.name: _result(network, output)} | counts
        return _counted(made, _mark_missing_of_jets(self._jets, made), self._lost)[network.name]

    def _of_kept_jets(self, chunk: Chunk, jets: np.ndarray, number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return what `_read` does, from what `of_jets` has read already if it has."""
        if self._of_all_jets is None or self._of_all_jets[0] is not chunk:
            return self._read(chunk, jets, number)
        (_, counts, table), self._of_all_jets = self._of_all_jets, None
        kept = np.repeat(jets, counts)
        return counts[jets], {name: values[kept] for name, values in table.items()}

    def _read(self, chunk: Chunk, jets: np.ndarray, number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return counts and variables of the constituents of some jets, varied if they are to vary."""
        settings, self._lost = self._settings, Counter()
        found = chunk.constituents(self._collection, self.read, jets)
        counts, table = found.counts, self._mark_missing(found.columns)
        for name, factor in settings.units.items():
            if name in table:
                scaled = {name: _in_unit(table[name], found.columns[name].dtype, factor)}
                replace(table, _counted(scaled, mark_missing(scaled), self._lost))
        # Labels are no variables: numbers that mean missing stay what they are.
        table |= {_as_label(name): found.columns[name] for name in settings.labels if name in found.columns}
        if self._variation is None:
            return counts, table
        systematics = self._variation.systematics
        of = [broadcast(x, counts) for x in (np.full(jets.sum(), number), chunk.entry[jets], chunk.position[jets])]
        varied, kept = vary(
            self._variation.name,
            table,
            dict(systematics.roles),  # type: ignore[arg-type]
            maps=self._maps,
            unit=systematics.unit,
            random=random_numbers(self._seed, self._variation.name, self._sample, [*of, position_in_jet(counts)]),
            empty=systematics.empty,
        )
        replace(table, {name: values for name, values in varied.items() if values is not table[name]})
        if kept is None:
            return counts, table
        return count_true(kept, counts), {name: values[kept] for name, values in table.items()}

    def _label(self, name: str, table: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return a label as it came, or a variable that was made, -1 where missing."""
        values = table[_as_label(name) if _as_label(name) in table else name]
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), -1, values)
            if (values != np.floor(values)).any():
                raise JetmillError(f"constituents.{self._collection}.labels: '{name}' is not an integer everywhere")
        limits = np.iinfo(np.int32)
        if values.size and not limits.min <= int(values.min()) <= int(values.max()) <= limits.max:
            raise JetmillError(
                f"constituents.{self._collection}.labels: '{name}' has values from {values.min()} to {values.max()},"
                f" which do not fit into 32 bits"
            )
        return values.astype(np.int32)

    def _mark_missing(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        rules = self._settings.missing
        marked = mark_missing(columns, values=rules.values, values_of=rules.values_of)
        return _counted(columns, marked, self._lost)


def _carried(settings: CleanSettings) -> dict[Column, str]:
    """Return the stored columns of jets, and the variable that each holds."""
    groups = {
        Kind.VARIABLE: settings.stored_variables,
        Kind.SPECTATOR: settings.jets.spectators,
        Kind.ADDITIONAL_LABEL: settings.jets.additional_labels,
        Kind.EVENT_WEIGHT: settings.event_weights,
        Kind.EVENT: settings.input.event_id,
    }
    return {Column(kind, name): name for kind, names in groups.items() for name in names}


def _mark_missing_of_jets(jets: Jets, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    rules = jets.missing
    return mark_missing(columns, values=rules.values, values_of=rules.values_of, slots=rules.slots)


def _counted(
    columns: Mapping[str, np.ndarray], marked: dict[str, np.ndarray], lost: Counter[str]
) -> dict[str, np.ndarray]:
    """Count what is missing in marked columns as it is infinite or too large; return them."""
    lost.update(count_beyond(columns, marked))
    return marked


def _in_unit(column: np.ndarray, dtype: np.dtype, factor: float) -> np.ndarray:
    """Multiply a column that has `dtype` in the file; the type of the result is the same whether some are missing."""
    return column.astype(stored_type(dtype), copy=False) * factor


def _result(network: NeuralNetwork, output: np.ndarray) -> np.ndarray:
    """Return the variable that an output of a network is, float32 (n_jets,)."""
    return (odds(output) if network.odds else output).astype(np.float32)


def _define(text: str, table: Mapping[str, np.ndarray], length: int, lost: Counter[str], name: str) -> np.ndarray:
    """Return the variable that an expression defines, and count where it has no value but its variables have."""
    expression = Expression(text)
    # By way of float64, as integers come if one of them is missing.
    value = np.broadcast_to(expression(table), length).astype(np.float64, copy=False)
    with np.errstate(over="ignore"):
        made = value.astype(np.float32)
    if (undefined := ~np.isfinite(made)).any():
        made[undefined] = np.nan
        for variable in expression.names:
            undefined &= ~is_missing(table[variable])
        lost[name] += int(undefined.sum())
    return made


def _rank(values: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """Return the place of each jet among those of its event (n_jets,), 0 for the largest value, NaN last."""
    counts = np.bincount(entry - entry[0]) if len(entry) else np.zeros(0, dtype=np.int64)
    rank = np.empty(len(entry), dtype=np.int64)
    rank[sort_in_jet(values, counts)] = position_in_jet(counts)
    return rank


def _as_label(name: str) -> str:
    """Return the name under which a table has a variable as it came, which no variable can have."""
    return f"label {name}"
