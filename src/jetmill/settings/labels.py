"""Labels: truth that is written as it is, under another name or with other values if asked."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen

from jetmill.settings.types import Before, Name, expand, section

Integer = Annotated[int, Ge(-(2**31)), Le(2**31 - 1)]


@section
class Label:
    """A label: the name of a variable, or {name, variable, values}."""

    name: Name
    """Name in the output."""
    variable: Name | None = None
    """Variable that it is made from; by default the one of the same name."""
    values: Annotated[dict[Integer, Integer], MaxLen(10_000)] = field(default_factory=dict)
    """New values of the label by those of the variable, such as {0: 0, 4: 1, 5: 2}. All others become -1."""

    @property
    def source(self) -> str:
        """Name of the variable that it is made from."""
        return self.variable or self.name


def sources(labels: tuple[Label, ...]) -> Mapping[str, str]:
    """Return the name of each label and of the variable that it is made from."""
    return {label.name: label.source for label in labels}


def _from_name(value: Any) -> Any:
    """Read a name as a label of this name."""
    return {"name": value} if isinstance(value, str) else value


Labels = Annotated[tuple[Annotated[Label, Before(_from_name, also=Name)], ...], Before(expand)]
