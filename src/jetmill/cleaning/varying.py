"""The systematic variation of a clean job: what it changes in jets and constituents as they were read."""

from collections.abc import Collection, Mapping

import numpy as np

from jetmill.cleaning.chunks import ConstituentChunk, JetChunk
from jetmill.cleaning.cuts import where
from jetmill.cleaning.transforms import load_steps
from jetmill.ragged import broadcast, position_in_jet
from jetmill.settings.clean import CleanSettings
from jetmill.settings.systematics import RANDOM
from jetmill.systematics import VARIATIONS, vary
from jetmill.systematics.maps import read_maps
from jetmill.systematics.momenta import jets_from_constituents
from jetmill.systematics.numbers import random_numbers
from jetmill.systematics.variation import Random
from jetmill.variables.expressions import Expression


class Varying:
    """A variation of the jets and constituents of a sample.

    Attributes
    ----------
    changes_jets
        Whether variables of jets are recomputed from the varied constituents.
    """

    def __init__(self, settings: CleanSettings, sample: str):
        assert settings.variation is not None
        self._seed, self._sample = settings.seed, sample
        self._systematics, self._variation = settings.variation, settings.variation.varied
        self._steps = load_steps(self._variation.transforms)
        self.changes_jets = bool(self._systematics.jets) and self._variation.changes_constituents
        self._maps = {}
        if self._systematics.maps is not None:
            self._maps = read_maps(self._systematics.maps, VARIATIONS[self._variation.name].maps)

    def vary_jets(self, jets: JetChunk) -> None:
        """Give variables of jets the values of `jets` in the configuration."""
        random = self._random(jets.identity(np.ones(len(jets), dtype=bool)))
        jets.table.change(_values(self._variation.jets, jets.table.variables, len(jets), random))

    def vary_constituents(self, constituents: ConstituentChunk) -> None:
        """Vary the constituents, of which some may be lost."""
        counts, table, variation = constituents.counts, constituents.table, self._variation
        identity = [broadcast(x, counts) for x in constituents.jets.identity(constituents.of_jets)]
        random = self._random([*identity, position_in_jet(counts)])
        if variation.is_built_in:
            systematics, before = self._systematics, table.variables
            varied, kept = vary(
                variation.name,
                before,
                dict(systematics.roles),  # type: ignore[arg-type]
                maps=self._maps,
                unit=systematics.unit,
                random=random,
                empty=systematics.empty,
            )
            table.replace({name: x for name, x in varied.items() if x is not before[name]})
        else:
            n_values = int(counts.sum())
            numbers = _numbers({name for step in self._steps for name in step.step.reads}, random)
            jets = constituents.jets.table.variables
            for step in self._steps:
                table.change(step.apply_to_constituents(table.variables | numbers, counts, jets))
            table.change(_values(variation.constituents, table.variables, n_values, random))
            kept = None
            if variation.keep is not None:
                expression = Expression(variation.keep)
                kept = where(expression, table.variables | _numbers(expression.names, random), missing=False)
        if kept is not None:
            constituents.keep(np.broadcast_to(kept, int(counts.sum())))

    def momenta_of_jets(self, constituents: ConstituentChunk) -> dict[str, np.ndarray]:
        """Return the variables of jets that are recomputed from varied constituents, float32 (n_jets,)."""
        variables, roles = constituents.table.variables, self._systematics.roles
        pt, eta, phi, energy = (variables[roles[role]] for role in ("pt", "eta", "phi", "energy"))
        momenta = jets_from_constituents(pt, eta, phi, energy, constituents.counts)
        parts = dict(zip(("pt", "eta", "phi", "mass"), momenta, strict=True))
        return {name: parts[role].astype(np.float32) for role, name in self._systematics.jets.items()}

    def _random(self, of: list[np.ndarray]) -> Random:
        return random_numbers(self._seed, self._variation.name, self._sample, of)


def _numbers(names: Collection[str], random: Random) -> dict[str, np.ndarray]:
    """Return the random numbers that are among some names, each float64 (n,)."""
    return {name: random(distribution, "own") for name, distribution in RANDOM.items() if name in names}


def _values(
    expressions: Mapping[str, str], variables: Mapping[str, np.ndarray], length: int, random: Random
) -> dict[str, np.ndarray]:
    """Return the values of expressions, all of the variables as they were, float64 (length,)."""
    used = {name for text in expressions.values() for name in Expression(text).names}
    known = {**variables, **_numbers(used, random)}
    return {n: np.broadcast_to(Expression(t)(known), length).astype(np.float64) for n, t in expressions.items()}
