"""Cleaning: chunks of input files in, columns of jets and constituents out."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from jetmill.cleaning import constituents as of_constituents
from jetmill.cleaning import jets as of_jets
from jetmill.cleaning.chunks import ConstituentChunk, JetChunk
from jetmill.cleaning.collection import Collection
from jetmill.cleaning.column_types import as_stored, column_types, types_without_files
from jetmill.cleaning.counts import Counts
from jetmill.cleaning.cuts import where
from jetmill.cleaning.table import Table, new_values
from jetmill.cleaning.transforms import load_steps
from jetmill.cleaning.varying import Varying
from jetmill.columns.schema import JET, KEY, LABEL, Column, Kind, field_of_input, split_expression
from jetmill.randomness import keys
from jetmill.settings.clean import CleanSettings
from jetmill.sources import Chunk, Source, UnreadableError, open_source
from jetmill.sources.registry import INPUT_FORMATS
from jetmill.variables.expressions import Expression
from jetmill.variables.missing import pass_through
from jetmill.variables.networks import ConstituentNetwork, Network

Columns = dict[Column, np.ndarray]


class Cleaner:
    """The steps of cleaning, in their order, for the files of a sample.

    Parameters
    ----------
    truth
        Whether the jets of the sample have classes.

    Attributes
    ----------
    settings
        Those of the sample.
    own_types
        Types of the columns that no file has.
    cutflow
        Titles of the numbers in `Counts.flow`.
    jet_steps
        Name to step, for jets.
    constituent_steps
        Collection to its steps, for constituents of the jets that are kept.
    """

    def __init__(self, settings: CleanSettings, sample: str, *, truth: bool = True):
        settings = settings if truth else settings.without_truth()
        jets, used = settings.jets, settings.used_variables
        self.settings, self._sample = settings, sample
        self._columns = _columns_of_jets(settings)
        varying = None if settings.variation is None else Varying(settings, sample)
        self._collections = {name: Collection(name, settings, varying) for name in settings.constituents}
        wanted = dict.fromkeys([*self._columns.values(), *used])
        self._read = [name for name in wanted if name not in settings.made]
        self.own_types: dict[Column, np.dtype] = {KEY: np.dtype(np.uint64), LABEL: np.dtype(np.uint8)}
        self.own_types |= {split_expression(key): np.dtype(bool) for key in settings.split.conditions}
        self.own_types |= {split_expression(key): np.dtype(np.uint8) for key in settings.split.remainders}
        if INPUT_FORMATS[settings.input.format].has_events(settings.input):
            self.own_types[JET] = np.dtype(np.int32)
        self.cutflow = ["read", *(c.cut for c in jets.select), "in a class"]
        classes = [c.cut if c.samples is None or sample in c.samples else None for c in settings.classes]
        networks = [(n, Network(n.file, len(n.variables))) for n in settings.networks_of(None)]
        self.jet_steps: dict[str, Callable[[JetChunk], None]] = {
            "missing values": partial(of_jets.mark_missing, used=used),
            "units": partial(of_jets.convert_units, units=jets.units),
            "variation": (lambda _: None) if varying is None else varying.vary_jets,
            "counts of constituents": partial(self._add_from_constituents, used=used),
            "rank": partial(of_jets.add_rank, by=jets.rank_by),
            "define": partial(of_jets.define, expressions=jets.define),
            "transforms": partial(of_jets.transform, steps=load_steps(jets.transforms)),
            "networks": partial(of_jets.evaluate, networks=networks),
            "cuts": partial(of_jets.cut, cuts=jets.select),
            "classes": partial(of_jets.classify, classes=classes) if classes else of_jets.keep_without_class,
        }
        self.constituent_steps = {name: self._steps_of(name) for name in settings.constituents}

    def _steps_of(self, name: str) -> dict[str, Callable[[ConstituentChunk], None]]:
        settings, jet_names = self.settings.constituents[name], self.settings.jet_variables_of(name)
        networks = [
            (n, ConstituentNetwork(n.file, name, n.variables, n.slots or settings.max))
            for n in self.settings.networks_of(name)
        ]
        # `Collection` reads them, marks missing values, converts units and varies them before.
        return {
            "define": partial(of_constituents.define, expressions=settings.define, jet_names=jet_names),
            "select": partial(of_constituents.select, cuts=settings.select, jet_names=jet_names),
            "transforms": partial(of_constituents.transform, steps=load_steps(settings.transforms)),
            "select after transforms": partial(
                of_constituents.select, cuts=settings.select_after_transforms, jet_names=jet_names
            ),
            "variables of jets": partial(of_constituents.add_jet_variables, jet_names=jet_names),
            "sort": partial(of_constituents.sort, by=settings.sort_by),
            "truncate": partial(of_constituents.truncate, length=settings.max),
            "networks": partial(of_constituents.evaluate, networks=networks),
        }

    def _add_from_constituents(self, jets: JetChunk, *, used: list[str]) -> None:
        for collection in self._collections.values():
            collection.add_to_jets(jets, used)

    @contextmanager
    def open(self, path: str, number: int) -> "Iterator[CleanedFile]":
        """Open an input file, given its position in the list of the sample.

        Raises
        ------
        UnreadableError
            If the file is damaged, gone or out of reach, now or while it is read.
        JetmillError
            If it does not hold what the configuration names.
        """
        settings = self.settings
        with self._opened(path) as source:
            types = column_types(path, source, settings, self._columns, self._read, self._read_of_constituents)
            for collection in self._collections.values():
                types |= collection.field_types(source)
            yield CleanedFile(self, source, number, types)

    def keep_all_of(self, paths: Sequence[str]) -> None:
        """Keep the fields that all of these files have, but for unreadable ones, if ``write.keep_all`` says so."""
        of_jets, of_constituents = list[set[str]](), {name: list[set[str]]() for name in self._collections}
        for path in paths if self.settings.keep_all else ():
            with suppress(UnreadableError), self._opened(path) as source:
                for name, held in of_constituents.items():
                    held.append(set(source.constituent_variables(name)))
                of_jets.append(set(source.variables()))
        if of_jets:
            new = sorted(set.intersection(*of_jets).difference(self.settings.made))
            self._columns |= {field_of_input(name): name for name in new}
            self._read += [name for name in new if name not in self._read]
            for name, held in of_constituents.items():
                self._collections[name].keep_fields(set.intersection(*held))

    @property
    def _read_of_constituents(self) -> dict[str, list[str]]:
        return {name: collection.read for name, collection in self._collections.items()}

    def _opened(self, path: str) -> AbstractContextManager[Source]:
        return open_source(path, self.settings.input, self.settings.constituents)

    @property
    def types_without_files(self) -> dict[Column, np.dtype]:
        """Types of the columns of a batch without any file that can be read."""
        return types_without_files(self.settings, self._columns)

    @property
    def no_counts(self) -> Counts:
        """Counts of no jets at all."""
        constituents = {name: np.zeros(3, dtype=np.int64) for name in self._collections}
        return Counts(np.zeros(len(self.cutflow), dtype=np.int64), constituents, 0, Counter())

    def chunks(self, source: Source) -> Iterator[Chunk]:
        """Yield the jets of an open file, some at a time, with what is needed of them."""
        return source.chunks(self._read, self._read_of_constituents)

    def clean(self, chunk: Chunk, number: int) -> tuple[Columns, Counts]:
        """Return the columns of the jets of a chunk that are kept, and the counts."""
        jets = JetChunk(chunk, number, Table(self.settings.jets.missing, self.settings.jets.missing.slots))
        for jet_step in self.jet_steps.values():
            jet_step(jets)
        columns: Columns = {}
        flows, lost = {}, Counter[str]()
        for name, collection in self._collections.items():
            constituents = collection.of_kept(jets)
            for step in self.constituent_steps[name].values():
                step(constituents)
            columns |= collection.columns(constituents)
            flows[name] = np.array(constituents.flow)
            lost.update({f"{variable} of {name}": n for variable, n in constituents.table.lost.items()})
        columns |= self._columns_of(jets)
        return columns, Counts(np.array(jets.flow), flows, jets.ambiguous, lost + jets.table.lost)

    def _columns_of(self, jets: JetChunk) -> Columns:
        """Return the columns of the jets that are kept."""
        kept, made, split = jets.kept, self.settings.made, self.settings.split
        columns = {LABEL: jets.label[kept].astype(np.uint8)}
        columns[KEY] = keys(self.settings.seed, "order", self._sample, of=jets.identity(kept))
        for key, text in split.conditions.items():
            columns[split_expression(key)] = where(Expression(text), jets.table.variables, missing=False)
        for key, text in split.remainders.items():
            columns[split_expression(key)] = jets.table.integers(f"split.{key}", text, len(columns[KEY]))
        if JET in self.own_types:
            columns[JET] = jets.source.position[kept]
        for column, name in self._columns.items():
            if column.kind in (Kind.VARIABLE, Kind.EVENT_WEIGHT) or name in made:
                columns[column] = jets.table.variables[name]
            else:
                columns[column] = jets.passed_through[name][kept]
            if column.kind in (Kind.SPECTATOR, Kind.ADDITIONAL_LABEL):
                columns[column], n = pass_through(columns[column], keep_infinite=column.kind is Kind.SPECTATOR)
                jets.table.lost[f"{name} of {column.kind.value}"] += n
        for label in self.settings.jets.additional_labels:
            if label.values:
                column = Column(Kind.ADDITIONAL_LABEL, label.name)
                columns[column] = new_values(columns[column], label.values)
        return columns


@dataclass(frozen=True)
class CleanedFile:
    """An open input file, seen as cleaned jets.

    `number` is its position in the list of the sample; `types` are those of the columns except `Cleaner.own_types`.
    """

    cleaner: Cleaner
    source: Source
    number: int
    types: dict[Column, np.dtype]

    @property
    def identity(self) -> dict[str, int | str]:
        """Size of the file, and whatever else distinguishes it, such as its UUID."""
        return self.source.identity

    def chunks(self) -> Iterator[tuple[Chunk, Columns, Counts]]:
        """Yield each chunk of the file, its columns in their types, and its counts."""
        for chunk in self.cleaner.chunks(self.source):
            yield chunk, *self._clean(chunk)

    def _clean(self, chunk: Chunk) -> tuple[Columns, Counts]:
        columns, counts = self.cleaner.clean(chunk, self.number)
        return as_stored(columns, self.types | self.cleaner.own_types), counts


def _columns_of_jets(settings: CleanSettings) -> dict[Column, str]:
    """Return the columns of jets that are stored, and the variable that each holds."""
    groups = {
        Kind.VARIABLE: settings.stored_variables,
        Kind.SPECTATOR: settings.jets.spectators,
        Kind.EVENT_WEIGHT: settings.event_weights,
        Kind.EVENT: settings.input.event_id,
    }
    columns = {Column(kind, name): name for kind, names in groups.items() for name in names}
    labels = settings.jets.label_sources.items()
    return columns | {Column(Kind.ADDITIONAL_LABEL, name): source for name, source in labels}
