"""Section ``classes``: the flavours that jets are labelled with."""

from typing import Annotated, Any

from annotated_types import MinLen

from jetmill.settings.types import REST, Before, Expr, Name, section


@section
class Class:
    """A class of jets: an expression, or {samples, cut}."""

    samples: Annotated[tuple[Name, ...], MinLen(1)] | None = None
    """Samples whose jets can be of this class; by default all."""
    cut: Expr = REST
    """Expression that is true for the jets of this class; rest stands for all other jets."""


def _from_expression(value: Any) -> Any:
    """Read an expression as a class of all samples."""
    return {"cut": value} if isinstance(value, str) else value


Classes = dict[Name, Annotated[Class, Before(_from_expression, also=Expr)]]
