"""Section ``systematics``: variations of jets and constituents."""

from collections.abc import Iterable
from dataclasses import field
from typing import Annotated, Any, Literal

from annotated_types import Gt, MinLen

from jetmill.settings.steps import Step
from jetmill.settings.types import Before, Expr, Factor, Name, OneOf, PathText, no_repeats, section
from jetmill.variables.expressions import Expression

# Random numbers that expressions and plug-ins of variations can read, and their distributions.
RANDOM = {"random_uniform": "uniform", "random_normal": "normal"}


@section
class Varied:
    """The name of a built-in variation, or one of your own: a name, and what it changes in jets and constituents.

    It changes them as they are read, before anything is computed from them. Expressions and plug-ins can use
    random_uniform, in [0, 1), and random_normal: one for each jet or constituent.
    """

    name: Name
    """Name of the variation, and of its directory."""
    jets: dict[Name, Expr] = field(default_factory=dict)
    """New values of variables of jets, as expressions of the old ones: {pt: 1.02 * pt}."""
    transforms: tuple[Step, ...] = ()
    """Plug-ins of constituents; makes names the variables of the collection that they change."""
    constituents: dict[Name, Expr] = field(default_factory=dict)
    """New values of variables of the collection, after transforms."""
    keep: Expr | None = None
    """Expression that is true for the constituents that are not lost, after their new values: random_uniform > 0.01."""

    def __post_init__(self) -> None:
        if any(step.plugin is None for step in self.transforms):
            raise ValueError("transforms of a variation are plug-ins")

    @property
    def is_built_in(self) -> bool:
        """Whether it is one of `jetmill.systematics.VARIATIONS`."""
        return not (self.jets or self.transforms or self.constituents or self.keep)

    @property
    def changes_constituents(self) -> bool:
        """Whether it is about constituents."""
        return self.is_built_in or bool(self.transforms or self.constituents or self.keep)


def _from_name(value: Any) -> Any:
    """Read a name as the built-in variation of that name."""
    return {"name": value} if isinstance(value, str) else value


BuiltIn = Annotated[str, OneOf("jetmill.systematics", "VARIATIONS")]


@section
class Systematics:
    """Variations, each written to an output of its own with the nominal scalers and tables."""

    collection: Name | None = None
    """Collection of constituents to vary."""
    roles: dict[Literal["pt", "energy", "eta", "phi", "taste"], Name] = field(default_factory=dict)
    """For built-in variations and jets: the variables of the constituents that are pt, energy, eta, phi and taste (0
    charged, 1 neutral, 2 both)."""
    variations: Annotated[tuple[Annotated[Varied, Before(_from_name, also=BuiltIn)], ...], MinLen(1)]
    """Names of built-in variations, and your own: {name: jes_up, jets: {pt: 1.02 * pt}}."""
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
        no_repeats("variations", [variation.name for variation in self.variations])
        no_repeats("outputs", self.outputs)

    @property
    def varied(self) -> Varied:
        """The variation of a clean job, which has one alone."""
        (variation,) = self.variations
        return variation

    @property
    def of_jets(self) -> list[str]:
        """Variables of jets that the variation of a clean job reads or changes."""
        jets, steps = self.varied.jets, self.varied.transforms
        return [*self.jets.values(), *jets, *_used(jets.values()), *(n for step in steps for n in step.reads_jets)]

    @property
    def of_constituents(self) -> list[str]:
        """Variables of constituents that the variation of a clean job reads or changes."""
        varied = self.varied
        roles = self.roles.values() if varied.is_built_in or self.jets else ()
        steps = [n for step in varied.transforms for n in (*step.reads, *step.makes) if n not in RANDOM]
        keep = [varied.keep] if varied.keep else []
        return [*roles, *steps, *varied.constituents, *_used([*varied.constituents.values(), *keep])]


def _used(texts: Iterable[str]) -> list[str]:
    return sorted({name for text in texts for name in Expression(text).names}.difference(RANDOM))
