"""Cuts and flavours as atlas-ftag-tools writes them, as expressions."""

import ast
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jetmill.errors import JetmillError, nearest
from jetmill.packages import FLAVOURS
from jetmill.variables.expressions import Expression

PREFIX, EXTENDED = "ftag.", "extended."
# Names such as ujets stand for other cuts among the extended flavours; these categories are left out of either set.
LEFT_OUT = {
    "": ("single-btag-extended", "single-btag-extended-ghost"),
    EXTENDED: ("single-btag", "single-btag-ghost"),
}
COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")


def cut_expression(cut: str | Sequence[Any]) -> str:
    """Return a cut, ``[variable, operator, value]`` or these three in a text, as an expression.

    Raises
    ------
    JetmillError
        If it is not such a cut, or compares with NaN: only ``jets.select`` has a rule for jets that miss a variable.
    """
    parts = cut.split(maxsplit=2) if isinstance(cut, str) else list(cut)
    if len(parts) != 3:
        raise JetmillError(f"'{cut}' is not a cut [variable, operator, value]")
    variable, operator, value = str(parts[0]), str(parts[1]), _value(parts[2])
    if operator in COMPARISONS and isinstance(value, int | float) and value == value:
        text = f"{variable} {operator} {value:g}" if isinstance(value, float) else f"{variable} {operator} {value}"
    elif operator in ("in", "notin") and isinstance(value, tuple | list) and value:
        listed = ", ".join(map(str, value)) + ("," if len(value) == 1 else "")
        text = f"{variable} {'in' if operator == 'in' else 'not in'} ({listed})"
    elif (divisor := divisor_of(operator)) and isinstance(value, int):
        text = f"{variable} % {divisor[0]} {divisor[1]} {value}"
    else:
        raise JetmillError(f"'{variable} {operator} {parts[2]}' has no equivalent among expressions")
    Expression(text)
    return text


def all_cuts(cuts: Sequence[Any]) -> str:
    """Return one expression that is true where all cuts are."""
    return " & ".join(map(cut_expression, cuts))


def read_flavours(path: str | Path, left_out: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the flavours of a file: name to its ``cuts``, ``label``, ``colour`` and ``category``.

    Raises
    ------
    JetmillError
        If the file holds no list of flavours.
    """
    import yaml

    with Path(path).open(encoding="utf-8") as file:
        found = yaml.safe_load(file)
    if not isinstance(found, list) or not all(isinstance(f, Mapping) and {"name", "cuts"} <= set(f) for f in found):
        raise JetmillError(f"{path}: must be a list of flavours, each with name and cuts")
    return {flavour["name"]: dict(flavour) for flavour in found if flavour.get("category") not in left_out}


def flavours(extended: bool = False) -> dict[str, dict[str, Any]]:
    """Return the flavours of the installed atlas-ftag-tools, without importing it.

    Raises
    ------
    JetmillError
        If it is not installed, with what to install.
    """
    spec = find_spec("ftag")
    if spec is None or spec.origin is None:
        raise JetmillError(str(FLAVOURS))
    path = Path(spec.origin).with_name("flavours.yaml")
    if not path.is_file():
        raise JetmillError(f"the installed atlas-ftag-tools has no {path.name}; jetmill knows version 0.3.6")
    return read_flavours(path, LEFT_OUT[EXTENDED if extended else ""])


def flavour_class(name: str) -> dict[str, str]:
    """Return the class of a flavour: ``ftag.bjets``, or ``ftag.extended.bbjets`` of the extended ones.

    Raises
    ------
    JetmillError
        If there is no such flavour, with the nearest name.
    """
    group = PREFIX + EXTENDED if name.startswith(PREFIX + EXTENDED) else PREFIX
    bare, known = name.removeprefix(group), flavours(group != PREFIX)
    if bare not in known:
        is_extended = group == PREFIX and bare in flavours(extended=True)
        hint = f" Did you mean '{bare}'?" if is_extended else nearest(bare, known)
        full = PREFIX + EXTENDED if is_extended else group
        raise JetmillError(f"atlas-ftag-tools has no flavour '{name}'." + hint.replace(" '", f" '{full}"))
    return as_class(known[bare])


def as_class(flavour: Mapping[str, Any]) -> dict[str, str]:
    """Return the ``cut``, ``label`` and ``colour`` of a flavour as it is listed."""
    shown = {key: str(flavour[key]) for key in ("label", "colour") if flavour.get(key)}
    return {"cut": all_cuts(flavour["cuts"]), **shown}


def _value(value: Any) -> Any:
    """Return a value as a number or a tuple of numbers, or the text if it is none."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in ("nan", "inf", "+inf", "-inf"):
        return float(text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def divisor_of(operator: str) -> tuple[int, str] | None:
    """Return divisor and comparison of an operator such as ``%10<=``; None of all others."""
    number = operator[1:].rstrip("=!<>")
    comparison = operator[1 + len(number) :]
    if operator.startswith("%") and number.isdecimal() and comparison in ("==", "!=", "<=", ">="):
        return int(number), comparison
    return None
