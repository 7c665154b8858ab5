"""Section ``report``: plots."""

from dataclasses import field
from typing import Annotated

from annotated_types import Ge, Le

from jetmill.settings.types import Name, section


@section
class Report:
    """Plots of the run."""

    plots: bool = True
    """Whether to make plots."""
    jets: Annotated[int, Ge(1), Le(10_000_000)] = 100_000
    """About how many training jets the figures of variables use, at most 10,000,000; fewer with many constituents."""
    titles: dict[Name, str] = field(default_factory=dict)
    """Titles of axes: {variable: title}, as {pt: "jet $p_T$ [GeV]"}."""
