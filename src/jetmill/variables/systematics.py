"""Variations of constituents within the uncertainties of a calorimeter.

Constituents of all jets are in one line, (n_values,), as in `jetmill.ragged`; every one is varied by
itself, so neither order nor jets matter. Whoever varies sorts and cuts off afterwards: energies change,
and constituents are lost. The kind of a constituent is its ``taste``: 0 is charged and stays as it is;
1 is neutral; what is more is of both, and counts as neutral except for its position.

Formulas and numbers are those of Root2HDF5 (d565e9d, syst_variations.py), but for its slip of units: it
looks up the reconstruction efficiency at MeV, where nothing is ever lost. Here it is GeV everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from jetmill.errors import JetmillError, nearest
from jetmill.ragged import jet_of
from jetmill.randomness import keys, uniform
from jetmill.variables.missing import stored_type

# Values of ``taste``.
CHARGED, NEUTRAL = 0, 1

# Names of the histograms: E/p at E; a ratio whose distance from 1 is the uncertainty of the energy scale, and the
# uncertainty of the energy resolution, both at p.
SCALE, MEAN, RMS = "Scale", "Mean", "RMS"
MAPS = (SCALE, MEAN, RMS)

# Constituents of this energy and more are never lost, GeV.
SOFT = 2.5
# Beyond this momentum (GeV) nothing is measured, and the uncertainty of scale and resolution is this number.
MEASURED, UNMEASURED = 350.0, 0.1
# Spread of eta and phi.
POSITION_SPREAD = 0.005

# Upper ends of regions in |eta|; the last region has none. Then a, b (1/GeV), c, d (1/GeV^2) of each region.
_REGIONS = np.array([0.6, 1.1, 1.4, 1.5, 1.8, 1.9])
_LOSS = np.array(
    [
        [0.12, 0.51, 4.76, 0.29],
        [0.17, 1.31, 4.33, 0.23],
        [0.17, 0.95, 1.14, 0.04],
        [0.15, 1.14, 2768.98, 4.2],
        [0.16, 2.77, 0.67, 0.11],
        [0.16, 1.47, 0.86, 0.12],
        [0.16, 1.61, 4.99, 0.52],
    ]
)

# What to do about a bin without content: what the formulas say, or an error.
Empty = Literal["fallback", "error"]
# A function from ("uniform" or "normal", what the numbers are for) to numbers, float64 (n_values,).
Random = Callable[[str, str], np.ndarray]


@dataclass(frozen=True, eq=False)
class Map2D:
    """A number for each cell of energy, or momentum, and |eta|.

    Attributes
    ----------
    energy : ndarray of float64, shape (n_energy + 1,)
        Edges, GeV.
    abs_eta : ndarray of float64, shape (n_eta + 1,)
        Edges.
    values : ndarray of float64, shape (n_energy, n_eta)
    """

    energy: np.ndarray
    abs_eta: np.ndarray
    values: np.ndarray

    def lookup(self, energy: np.ndarray, abs_eta: np.ndarray) -> np.ndarray:
        """Return the value at each energy or momentum (GeV) and |eta|, float64 (n,); NaN where one of them is NaN.

        A bin includes its lower edge, as in ROOT. What is outside the edges belongs to the outermost bin.
        """
        found = self.values[_bin(self.energy, energy), _bin(self.abs_eta, abs_eta)]
        return np.where(np.isnan(energy) | np.isnan(abs_eta), np.nan, found)


def read_maps(path: str, names: Sequence[str] = MAPS) -> dict[str, Map2D]:
    """Read histograms of energy (GeV, first axis) and |eta| (second axis) from a ROOT file.

    Parameters
    ----------
    path
        The file.
    names
        Two-dimensional histograms (TH2) in it.

    Raises
    ------
    JetmillError
        If the file is not there or not readable, or if a histogram is not there, has not two
        dimensions, holds nothing at all, or a value that is not finite.
    """
    import uproot  # takes longer to load than most variations to apply

    try:
        with uproot.open(path) as file:
            known = file.keys(cycle=False)
            for name in names:
                if name not in known:
                    held = ", ".join(sorted(known)) or "nothing"
                    raise JetmillError(f"{path}: no histogram '{name}'; it holds {held}.{nearest(name, known)}")
            return {name: _to_map(f"{path}: histogram '{name}'", file[name]) for name in names}
    except FileNotFoundError:
        raise JetmillError(f"{path}: no such file") from None
    except (JetmillError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes uproot raise anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise JetmillError(f"{path}: not a readable ROOT file ({reason})") from error


def loss_probability(momentum: np.ndarray, abs_eta: np.ndarray) -> np.ndarray:
    """Return the probability that a soft neutral constituent is not reconstructed, float64 (n,), NaN for NaN.

    It is (a exp(-b p) + c exp(-d p^2)) / 100 with four numbers for each region of |eta|. In the gap at
    1.4 to 1.5 it exceeds 1 below 0.9 GeV: there, every constituent is lost.

    Parameters
    ----------
    momentum : ndarray, shape (n,)
        GeV; negative ones (of clusters of noise) count as 0.
    abs_eta : ndarray, shape (n,)
    """
    a, b, c, d = _LOSS[np.searchsorted(_REGIONS, abs_eta, side="right")].T
    p = np.maximum(momentum, 0)
    return np.where(np.isnan(abs_eta), np.nan, (a * np.exp(-b * p) + c * np.exp(-d * p**2)) / 100)


def reconstruction_efficiency(
    energy: np.ndarray,
    eta: np.ndarray,
    is_charged: np.ndarray,
    uniform: np.ndarray,
    maps: Mapping[str, Map2D] | None = None,
    *,
    unit: float = 1.0,
    empty: Empty = "fallback",
) -> np.ndarray:
    """Lose soft neutral constituents that the detector might not have seen.

    Parameters
    ----------
    energy, eta : ndarray, shape (n_values,)
    is_charged : ndarray of bool, shape (n_values,)
    uniform : ndarray, shape (n_values,)
        Random numbers in [0, 1); a constituent below 2.5 GeV is lost if its own is below
        `loss_probability` at p = E / Scale.
    maps
        Holds ``Scale``. Without maps, p is E.
    unit
        Energy in GeV is `energy` * `unit`.
    empty
        Whether an empty bin of ``Scale`` means p = E or an error.

    Returns
    -------
    ndarray of bool, shape (n_values,)
        Which constituents are kept.
    """
    kept = np.ones(len(energy), dtype=bool)
    gev = energy.astype(np.float64) * unit
    soft = np.flatnonzero(~is_charged & (gev < SOFT))
    p, abs_eta = gev[soft], np.abs(eta[soft])
    if maps is not None:
        p = _momentum(p, abs_eta, maps, empty)
    kept[soft] = ~(uniform[soft] < loss_probability(p, abs_eta))
    return kept


def energy_scale(
    pt: np.ndarray,
    energy: np.ndarray,
    eta: np.ndarray,
    is_charged: np.ndarray,
    maps: Mapping[str, Map2D],
    direction: Literal["up", "down"],
    *,
    unit: float = 1.0,
    empty: Empty = "fallback",
) -> tuple[np.ndarray, np.ndarray]:
    """Move pt and energy of all neutral constituents up or down by the uncertainty of their scale.

    The factor is 1 + s or 1 - s (at least 0), where s = ``|Mean - 1|`` at p = E / Scale, and 0.1 where p is
    above 350 GeV or the bin of ``Mean`` is empty.

    Parameters
    ----------
    pt, energy, eta : ndarray, shape (n_values,)
    is_charged : ndarray of bool, shape (n_values,)
    maps
        Holds ``Scale`` and ``Mean``.
    direction
        ``up`` or ``down``.
    unit
        Energy in GeV is `energy` * `unit`. What is returned is in the unit that came.
    empty
        Whether an empty bin of ``Scale`` means p = E and one of ``Mean`` s = 0.1, or an error.

    Returns
    -------
    pt, energy : ndarray, shape (n_values,)
        In the type that came (integers as floats); charged constituents as they were.
    """
    neutral = np.flatnonzero(~is_charged)
    size = _uncertainty(MEAN, energy[neutral], eta[neutral], maps, unit, empty)
    factor = 1 + {"up": 1, "down": -1}[direction] * size
    return _scaled(pt, neutral, factor), _scaled(energy, neutral, factor)


def energy_resolution(
    pt: np.ndarray,
    energy: np.ndarray,
    eta: np.ndarray,
    is_charged: np.ndarray,
    maps: Mapping[str, Map2D],
    normal: np.ndarray,
    *,
    unit: float = 1.0,
    empty: Empty = "fallback",
) -> tuple[np.ndarray, np.ndarray]:
    """Smear pt and energy of neutral constituents by the uncertainty of their resolution.

    The factor is 1 + r N(0, 1) (at least 0), where r = ``|RMS|`` at p = E / Scale, and 0.1 where p is above
    350 GeV. An empty bin of ``RMS`` means r = 0, or an error if `empty` says so.

    Parameters
    ----------
    pt, energy, eta, is_charged, maps, unit, empty
        As for `energy_scale`, with ``RMS`` in place of ``Mean``.
    normal : ndarray, shape (n_values,)
        Random numbers of N(0, 1).

    Returns
    -------
    pt, energy : ndarray, shape (n_values,)
    """
    neutral = np.flatnonzero(~is_charged)
    size = _uncertainty(RMS, energy[neutral], eta[neutral], maps, unit, empty)
    factor = 1 + size * normal[neutral]
    return _scaled(pt, neutral, factor), _scaled(energy, neutral, factor)


def position(
    pt: np.ndarray,
    eta: np.ndarray,
    phi: np.ndarray,
    kind: np.ndarray,
    normal_eta: np.ndarray,
    normal_phi: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move neutral constituents by 0.005 N(0, 1) in eta and phi, and keep the energy.

    pt becomes pt cosh(eta) / cosh(eta'), so that the momentum keeps its size. A phi that leaves
    [-pi, pi] comes back in at the other end.

    Parameters
    ----------
    pt, eta, phi : ndarray, shape (n_values,)
    kind : ndarray, shape (n_values,)
        ``taste``; those of 1 move.
    normal_eta, normal_phi : ndarray, shape (n_values,)
        Random numbers of N(0, 1).

    Returns
    -------
    pt, eta, phi : ndarray, shape (n_values,)
        In the types that came (integers as floats).
    """
    moved = np.flatnonzero(kind == NEUTRAL)
    old_eta = eta[moved].astype(np.float64)
    new_eta = old_eta + POSITION_SPREAD * normal_eta[moved]
    new_phi = phi[moved] + POSITION_SPREAD * normal_phi[moved]
    new_phi -= 2 * np.pi * np.rint(new_phi / (2 * np.pi))
    return (
        _scaled(pt, moved, np.cosh(old_eta) / np.cosh(new_eta)),
        _replaced(eta, moved, new_eta),
        _replaced(phi, moved, new_phi),
    )


