"""The steps of cleaning for constituents of the selected jets."""

from collections.abc import Mapping, Sequence

import numpy as np

from jetmill.cleaning.chunks import ConstituentChunk
from jetmill.cleaning.cuts import where
from jetmill.cleaning.jets import network_output
from jetmill.cleaning.transforms import LoadedStep
from jetmill.ragged import position_in_jet, sort_in_jet
from jetmill.settings.jets import NeuralNetwork
from jetmill.variables.expressions import Expression
from jetmill.variables.networks import ConstituentNetwork


def define(constituents: ConstituentChunk, *, expressions: Mapping[str, str], jet_names: Sequence[str]) -> None:
    """Add the variables that expressions define."""
    more, n_values = constituents.jet_variables(jet_names) if expressions else {}, int(constituents.counts.sum())
    for name, text in expressions.items():
        constituents.table.define(name, text, n_values, more)


def select(constituents: ConstituentChunk, *, cuts: Sequence[str], jet_names: Sequence[str]) -> None:
    """Keep the constituents that pass all cuts."""
    n_read = constituents.flow[0] if constituents.flow else int(constituents.counts.sum())
    if cuts:
        variables = constituents.table.variables | constituents.jet_variables(jet_names)
        constituents.keep(np.logical_and.reduce([where(Expression(c), variables, missing=False) for c in cuts]))
    constituents.flow = [n_read, int(constituents.counts.sum())]


def transform(constituents: ConstituentChunk, *, steps: Sequence[LoadedStep]) -> None:
    """Add the variables that transforms and plug-ins make."""
    for step in steps:
        variables, jets = constituents.table.variables, constituents.jets.table.variables
        constituents.table.add(step.apply_to_constituents(variables, constituents.counts, jets))


def add_jet_variables(constituents: ConstituentChunk, *, jet_names: Sequence[str]) -> None:
    """Add the variables of the jets; a variable that was made keeps its name."""
    constituents.table.variables = constituents.jet_variables(jet_names) | constituents.table.variables


def sort(constituents: ConstituentChunk, *, by: str | None) -> None:
    """Sort the constituents of each jet by falling value of an expression."""
    if by is not None:
        n_values = int(constituents.counts.sum())
        key = np.broadcast_to(Expression(by)(constituents.table.variables), n_values)
        constituents.order = sort_in_jet(key, constituents.counts)


def truncate(constituents: ConstituentChunk, *, length: int) -> None:
    """Keep the first constituents of each jet."""
    counts = constituents.counts
    if counts.max(initial=0) > length:
        order = np.arange(counts.sum()) if constituents.order is None else constituents.order
        constituents.order = order[position_in_jet(counts) < length]
        constituents.counts = np.minimum(counts, length)
    constituents.flow.append(int(constituents.counts.sum()))


def evaluate(constituents: ConstituentChunk, *, networks: Sequence[tuple[NeuralNetwork, ConstituentNetwork]]) -> None:
    """Add the outputs of neural networks to the variables of the jets."""
    for settings, network in networks:
        inputs = np.empty((constituents.counts.sum(), len(settings.variables)), dtype=np.float32)
        with np.errstate(over="ignore"):
            for i, name in enumerate(settings.variables):
                inputs[:, i] = constituents.final(constituents.table.variables[name])
        output = network(inputs, constituents.counts, settings.column)
        constituents.jets.table.add({settings.name: network_output(settings, output)})
