"""What the models of the configuration are made of: names, expressions, lists of names, segments."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from jetmill.errors import JetmillError
from jetmill.variables.expressions import Expression

REST = "rest"


def _parses(text: str) -> str:
    try:
        Expression(text)
    except JetmillError as error:
        raise ValueError(str(error)) from None
    return text


def _expand(names: Any) -> Any:
    """Read ``track_{0..5}`` in a list of names as ``track_0`` to ``track_5``."""
    if not isinstance(names, list):
        return names
    expanded: list[Any] = []
    for name in names:
        found = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", name) if isinstance(name, str) else None
        if found and int(found[2]) <= int(found[3]):
            expanded += [f"{found[1]}{k}{found[4]}" for k in range(int(found[2]), int(found[3]) + 1)]
        else:
            expanded.append(name)
    return expanded


Fraction = Annotated[float, Field(ge=0, lt=1)]
Expr = Annotated[str, AfterValidator(_parses)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Names = Annotated[list[Name], BeforeValidator(_expand, json_schema_input_type=list[str])]
Segment = tuple[float, float, Annotated[int, Field(ge=1)]]


def _one_segment(bins: Any) -> Any:
    """Read ``[low, high, n]`` as the only segment."""
    return [bins] if isinstance(bins, list) and bins and not isinstance(bins[0], list) else bins


Segments = Annotated[
    list[Segment], Field(min_length=1), BeforeValidator(_one_segment, json_schema_input_type=Segment | list[Segment])
]


def no_repeats(key: str, names: list[str]) -> None:
    """Raise ValueError if a name is there twice."""
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{key} names {', '.join(repeated)} more than once")


class Model(BaseModel):
    """A section: unknown keys are errors, and it does not change after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
