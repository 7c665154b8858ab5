"""What sections are made of: names, expressions, paths, numbers with limits.

Limits are far beyond what makes sense, and within what works: a file system accepts the path, a float32 holds the
number, tables fit into memory, Snakemake can plan the jobs.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from os.path import normpath
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

from annotated_types import Ge, Le, Lt, MaxLen, MinLen

from jetmill.errors import JetmillError
from jetmill.variables.expressions import Expression

T = TypeVar("T")

REST = "rest"

# HDF5 keeps the names of the inputs in an attribute of 64 kB; those of jets may join those of constituents.
MAX_NAMES = 2_000
# Of one variable.
MAX_BINS = 100_000
# HDF5 takes tables of 32 dimensions, and splits and classes are two of them.
MAX_AXES = 30
# A float32 holds 3.4e38.
LARGEST = 1e30


@dataclass_transform(frozen_default=True, kw_only_default=True)
def section(cls: type[T]) -> type[T]:
    """Make a class a section of the configuration.

    It becomes a frozen dataclass, with what pydantic has to know: unknown keys are errors, numbers are finite, and the
    text below a key is its description.
    """
    cls.__pydantic_config__ = {  # type: ignore[attr-defined]
        "extra": "forbid",
        "allow_inf_nan": False,
        "use_attribute_docstrings": True,
    }
    return dataclass(frozen=True, kw_only=True)(cls)


@dataclass(frozen=True)
class Before:
    """Converts what the user wrote to what the type expects.

    `function` raises ValueError with the message for the user; `also` is a further type for the schema.
    """

    function: Callable[[Any], Any]
    also: Any = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        inner = handler(source)
        also = self.also if self.also is None else core_schema.union_schema([handler.generate_schema(self.also), inner])
        return core_schema.no_info_before_validator_function(self.function, inner, json_schema_input_schema=also)


@dataclass(frozen=True)
class After:
    """Checks or changes a value that has the right type; its function raises ValueError with the message."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.function, handler(source))


@dataclass(frozen=True)
class Pattern:
    """A regular expression that a text matches."""

    regex: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(source) | {"pattern": self.regex}


@dataclass(frozen=True)
class OneOf:
    """A text that is a key of a registry, which is imported when a configuration is checked.

    `module` and `registry` say where it is, such as ``jetmill.balancing.resampling`` and ``METHODS``.
    """

    module: str
    registry: str

    @property
    def choices(self) -> list[str]:
        """The keys of the registry."""
        return list(self.entries)

    @property
    def descriptions(self) -> list[str]:
        """What each is, where the registry says so."""
        entries = self.entries.items()
        return [f"{key}: {entry.description}." for key, entry in entries if hasattr(entry, "description")]

    @property
    def entries(self) -> Mapping[str, Any]:
        """The registry."""
        entries: Mapping[str, Any] = getattr(import_module(self.module), self.registry)
        return entries

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.literal_schema(self.choices)


def parses(text: str) -> str:
    """Return the text of an expression; raise ValueError if it is none."""
    try:
        Expression(text)
    except JetmillError as error:
        raise ValueError(str(error)) from None
    return text


def expand(names: Any) -> Any:
    """Read ``track_{0..5}`` in a list of names as ``track_0`` to ``track_5``."""
    if not isinstance(names, list | tuple):
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


Text = Annotated[str, MaxLen(500), After(_one_line)]
# A URL may hold a token.
FileText = Annotated[str, MinLen(1), MaxLen(10_000), After(_one_line)]
PathText = Annotated[str, After(_one_line), After(_is_path)]
OutputPath = Annotated[PathText, After(_is_output)]
Expr = Annotated[str, After(parses)]
NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
Name = Annotated[str, Pattern(NAME.pattern), MaxLen(200)]
# Prefix of names; may be empty.
Prefix = Annotated[str, Pattern(r"^([A-Za-z_][A-Za-z0-9_]*)?$"), MaxLen(200)]
Names = Annotated[tuple[Name, ...], Before(expand, also=list[str])]
Fraction = Annotated[float, Ge(0), Lt(1)]
Value = Annotated[float, Ge(-LARGEST), Le(LARGEST)]
Factor = Annotated[Value, After(_is_factor)]
Numbers = Annotated[tuple[float, ...], MaxLen(100)]
Ratio = Annotated[float, Ge(1e-6), Le(1e6)]
# Variables that some files lack, and their value there.
Optional = dict[Name, bool | int | Value | Literal["missing"]]
NumberOfJets = Annotated[int, Ge(1), Le(10**12)]
# Each is made by a job of its own.
NumberOfFiles = Annotated[int, Ge(1), Le(99_999)]


def no_repeats(key: str, names: Sequence[str]) -> None:
    """Raise ValueError if a name is there twice."""
    if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
        raise ValueError(f"{key} names {', '.join(repeated[:5])} more than once")
