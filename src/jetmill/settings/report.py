"""Section ``report``: plots."""

from dataclasses import field
from typing import Annotated

from annotated_types import Ge, Le

from jetmill.settings.types import Name, Text, section


@section
class ShownVariable:
    """How figures name a variable."""

    label: Text = ""
    """Label, with mathematics between dollars: jet $p_T$."""
    unit: Text | None = None
    """Its unit, after scaling by units, in brackets behind the label."""


@section
class Report:
    """Plots of the run."""

    plots: bool = True
    """Whether to make plots."""
    label: Text = "Simulation"
    """Label of the experiment in the corner of every figure, such as CMS Simulation. Its first word is bold."""
    jets: Annotated[int, Ge(1), Le(10_000_000)] = 100_000
    """About how many training jets the figures of variables use, at most 10,000,000; fewer with many constituents."""
    variables: dict[Name, ShownVariable] = field(default_factory=dict)
    """Titles of axes: {variable: {label, unit}}, as {pt: {label: jet $p_T$, unit: GeV}}. Usual names of CMS and ATLAS
    have titles already."""
