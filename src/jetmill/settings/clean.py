"""The settings that cleaned columns depend on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from jetmill.labels import DATA
from jetmill.settings.classes import Class
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.settings.jets import Jets, NeuralNetwork
from jetmill.settings.split import Split
from jetmill.settings.systematics import Systematics
from jetmill.settings.types import REST
from jetmill.variables.expressions import Expression, count_of
from jetmill.variables.transforms import JET_TRANSFORMS

Defining = TypeVar("Defining", Jets, Constituents)


@dataclass(frozen=True)
class InputBatch:
    """The input files that one clean job reads.

    Attributes
    ----------
    number
        Number of the batch in the sample, with leading zeros.
    first_file
        Position of the first file in the list of the sample.
    checksums
        File to algorithm to the expected checksum, where known.
    truth
        Whether the jets of the sample have classes.
    """

    sample: str
    number: str
    files: tuple[str, ...]
    first_file: int
    checksums: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    truth: bool = True


@dataclass(frozen=True, kw_only=True)
class CleanSettings:
    """Settings of clean jobs: what the cleaned columns depend on, and nothing else.

    Attributes
    ----------
    classes, class_names
        In the order of the labels. A class can get another name without being cleaned again.
    stored_variables
        Variables of jets that are stored.
    event_weights
        Variables of jets whose product is the event weight.
    files
        Path to SHA-256 of plug-ins, networks and maps: their content counts, not their names.
    variation
        With a single variation; None for the nominal jets.
    keep_all
        Whether to keep all fields of jets.
    """

    seed: int
    input: Input
    jets: Jets
    constituents: dict[str, Constituents]
    classes: tuple[Class, ...]
    class_names: tuple[str, ...] = field(repr=False)
    split: Split
    stored_variables: tuple[str, ...]
    event_weights: tuple[str, ...]
    files: dict[str, str]
    variation: Systematics | None = None
    keep_all: bool = False

    def without_truth(self) -> "CleanSettings":
        """Return the settings for samples without truth: no classes, labels, event weights and what only these need."""

        def of_collection(name: str) -> Constituents:
            of, needed = replace(self.constituents[name], labels=()), self._inputs_of_networks(name)
            return _without_unused(of, lambda rest: [*rest.variables, *rest.used, *needed])

        constituents = {name: of_collection(name) for name in self.constituents}
        bare = replace(self, classes=(), class_names=(DATA,), event_weights=(), constituents=constituents)

        def used(jets: Jets) -> list[str]:
            return [*replace(bare, jets=jets).used_variables, *jets.spectators]

        jets = _without_unused(replace(self.jets, additional_labels=()), used)
        units = {name: factor for name, factor in jets.units.items() if name in used(jets)}
        return replace(bare, jets=replace(jets, units=units))

    @property
    def made(self) -> list[str]:
        """Names of the variables of jets that are computed."""
        jets = self.jets
        return [
            *(["rank"] if jets.rank_by else []),
            *map(count_of, self.constituents),
            *jets.define,
            *(name for step in jets.transforms for name in step.outputs(JET_TRANSFORMS)),
            *(network.name for network in jets.networks),
        ]

    @property
    def used_variables(self) -> list[str]:
        """Names of all variables that cleaning works with: stored, defined, in expressions, counts of slots."""
        jets = self.jets
        cuts, classes = [c.cut for c in jets.select], [c.cut for c in self.classes if c.cut != REST]
        texts = [*([jets.rank_by] if jets.rank_by else []), *jets.define.values(), *cuts, *classes]
        texts += self.split.expressions.values()
        used = [n for text in texts for n in sorted(Expression(text).names)]
        used += [n for step in jets.transforms for n in step.inputs(JET_TRANSFORMS)]
        used += [n for network in self.networks_of(None) for n in network.variables]
        used += [n for name in self.constituents for n in self.jet_variables_of(name)]
        if self.variation is not None:
            used += self.variation.of_jets
        return list(
            dict.fromkeys([*self.stored_variables, *self.event_weights, *jets.define, *used, *jets.missing.slots])
        )

    def networks_of(self, collection: str | None) -> list[NeuralNetwork]:
        """Return the networks whose inputs are constituents of a collection; None: variables of jets."""
        return [network for network in self.jets.networks if network.constituents == collection]

    @property
    def made_of_constituents(self) -> list[str]:
        """Names of the variables of jets that networks make of constituents, after the cuts."""
        return [network.name for network in self.jets.networks if network.constituents is not None]

    def constituents_read(self, collection: str) -> list[str]:
        """Return the names of the variables of a collection to read from the files."""
        settings = self.constituents[collection]
        return list(dict.fromkeys([*settings.read, *settings.read_for(self._inputs_of_networks(collection))]))

    def jet_variables_of(self, collection: str) -> list[str]:
        """Return the names of the variables of jets that a collection and its networks use."""
        settings = self.constituents[collection]
        return list(dict.fromkeys([*settings.of_jets, *settings.of_jets_for(self._inputs_of_networks(collection))]))

    def _inputs_of_networks(self, collection: str) -> list[str]:
        return [name for network in self.networks_of(collection) for name in network.variables]


def _without_unused(of: Defining, used: Callable[[Defining], list[str]]) -> Defining:
    """Return a section without the definitions that nothing uses; `used` says what the others use."""
    for name in reversed(of.define):
        rest = replace(of, define={key: text for key, text in of.define.items() if key != name})
        of = of if name in used(rest) else rest
    return of
