"""Section ``report``: plots."""

from typing import Annotated

from annotated_types import Ge, Le

from jetmill.settings.types import section


@section
class Report:
    """Plots of the run."""

    plots: bool = True
    """Whether to make plots."""
    jets: Annotated[int, Ge(1), Le(10_000_000)] = 100_000
    """Largest number of jets that the plots of variables use, at most 10,000,000."""