def uniform_numbers(seed: int, variation: str, sample: str, *uses: str, of: list[np.ndarray]) -> np.ndarray:
    """Return random numbers that belong to constituents, whatever the order and the chunk they come in.

    Parameters
    ----------
    seed
        Of the configuration.
    variation, sample, *uses
        What the numbers are for; other names give independent numbers.
    of
        Integer columns of shape (n_values,) that together identify a constituent: file, entry, position
        of the jet, and the slot of the constituent in the file (before any selection).

    Returns
    -------
    ndarray of float64, shape (n_values,)
        Uniform in [0, 1).
    """
    return uniform(keys(seed, "variation", variation, sample, *uses, of=of))


def normal_numbers(seed: int, variation: str, sample: str, *uses: str, of: list[np.ndarray]) -> np.ndarray:
    """Return random numbers of N(0, 1), float64 (n_values,), by the names of `uniform_numbers`."""
    radius = uniform_numbers(seed, variation, sample, *uses, "radius", of=of)
    angle = uniform_numbers(seed, variation, sample, *uses, "angle", of=of)
    return box_muller(radius, angle)


def box_muller(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Turn two independent uniform numbers in [0, 1) into one of N(0, 1), of any shape.

    Box and Muller, Ann. Math. Statist. 29 (1958) 610, doi 10.1214/aoms/1177706645. Numbers with 53 bits
    reach 8.5 standard deviations.
    """
    normal: np.ndarray = np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)
    return normal


def random_numbers(seed: int, variation: str, sample: str, of: list[np.ndarray]) -> Random:
    """Return what `vary` wants for `random`, from `uniform_numbers` and `normal_numbers`."""
    draw = {"uniform": uniform_numbers, "normal": normal_numbers}
    return lambda distribution, use: draw[distribution](seed, variation, sample, use, of=of)


@dataclass(frozen=True)
class _Given:
    """What `vary` hands to a variation: values by role, random numbers by use, and its own arguments."""

    values: Mapping[str, np.ndarray]
    numbers: Mapping[str, np.ndarray]
    maps: Mapping[str, Map2D]
    unit: float
    empty: Empty


# New values by role, and which constituents are kept (None: all).
_Varied = tuple[dict[str, np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class Variation:
    """What a variation needs, and what it does.

    Attributes
    ----------
    roles
        What it needs to know of a constituent.
    maps
        Names of its histograms.
    random
        What it needs random numbers for, to ``uniform`` or ``normal``.
    apply
        The function that `vary` calls.
    """

    roles: tuple[str, ...]
    maps: tuple[str, ...]
    random: Mapping[str, str]
    apply: Callable[[_Given], _Varied]


def vary(
    name: str,
    columns: Mapping[str, np.ndarray],
    roles: Mapping[str, str],
    *,
    maps: Mapping[str, Map2D],
    unit: float,
    random: Random,
    empty: Empty = "fallback",
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Apply a variation of `VARIATIONS` to constituents.

    Parameters
    ----------
    name
        Of the variation.
    columns
        Variable to values, each (n_values,).
    roles
        ``pt``, ``energy``, ``eta``, ``phi`` and ``taste`` to the variable that is it; those that the
        variation needs. Others are ignored.
    maps
        What `read_maps` returns; empty for a variation without maps.
    unit
        Energies in GeV are `columns` * `unit`: 0.001 for MeV.
    random
        Called with ``uniform`` or ``normal`` and with what the numbers are for (`Variation.random`); see
        `random_numbers`.
    empty
        Whether an empty bin of a map is an error, or the fallback that each function names.

    Returns
    -------
    columns
        All columns in full length; those that change are new arrays, in the type and unit that came.
    kept : ndarray of bool, shape (n_values,), or None
        Which constituents are left, if any is lost: not reconstructed, or smeared down to no energy.

    Raises
    ------
    JetmillError
        If there is no such variation, a role, variable or map is missing, or a taste is missing or negative.
    """
    if name not in VARIATIONS:
        raise JetmillError(f"there is no variation '{name}', but {', '.join(VARIATIONS)}.{nearest(name, VARIATIONS)}")
    variation = VARIATIONS[name]
    if unknown := [role for role in variation.roles if role not in roles]:
        raise JetmillError(
            f"variation '{name}': it is not said which variable is {_quoted(unknown)} of a constituent."
            f"{nearest(unknown, roles)}"
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
            f" 0 is charged, 1 is neutral, more is both"
        )
    numbers = {use: random(distribution, use) for use, distribution in variation.random.items()}
    changed, kept = variation.apply(_Given(values, numbers, maps, unit, empty))
    return dict(columns) | {variables[role]: new for role, new in changed.items()}, kept


def jets_from_constituents(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, energy: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sum the four-vectors of the constituents of each jet.

    Parameters
    ----------
    pt, eta, phi, energy : ndarray, shape (n_values,)
        In any unit.
    counts : ndarray of int, shape (n_jets,)
        Constituents of each jet.

    Returns
    -------
    pt, eta, phi, mass : ndarray of float64, shape (n_jets,)
        NaN for jets without constituents, and where a constituent misses a number. The mass is
        -sqrt(p^2 - E^2) where p > E, as in ROOT and FastJet; that of one massless constituent is rounding.
    """
    jet = jet_of(counts)
    pt, eta, phi = (x.astype(np.float64) for x in (pt, eta, phi))
    px, py, pz, e = (
        np.bincount(jet, weights=weights, minlength=len(counts))
        for weights in (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy)
    )
    transverse = np.where(counts > 0, np.hypot(px, py), np.nan)
    momentum = np.hypot(transverse, pz)
    with np.errstate(divide="ignore", invalid="ignore"):
        jet_eta = np.arcsinh(pz / transverse)
    square = (e - momentum) * (e + momentum)
    jet_phi = np.where(np.isnan(transverse), np.nan, np.arctan2(py, px))
    return transverse, jet_eta, jet_phi, np.copysign(np.sqrt(np.abs(square)), square)


def _bin(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def _to_map(what: str, histogram: Any) -> Map2D:
    """Turn an object of uproot into a map; `what` names it in messages."""
    kind = getattr(histogram, "classname", type(histogram).__name__)
    if kind not in {f"TH2{precision}" for precision in "CSILFD"}:
        raise JetmillError(f"{what} is a {kind}, not a histogram of two dimensions (TH2)")
    values, energy, abs_eta = (np.asarray(x, dtype=np.float64) for x in histogram.to_numpy())
    if not np.isfinite(values).all():
        raise JetmillError(f"{what} has contents that are not finite")
    if not values.any():
        raise JetmillError(f"{what} is empty")
    return Map2D(energy, abs_eta, values)


def _momentum(energy: np.ndarray, abs_eta: np.ndarray, maps: Mapping[str, Map2D], empty: Empty) -> np.ndarray:
    """Return p = E / Scale (GeV), and E where Scale is not above 0."""
    scale = maps[SCALE].lookup(energy, abs_eta)
    if empty == "error":
        _refuse(SCALE, scale == 0, energy, abs_eta)
    momentum: np.ndarray = np.divide(energy, scale, out=energy.copy(), where=~(scale <= 0))
    return momentum


def _uncertainty(
    name: str, energy: np.ndarray, eta: np.ndarray, maps: Mapping[str, Map2D], unit: float, empty: Empty
) -> np.ndarray:
    """Return the relative uncertainty of the energies: of their scale (``Mean``) or resolution (``RMS``).

    Both are looked up at p = E / Scale, and Scale alone at E.
    """
    abs_eta = np.abs(eta)
    p = _momentum(energy.astype(np.float64) * unit, abs_eta, maps, empty)
    unmeasured, value = p > MEASURED, maps[name].lookup(p, abs_eta)
    if empty == "error":
        _refuse(name, (value == 0) & ~unmeasured, p, abs_eta)
    if name == MEAN:
        unmeasured |= value == 0
        value = value - 1
    return np.where(unmeasured, UNMEASURED, np.abs(value))


def _refuse(name: str, hit: np.ndarray, energy: np.ndarray, abs_eta: np.ndarray) -> None:
    if hit.any():
        first = hit.argmax()
        raise JetmillError(
            f"map '{name}' is empty for {hit.sum()} of {len(hit)} constituents,"
            f" as at {energy[first]:g} GeV and |eta| {abs_eta[first]:g}"
        )


def _scaled(values: np.ndarray, places: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return `values` with those at `places` multiplied by `factor`, which counts as 0 below."""
    return _replaced(values, places, values[places] * np.maximum(factor, 0))


def _replaced(values: np.ndarray, places: np.ndarray, new: np.ndarray) -> np.ndarray:
    result = values.astype(values.dtype if values.dtype.kind == "f" else stored_type(values.dtype))
    result[places] = new
    return result


def _vary_efficiency(given: _Given) -> _Varied:
    energy, eta, taste = (given.values[role] for role in ("energy", "eta", "taste"))
    uniform = given.numbers["loss"]
    kept = reconstruction_efficiency(
        energy, eta, taste == CHARGED, uniform, given.maps, unit=given.unit, empty=given.empty
    )
    return {}, kept


def _vary_scale(given: _Given, direction: Literal["up", "down"]) -> _Varied:
    pt, energy, eta, taste = (given.values[role] for role in _OF_ENERGY)
    new_pt, new_energy = energy_scale(
        pt, energy, eta, taste == CHARGED, given.maps, direction, unit=given.unit, empty=given.empty
    )
    return {"pt": new_pt, "energy": new_energy}, _left(energy, new_energy)


def _vary_resolution(given: _Given) -> _Varied:
    pt, energy, eta, taste = (given.values[role] for role in _OF_ENERGY)
    normal = given.numbers["energy"]
    new_pt, new_energy = energy_resolution(
        pt, energy, eta, taste == CHARGED, given.maps, normal, unit=given.unit, empty=given.empty
    )
    return {"pt": new_pt, "energy": new_energy}, _left(energy, new_energy)


def _vary_position(given: _Given) -> _Varied:
    pt, eta, phi, taste = (given.values[role] for role in ("pt", "eta", "phi", "taste"))
    new = position(pt, eta, phi, taste, given.numbers["eta"], given.numbers["phi"])
    return dict(zip(("pt", "eta", "phi"), new, strict=True)), None


def _left(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    """Return which constituents still have energy, or None if all that had some do."""
    lost = (after == 0) & (before != 0)
    return ~lost if lost.any() else None


_OF_ENERGY = ("pt", "energy", "eta", "taste")
VARIATIONS = {
    "reconstruction_efficiency": Variation(("energy", "eta", "taste"), (SCALE,), {"loss": "uniform"}, _vary_efficiency),
    "energy_scale_up": Variation(_OF_ENERGY, (SCALE, MEAN), {}, partial(_vary_scale, direction="up")),
    "energy_scale_down": Variation(_OF_ENERGY, (SCALE, MEAN), {}, partial(_vary_scale, direction="down")),
    "energy_resolution": Variation(_OF_ENERGY, (SCALE, RMS), {"energy": "normal"}, _vary_resolution),
    "position": Variation(("pt", "eta", "phi", "taste"), (), {"eta": "normal", "phi": "normal"}, _vary_position),
}


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
