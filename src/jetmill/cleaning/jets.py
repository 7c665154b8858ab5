"""The steps of cleaning for the jets of a chunk, up to cuts and classes."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from jetmill.cleaning.chunks import JetChunk
from jetmill.cleaning.cuts import apply_cuts, find_classes
from jetmill.cleaning.transforms import LoadedStep
from jetmill.labels import NO_CLASS
from jetmill.ragged import position_in_jet, sort_in_jet
from jetmill.settings.jets import Cut, NeuralNetwork
from jetmill.variables.expressions import Expression
from jetmill.variables.missing import is_missing
from jetmill.variables.networks import Network, odds


def mark_missing(jets: JetChunk, *, used: Sequence[str]) -> None:
    """Take the variables of the file, with NaN for numbers that mean missing."""
    jets.table.add(jets.source.columns)
    # Columns that are only passed through have their own rule.
    jets.table.lost = Counter({name: n for name, n in jets.table.lost.items() if name in used})
    jets.passed_through = dict(jets.source.columns)


def convert_units(jets: JetChunk, *, units: Mapping[str, float]) -> None:
    """Multiply variables by the factors of their units, wherever they are used."""
    for name, factor in units.items():
        as_in_file = jets.passed_through[name]
        converted = jets.table.convert(name, as_in_file.dtype, factor)
        # Numbers that mean "missing" have no unit.
        jets.passed_through[name] = np.where(is_missing(converted), as_in_file, converted)


def add_rank(jets: JetChunk, *, by: str | None) -> None:
    """Add the rank of each jet in its event, by falling value of an expression."""
    if by is not None:
        value = np.broadcast_to(Expression(by)(jets.table.variables), len(jets))
        jets.table.variables["rank"] = rank(value, jets.source.entry)


def define(jets: JetChunk, *, expressions: Mapping[str, str]) -> None:
    """Add the variables that expressions define."""
    for name, text in expressions.items():
        jets.table.define(name, text, len(jets))


def transform(jets: JetChunk, *, steps: Sequence[LoadedStep]) -> None:
    """Add the variables that transforms and plug-ins make."""
    for step in steps:
        jets.table.add(step.apply_to_jets(jets.table.variables))


def evaluate(jets: JetChunk, *, networks: Sequence[tuple[NeuralNetwork, Network]]) -> None:
    """Add the outputs of neural networks."""
    for settings, network in networks:
        inputs = np.stack([jets.table.variables[name] for name in settings.variables], axis=1)
        jets.table.add({settings.name: network_output(settings, network(inputs, settings.column))})


def cut(jets: JetChunk, *, cuts: Sequence[Cut]) -> None:
    """Apply the cuts one after the other."""
    jets.kept, left = apply_cuts(jets.table.variables, cuts)
    jets.flow = [len(jets), *left]


def classify(jets: JetChunk, *, classes: Sequence[str | None]) -> None:
    """Find the class of each jet, and drop jets that have none or do not pass the cuts."""
    jets.label, jets.ambiguous = find_classes(jets.table.variables, classes, len(jets))
    jets.kept = jets.kept & (jets.label >= 0)
    _keep(jets)


def keep_without_class(jets: JetChunk) -> None:
    """Drop jets that do not pass the cuts; none has a class."""
    jets.label = np.full(len(jets), NO_CLASS, dtype=np.int16)
    _keep(jets)


def _keep(jets: JetChunk) -> None:
    jets.flow.append(int(jets.kept.sum()))
    jets.table.keep(jets.kept)


def rank(values: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """Return the place of each jet among those of its event (n_jets,), 0 for the largest value, NaN last."""
    counts = np.bincount(entry - entry[0]) if len(entry) else np.zeros(0, dtype=np.int64)
    ranks = np.empty(len(entry), dtype=np.int64)
    ranks[sort_in_jet(values, counts)] = position_in_jet(counts)
    return ranks


def network_output(settings: NeuralNetwork, output: np.ndarray) -> np.ndarray:
    """Return the variable that a network computes, float32 (n_jets,)."""
    return (odds(output) if settings.odds else output).astype(np.float32)
