"""Section ``scaling``, and the scaling of each collection of constituents."""

from dataclasses import field
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from annotated_types import Ge

from jetmill.settings.types import Name, Names, OneOf, Text, Value, section

# What scalers of ``jets.targets`` are of, beside jets and collections of constituents.
TARGETS = "targets"


@section
class ScalingRules:
    """Scalers (x - shift) / scale, from the values of the training jets that are not missing."""

    method: Annotated[str, OneOf("jetmill.scaling.methods", "METHODS")] = "standard"
    """How shift and scale are computed."""
    log: Names = ()
    """Variables whose logarithm is scaled; a value that is not above 0 is missing."""
    unscaled: tuple[Text, ...] = ("*isDefaults*",)
    """Variables that stay as they are (shift 0, scale 1): names or glob patterns."""
    default: Literal["below_minimum", "mean"] = "below_minimum"
    """What replaces a missing value: the minimum minus default_offset, or the mean."""
    default_offset: Value = 0.001
    """Distance of the default below the minimum, at most 1e30."""
    defaults: dict[Name, Value] = field(default_factory=dict)
    """What replaces a missing value of single variables, in the unit of the variable."""
    clip: Annotated[Value, Ge(0.001)] | None = None
    """Limit for the absolute value of scaled variables, at least 0.001."""

    def __post_init__(self) -> None:
        if wrong := [name for name in self.log if self.defaults.get(name, 1.0) <= 0]:
            raise ValueError(f"defaults.{wrong[0]}: must be above 0, as the logarithm of {wrong[0]} is scaled")

    def is_scaled(self, name: str) -> bool:
        """Return whether a variable gets a scaler of its own."""
        return not any(fnmatchcase(name, pattern) for pattern in self.unscaled)


@section
class Scaling(ScalingRules):
    """Scalers of jets: (x - shift) / scale, from the values of the training jets that are not missing."""

    fit_on: Literal["written", "cleaned"] = "written"
    """Jets that the scalers of jets and constituents are fitted to. written: the training jets as they are written,
    each as often as resampling takes it, so that the inputs have mean 0 and deviation 1. cleaned: every training jet
    that passes the cuts, once, whether it is written or not."""
    variables_per_range: Annotated[int, Ge(1)] = 24
    """Number of variables that one fit_scalers job handles."""
