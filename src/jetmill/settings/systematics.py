"""Section ``systematics``: variations of the constituents."""

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Gt, MinLen

from jetmill.settings.types import Factor, Name, OneOf, PathText, no_repeats, section


@section
class Systematics:
    """Variations of constituents, each written to an output of its own with the nominal scalers and tables."""

    collection: Name
    """Collection of constituents to vary."""
    roles: dict[Literal["pt", "energy", "eta", "phi", "taste"], Name]
    """Variables of the constituents that are pt, energy, eta, phi and taste (0 charged, 1 neutral, 2 both)."""
    variations: Annotated[tuple[Annotated[str, OneOf("jetmill.systematics", "VARIATIONS")], ...], MinLen(1)]
    """Names of the variations."""
    maps: PathText | None = None
    """ROOT file with two-dimensional histograms in GeV and |eta|: Scale at E, and Mean and RMS at p = E / Scale."""
    unit: Annotated[Factor, Gt(0)] = 1
    """Factor that turns the energies into GeV, 0.001 for MeV."""
    empty: Literal["fallback", "error"] = "fallback"
    """What to do at an empty bin of a histogram. fallback: take p = E for Scale, an uncertainty of 0.1 for Mean and of
    0 for RMS. error: stop."""
    jets: dict[Literal["pt", "eta", "phi", "mass"], Name] = field(default_factory=dict)
    """Variables of jets to recompute from the varied constituents: pt, eta, phi and mass."""
    outputs: Annotated[tuple[Literal["train", "val", "test"], ...], MinLen(1)] = ("test",)
    """Splits to write of each variation."""

    def __post_init__(self) -> None:
        no_repeats("variations", self.variations)
        no_repeats("outputs", self.outputs)


@section
class Variation:
    """One variation, for a clean job."""

    name: str
    """Its name."""
    systematics: Systematics
    """How to vary."""
