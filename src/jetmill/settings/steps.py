"""What jets and constituents have in common: new variables, units, missing values."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from jetmill.settings.types import Before, Name, Names, Numbers, PathText, Prefix, Text, Value, section
from jetmill.variables.transforms import TRANSFORMS, Transform


@section
class MissingValues:
    """Numbers that mean "no value". NaN, infinities and numbers beyond single precision always do."""

    values: Numbers = ()
    """Numbers that mean "missing" in every variable."""
    values_of: dict[Name, Numbers] = field(default_factory=dict)
    """Further numbers that mean "missing" in single variables."""


@section
class Step:
    """A named transform, or a function of a plug-in. What it computes are new variables, float32."""

    name: Text | None = None
    """Name of a transform, see docs/transforms.md. A step can be written as this name alone."""
    roles: dict[str, Name] = field(default_factory=dict)
    """Variables that play the roles of the transform, where they have other names than the roles."""
    prefix: Prefix | None = None
    """Prefix for the names of the new variables, in place of that of the transform."""
    options: dict[str, Value] = field(default_factory=dict)
    """Options of the transform."""
    plugin: PathText | None = None
    """A Python file of yours."""
    function: Text | None = None
    """Function of the plug-in to call."""
    reads: Names = ()
    """Variables to pass to the plug-in."""
    reads_jets: Names = ()
    """Variables of jets to pass to a plug-in of constituents."""
    makes: Names = ()
    """Variables that the plug-in returns."""

    def __post_init__(self) -> None:
        if (self.name is None) == (self.plugin is None):
            raise ValueError("give either the name of a transform or a plugin")
        for_plugins = [key for key in ("function", "reads", "reads_jets", "makes") if getattr(self, key)]
        if self.name is not None and for_plugins:
            raise ValueError(f"{for_plugins[0]} is for a plugin")
        for_transforms = [key for key in ("roles", "prefix", "options") if getattr(self, key)]
        if self.plugin is not None and for_transforms:
            raise ValueError(f"{for_transforms[0]} is for a transform")
        if self.plugin is not None and not (self.function and self.makes):
            raise ValueError("a plugin needs function, and makes: the variables that it makes")

    def inputs(self, transforms: Mapping[str, Transform]) -> list[str]:
        """Return the variables that the step reads; none for a transform that does not exist."""
        if self.name is None:
            return list(self.reads)
        return list(transforms[self.name].variables(self.roles)[0]) if self.name in transforms else []

    def jet_inputs(self) -> list[str]:
        """Return the variables of jets that a step of constituents reads."""
        if self.name is None:
            return list(self.reads_jets)
        return list(TRANSFORMS[self.name].variables(self.roles)[1]) if self.name in TRANSFORMS else []

    def outputs(self, transforms: Mapping[str, Transform]) -> list[str]:
        """Return the variables that the step makes."""
        if self.name is None:
            return list(self.makes)
        return transforms[self.name].names(self.prefix) if self.name in transforms else []


def _from_name(step: Any) -> Any:
    """Read a name as a transform without roles."""
    return {"name": step} if isinstance(step, str) else step


Steps = tuple[Annotated[Step, Before(_from_name, also=str)], ...]
