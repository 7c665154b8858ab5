"""What a variation of constituents is, and how it is applied. `variation` registers one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jetmill.discovery import registered
from jetmill.errors import JetmillError, nearest
from jetmill.systematics.maps import Map2D

# What to do about an empty bin of a map: take what the formulas say, or raise an error.
Empty = Literal["fallback", "error"]
# From ``uniform`` or ``normal`` and the purpose to random numbers, float64 (n_values,).
Random = Callable[[str, str], np.ndarray]
# New values by role, and which constituents are kept (None: all).
Varied = tuple[dict[str, np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class Given:
    """What a variation works on: the constituents of all jets (`jetmill.ragged`).

    Attributes
    ----------
    values
        Role to values, (n_values,).
    numbers
        Purpose to random numbers, float64 (n_values,).
    maps
        Name to histogram.
    unit
        Factor that turns the energies into GeV.
    empty
        What to do about an empty bin of a map.
    """

    values: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    maps: Mapping[str, Map2D]
    unit: float
    empty: Empty


Vary = Callable[[Given], Varied]


@dataclass(frozen=True)
class Variation:
    """A function that varies constituents, and what it needs: roles, names of maps, and random numbers.

    `random` is purpose to distribution, ``uniform`` or ``normal``.
    """

    apply: Vary
    roles: tuple[str, ...]
    maps: tuple[str, ...]
    random: Mapping[str, str]


VARIATIONS: dict[str, Variation] = {}


def variation(
    name: str, roles: Sequence[str], *, maps: Sequence[str] = (), random: Mapping[str, str] | None = None
) -> Callable[[Vary], Vary]:
    """Register a function as the variation `name`, see `Variation`."""
    return registered(VARIATIONS, name, lambda apply: Variation(apply, tuple(roles), tuple(maps), random or {}))


def vary(
    name: str,
    columns: Mapping[str, np.ndarray],
    roles: Mapping[str, str],
    *,
    maps: Mapping[str, Map2D],
    unit: float,
    random: Random,
    empty: Empty = "fallback",
) -> Varied:
    """Apply a variation of `VARIATIONS` to constituents.

    Parameters
    ----------
    columns
        Variable to values, each (n_values,).
    roles
        Role to the variable that plays it; roles that the variation does not need are ignored.
    maps, unit, random, empty
        See `Given`, and `jetmill.systematics.numbers.random_numbers`.

    Returns
    -------
    columns
        All columns in full length; those that change are new arrays, in the same type (integers as floats) and unit.
    kept : ndarray of bool, shape (n_values,), or None
        Which constituents are left; None if none is lost.

    Raises
    ------
    JetmillError
        If there is no such variation; if a role, variable or map is missing, or a taste is missing or negative.
    """
    if name not in VARIATIONS:
        raise JetmillError(f"there is no variation '{name}', but {', '.join(VARIATIONS)}.{nearest(name, VARIATIONS)}")
    variation = VARIATIONS[name]
    if unknown := [role for role in variation.roles if role not in roles]:
        raise JetmillError(
            f"variation '{name}': roles does not name the variable that is {_quoted(unknown)}.{nearest(unknown, roles)}"
        )
    variables = {role: roles[role] for role in variation.roles}
    if absent := [variable for variable in variables.values() if variable not in columns]:
        raise JetmillError(f"variation '{name}': there is no variable {_quoted(absent)}.{nearest(absent, columns)}")
    if absent := [histogram for histogram in variation.maps if histogram not in maps]:
        raise JetmillError(f"variation '{name}' needs the map {_quoted(absent)}.{nearest(absent, maps)}")
    values = {role: columns[variable] for role, variable in variables.items()}
    if "taste" in values and not (values["taste"] >= 0).all():
        raise JetmillError(
            f"variation '{name}': '{variables['taste']}' is missing or negative for some constituents;"
            " 0 is charged, 1 is neutral, more is both"
        )
    numbers = {purpose: random(distribution, purpose) for purpose, distribution in variation.random.items()}
    changed, kept = variation.apply(Given(values, numbers, maps, unit, empty))
    return dict(columns) | {variables[role]: new for role, new in changed.items()}, kept


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
