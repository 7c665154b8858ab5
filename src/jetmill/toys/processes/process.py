"""What defines a process of toy jets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Order of the flavours. The fourth is DOUBLE_BOTTOM in CMS toys, TAU in ATLAS toys.
LIGHT, CHARM, BOTTOM = range(3)


@dataclass(frozen=True)
class Spectrum:
    """Jets of a process, as one experiment sees them; sequences are by flavour.

    Attributes
    ----------
    shares
        Shares of the flavours, which add up to 1.
    jets_per_event
        Mean of the Poisson number that jets per event are drawn from.
    pt
        Returns pT in GeV, (n,), given the flavours (n,) and the generator.
    eta_width
        Standard deviation of eta.
    """

    shares: Sequence[float]
    jets_per_event: float
    pt: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    eta_width: Sequence[float] = (1.25, 1.05, 1.0, 1.1)


@dataclass(frozen=True)
class Process:
    """A process, for ``samples.<name>.toy.process``, and its jets by experiment, ``CMS`` or ``ATLAS``."""

    name: str
    summary: str
    spectra: Mapping[str, Spectrum]

    @property
    def description(self) -> str:
        """What it is, and where it exists."""
        return f"{self.summary} ({' and '.join(self.spectra)})"
