"""The transforms and plug-ins of a configuration, one after the other."""

from collections.abc import Mapping, Sequence

import numpy as np

from jetmill.errors import JetmillError
from jetmill.settings.steps import Step
from jetmill.variables.plugins import Plugin, apply_jet_plugin, apply_plugin, load_plugin
from jetmill.variables.transforms import apply, apply_to_jets

Columns = dict[str, np.ndarray]


class Steps:
    """Steps whose plug-ins are loaded.

    Raises
    ------
    JetmillError
        If a plug-in cannot be loaded.
    """

    def __init__(self, steps: Sequence[Step]):
        self.steps = [(step, _plugin(step)) for step in steps]

    def of_jets(self, step: Step, plugin: Plugin | None, jets: Mapping[str, np.ndarray]) -> Columns:
        """Return what a step makes of jets, float32 (n_jets,)."""
        if plugin is None:
            return _single(apply_to_jets(str(step.name), jets, step.roles, prefix=step.prefix))
        return _single(_as_told(step, apply_jet_plugin(plugin, {name: jets[name] for name in step.reads})))

    def of_constituents(
        self,
        step: Step,
        plugin: Plugin | None,
        columns: Mapping[str, np.ndarray],
        counts: np.ndarray,
        jets: Mapping[str, np.ndarray],
    ) -> Columns:
        """Return what a step makes of constituents (n_values,) of jets (n_jets,), float32."""
        if plugin is None:
            made = apply(str(step.name), columns, counts, jets, step.roles, prefix=step.prefix, options=step.options)
            return _single(made)
        given, of_jets = {n: columns[n] for n in step.reads}, {n: jets[n] for n in step.reads_jets}
        return _single(_as_told(step, apply_plugin(plugin, given, counts, of_jets)))


def _plugin(step: Step) -> Plugin | None:
    return None if step.plugin is None else load_plugin(step.plugin, str(step.function))


def _as_told(step: Step, made: Columns) -> Columns:
    if set(made) != set(step.makes):
        raise JetmillError(
            f"plug-in {step.plugin}, function '{step.function}': makes {', '.join(made) or 'nothing'},"
            f" but the configuration says {', '.join(step.makes)}"
        )
    return made


def _single(columns: Mapping[str, np.ndarray]) -> Columns:
    with np.errstate(over="ignore"):
        return {name: values.astype(np.float32) for name, values in columns.items()}
