"""How mistakes in a configuration are reported: one sentence each, with the key as the user wrote it."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from jetmill.errors import nearest, one_line

_LIMITS = ("gt", "ge", "lt", "le", "min_length", "max_length")
_SCALARS = (str, int, float, bool)
_TYPE_NAMES = {"str", "float", "int", "bool", "list", "dict", "tuple"}


def sentences(error: ValidationError, settings: type) -> list[str]:
    """Return one line ``key: what is wrong, what was found, what is allowed`` for each mistake, 200 at most.

    `settings` is the dataclass of the whole configuration, for the keys that are allowed instead of an unknown one.
    """
    # Of the alternatives of one key, report the first that failed.
    items = error.errors(include_url=False)[:200]
    # Wrong entries are not counted, so a list may seem too short.
    wrong = {tuple(item["loc"][:-1]) for item in items}
    items = [item for item in items if item["type"] != "too_short" or item["loc"] not in wrong]
    # Nor is what a mapping could have been instead, where one of its entries is wrong.
    places = [_place(item) for item in items]
    deeper = [any(place.startswith(f"{of}.") for place in places) for of in places]
    items = [i for i, below in zip(items, deeper, strict=True) if not (below and isinstance(i["input"], Mapping))]
    problems = {_place(item): _sentence(item, settings) for item in reversed(items)}
    return list(reversed(problems.values()))


def _place(item: Any) -> str:
    """Return the key of a validation error of pydantic, as a user wrote it."""
    # Alternatives of a union and keys of a dictionary are not places a user wrote.
    steps = [p for p in item["loc"] if not (isinstance(p, str) and ("[" in p or "-" in p or p in _TYPE_NAMES))]
    if item["type"] == "missing" and isinstance(steps[-1], int):
        steps.pop()
    return ".".join(map(one_line, steps))


def _sentence(item: Any, settings: type) -> str:
    """Return one validation error of pydantic as ``key: sentence``."""
    place, kind, found = _place(item), item["type"], item["input"]
    if kind == "unexpected_keyword_argument":
        known = get_type_hints(_section(list(item["loc"][:-1]), settings))
        return f"{place}: unknown key.{nearest(place.rpartition('.')[2], known)} Allowed: {', '.join(known)}"
    if kind == "missing":
        return f"{place}: {'has too few entries' if isinstance(item['loc'][-1], int) else 'is required but missing'}"
    context = item.get("ctx", {})
    expected = str(context.get("expected", ""))
    limit = next((_number(context[key]) for key in _LIMITS if key in context), "")
    message = {
        "tuple_type": "must be a list",
        "string_pattern_mismatch": "must be a name of letters, digits and _",
        "dataclass_type": "must be a section of keys",
        "dict_type": "must be a section of keys",
        "literal_error": f"must be {expected}",
        "greater_than": f"must be above {limit}",
        "greater_than_equal": f"must be at least {limit}",
        "less_than": f"must be below {limit}",
        "less_than_equal": f"must be at most {limit}",
        "too_short": f"must have at least {limit} entr{'y' if limit == '1' else 'ies'}",
        "too_long": f"must have at most {limit} entries",
        "string_too_short": "must not be empty",
        "string_too_long": f"must have at most {limit} characters",
    }.get(kind, item["msg"].removeprefix("Value error, ").removeprefix("Input "))
    plain_list = isinstance(found, list) and len(found) < 20 and all(isinstance(x, _SCALARS) for x in found)
    shown = repr(found) if isinstance(found, _SCALARS) or plain_list else ""
    plain = 0 < len(shown) < 80 and f"'{found}'" not in message
    choices = expected.replace("'", "").replace(" or ", ", ").split(", ") if kind == "literal_error" else []
    hint = nearest(found, choices) if isinstance(found, str) else ""
    end = "" if message.endswith(("?", ".")) else "."
    return f"{place}: {message}{f' (found: {shown})' if plain else ''}{end}{hint}"


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"


def _section(place: list[Any], found: Any) -> Any:
    """Return the dataclass that a place in the configuration belongs to."""
    for step in place:
        # A section contains keys, a dictionary or list contains values.
        found = get_type_hints(found)[step] if is_dataclass(found) else _values(found)
        found = _bare(found)
    return found


def _values(annotation: Any) -> Any:
    """Return the type of the values of a dictionary, or of the entries of a list of any length."""
    return next(a for a in reversed(get_args(annotation)) if a is not Ellipsis)


def _bare(annotation: Any) -> Any:
    """Return a type without its annotations and without the alternative of being absent."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a is not NoneType)
    return annotation
