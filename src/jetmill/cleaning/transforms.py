"""The transforms and plug-ins of a configuration, ready to be applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jetmill.errors import JetmillError
from jetmill.settings.steps import Step
from jetmill.variables.plugins import Plugin, apply_jet_plugin, apply_plugin, load_plugin
from jetmill.variables.transforms import apply, apply_to_jets

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class LoadedStep:
    """A transform, or a function of a plug-in that is loaded."""

    step: Step
    plugin: Plugin | None

    def apply_to_jets(self, jets: Mapping[str, np.ndarray]) -> Columns:
        """Return the new variables of jets, float32 (n_jets,)."""
        step = self.step
        if self.plugin is None:
            return _single(apply_to_jets(str(step.name), jets, step.roles, prefix=step.prefix))
        return self._checked(apply_jet_plugin(self.plugin, {name: jets[name] for name in step.reads}))

    def apply_to_constituents(
        self, columns: Mapping[str, np.ndarray], counts: np.ndarray, jets: Mapping[str, np.ndarray]
    ) -> Columns:
        """Return the new variables of constituents (n_values,) of jets (n_jets,), float32 (n_values,)."""
        step = self.step
        if self.plugin is None:
            made = apply(str(step.name), columns, counts, jets, step.roles, prefix=step.prefix, options=step.options)
            return _single(made)
        inputs, jet_inputs = {n: columns[n] for n in step.reads}, {n: jets[n] for n in step.reads_jets}
        return self._checked(apply_plugin(self.plugin, inputs, counts, jet_inputs))

    def _checked(self, made: Columns) -> Columns:
        step = self.step
        if set(made) != set(step.makes):
            raise JetmillError(
                f"plug-in {step.plugin}, function '{step.function}': makes {', '.join(made) or 'nothing'},"
                f" but the configuration says {', '.join(step.makes)}"
            )
        return _single(made)


def load_steps(steps: Sequence[Step]) -> list[LoadedStep]:
    """Load the plug-ins of some steps; raises JetmillError for one that cannot be loaded."""
    return [LoadedStep(s, None if s.plugin is None else load_plugin(s.plugin, str(s.function))) for s in steps]


def _single(columns: Mapping[str, np.ndarray]) -> Columns:
    with np.errstate(over="ignore"):
        return {name: values.astype(np.float32) for name, values in columns.items()}
