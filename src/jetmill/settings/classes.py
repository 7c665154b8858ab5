"""Section ``classes``: the flavours that jets are labelled with."""

from typing import Annotated, Any

from annotated_types import MinLen

from jetmill.errors import JetmillError
from jetmill.settings.types import REST, Before, Expr, Name, section
from jetmill.variables.ftag import PREFIX, flavour_expression


def _of_flavour(value: Any) -> Any:
    """Read ``ftag.bjets`` as the expression that atlas-ftag-tools gives this flavour."""
    if not isinstance(value, str) or not value.startswith(PREFIX):
        return value
    try:
        return flavour_expression(value)
    except JetmillError as error:
        raise ValueError(str(error)) from None


@section
class Class:
    """A class of jets: an expression, or {samples, cut}."""

    samples: Annotated[tuple[Name, ...], MinLen(1)] | None = None
    """Samples whose jets can be of this class; by default all."""
    cut: Annotated[Expr, Before(_of_flavour)] = REST
    """Expression that is true for the jets of this class; rest stands for all other jets. ftag.bjets stands for that of
    a flavour of atlas-ftag-tools, ftag.extended.bbjets for that of an extended one."""


def _from_expression(value: Any) -> Any:
    """Read an expression as a class of all samples."""
    return {"cut": value} if isinstance(value, str) else value


Classes = dict[Name, Annotated[Class, Before(_from_expression, also=Expr)]]
