"""Section ``report``: plots."""

import re
from dataclasses import field
from typing import Annotated

from annotated_types import Ge, Le

from jetmill.settings.types import After, Name, Text, section


def drawable(text: str) -> str:
    """Return a text that matplotlib can draw; raise ValueError for mathematics that it cannot."""
    dollars = len(re.findall(r"(?<!\\)\$", text))
    if dollars % 2:
        raise ValueError("has a $ too many or too few: mathematics stands between two, and \\$ is the sign")
    if dollars:
        from matplotlib.mathtext import MathTextParser  # takes a moment

        try:
            MathTextParser("path").parse(text, 72)
        except ValueError as error:
            at = re.search(r"at char (\d+)\)", str(error))
            wrong = str(error).splitlines()[1][int(at[1]) :] if at else ""
            raise ValueError(f"its mathematics is wrong at {repr(wrong) if wrong else 'its end'}") from None
    return text


Drawn = Annotated[Text, After(drawable)]


@section
class ShownVariable:
    """How figures name a variable."""

    label: Drawn = ""
    """Label, with mathematics between dollars: jet $p_T$."""
    unit: Drawn | None = None
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
