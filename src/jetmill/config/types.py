"""What the models of the configuration are made of: names, expressions, lists of names, segments, numbers with limits.

Limits are far beyond what makes sense, and within what works: a file system takes the path, a float32 holds the
number, tables fit into memory, Snakemake plans the jobs.
"""

import re
from collections import Counter
from os.path import normpath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from jetmill.errors import JetmillError
from jetmill.variables.expressions import Expression

REST = "rest"

# HDF5 keeps the names of the inputs in an attribute of 64 kB; those of jets may join those of constituents.
MAX_NAMES = 2_000
# Of one variable.
MAX_BINS = 100_000
# HDF5 takes tables of 32 dimensions, and splits and classes are two of them.
MAX_AXES = 30
# A float32 holds 3.4e38.
LARGEST = 1e30


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
        found = re.fullmatch(r"(.*)\{(\d{1,18})\.\.(\d{1,18})\}(.*)", name) if isinstance(name, str) else None
        if found and int(found[2]) <= int(found[3]):
            numbers = range(int(found[2]), int(found[3]) + 1)
            if len(numbers) > MAX_NAMES:
                raise ValueError(f"'{name}' stands for {len(numbers):,} names; a list holds {MAX_NAMES:,} at most")
            expanded += [f"{found[1]}{k}{found[4]}" for k in numbers]
        else:
            expanded.append(name)
        if len(expanded) > MAX_NAMES:
            raise ValueError(f"a list holds {MAX_NAMES:,} names at most")
    return expanded


def _is_weight(weight: Any) -> Any:
    if isinstance(weight, dict) and list(weight) != ["reference"]:
        raise ValueError("must be average, flat or {reference: class}")
    return weight


def _one_line(text: str) -> str:
    """Refuse what would break the lines of messages and logs."""
    if text.splitlines() not in ([], [text]) or "\0" in text:
        raise ValueError("must be a single line of text")
    return text


def _is_path(path: str) -> str:
    if not path.strip():
        raise ValueError("must not be empty")
    if len(path.encode()) > 1000 or any(len(step.encode()) > 200 for step in path.split("/")):
        raise ValueError("is too long for a path: 1000 bytes at most, 200 between two slashes")
    return path


def _is_output(path: str) -> str:
    path = normpath(path)
    if found := [character for character in "{}<>" if character in path]:
        raise ValueError(f"must not contain {' '.join(found)}, which stand for wildcards in Snakemake")
    if path.startswith("~"):
        raise ValueError("~ does not stand for the home directory here; write its path")
    return path


def _is_factor(factor: float) -> float:
    if abs(factor) < 1 / LARGEST:
        raise ValueError(f"must not be smaller than {1 / LARGEST:g} in size")
    return factor


Text = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
# A URL may hold a token.
FileText = Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(_one_line)]
PathText = Annotated[str, AfterValidator(_one_line), AfterValidator(_is_path)]
OutputPath = Annotated[PathText, AfterValidator(_is_output)]
Expr = Annotated[str, AfterValidator(_parses)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
# What goes before names; may be empty.
Prefix = Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$", max_length=200)]
Names = Annotated[list[Name], BeforeValidator(_expand, json_schema_input_type=list[str])]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Factor = Annotated[Value, AfterValidator(_is_factor)]
Numbers = Annotated[list[float], Field(max_length=100)]
Ratio = Annotated[float, Field(ge=1e-6, le=1e6)]
NumberOfJets = Annotated[int, Field(ge=1, le=10**12)]
# Each is made by a job of its own.
NumberOfFiles = Annotated[int, Field(ge=1, le=99_999)]
Segment = tuple[Value, Value, Annotated[int, Field(ge=1, le=MAX_BINS)]]


def _one_segment(bins: Any) -> Any:
    """Read ``[low, high, n]`` as the only segment."""
    return [bins] if isinstance(bins, list) and bins and not isinstance(bins[0], list) else bins


Segments = Annotated[
    list[Segment],
    Field(min_length=1, max_length=1000),
    BeforeValidator(_one_segment, json_schema_input_type=Segment | list[Segment]),
]


# A weight table.
Weight = Annotated[Literal["average", "flat"] | dict[Literal["reference"], Name], BeforeValidator(_is_weight)]


def no_repeats(key: str, names: list[str]) -> None:
    """Raise ValueError if a name is there twice."""
    if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
        raise ValueError(f"{key} names {', '.join(repeated[:5])} more than once")


class Model(BaseModel):
    """A section: unknown keys are errors, and it does not change after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
