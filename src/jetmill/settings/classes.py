"""Section ``classes``: the flavours that jets are labelled with."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from annotated_types import MinLen

from jetmill.errors import JetmillError
from jetmill.settings.report import Drawn
from jetmill.settings.types import REST, Before, Expr, Name, Text, section
from jetmill.variables.ftag import PREFIX, flavour_class


@section
class Class:
    """A class of jets: an expression, or {samples, cut}."""

    samples: Annotated[tuple[Name, ...], MinLen(1)] | None = None
    """Samples whose jets can be of this class; by default all."""
    cut: Expr = REST
    """Expression that is true for the jets of this class; rest stands for all other jets. ftag.bjets stands for that of
    a flavour of atlas-ftag-tools, ftag.extended.bbjets for that of an extended one."""
    label: Drawn = field(default="", repr=False)
    """What figures call it, with mathematics between dollars: $b$-jets. By default the label of its flavour of
    atlas-ftag-tools, or its name."""
    colour: Text = field(default="", repr=False)
    """Its colour in figures, as matplotlib names it: tab:blue, "#5790fc". By default that of its flavour, or one of a
    palette."""


def _from_expression(value: Any) -> Any:
    """Read an expression as a class of all samples, and ``ftag.bjets`` as what atlas-ftag-tools knows of a flavour."""
    given = {"cut": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not str(given.get("cut")).startswith(PREFIX):
        return given
    try:
        return {**flavour_class(given["cut"]), **{key: found for key, found in given.items() if key != "cut"}}
    except JetmillError as error:
        raise ValueError(str(error)) from None


Classes = dict[Name, Annotated[Class, Before(_from_expression, also=Expr)]]
