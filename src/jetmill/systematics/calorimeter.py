"""Variations of constituents within the uncertainties of a calorimeter.

Every constituent is varied by itself, so neither order nor jets matter; sorting and truncation come afterwards, as
energies change and constituents are lost. The kind of a constituent is its ``taste``: 0 is charged and stays as it is,
1 is neutral, more is both, and counts as neutral except for its position.

Formulas and numbers are those of Root2HDF5 (d565e9d, syst_variations.py), except for a slip of units there: it looks up
the reconstruction efficiency at MeV, where nothing is ever lost. Here it is GeV everywhere.
"""

import numpy as np

from jetmill.errors import JetmillError
from jetmill.systematics.variation import Given, Varied, variation
from jetmill.variables.missing import stored_type

# Values of ``taste``.
CHARGED, NEUTRAL = 0, 1

# Names of the maps: E/p at E; a ratio whose distance from 1 is the uncertainty of the energy scale, and the
# uncertainty of the energy resolution, both at p.
SCALE, MEAN, RMS = "Scale", "Mean", "RMS"

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
_OF_ENERGY = ("pt", "energy", "eta", "taste")


@variation("reconstruction_efficiency", ("energy", "eta", "taste"), maps=(SCALE,), random={"loss": "uniform"})
def lose_soft(given: Given) -> Varied:
    """Lose soft neutral constituents (below 2.5 GeV) with `loss_probability` at p = E / Scale."""
    gev = given.values["energy"].astype(np.float64) * given.unit
    soft = np.flatnonzero((given.values["taste"] != CHARGED) & (gev < SOFT))
    abs_eta = np.abs(given.values["eta"][soft])
    kept = np.ones(len(gev), dtype=bool)
    kept[soft] = ~(given.numbers["loss"][soft] < loss_probability(_momentum(given, gev[soft], abs_eta), abs_eta))
    return {}, kept


@variation("energy_scale_up", _OF_ENERGY, maps=(SCALE, MEAN))
def raise_energies(given: Given) -> Varied:
    """Multiply pt and energy of neutral constituents by 1 + s.

    s = ``|Mean - 1|`` at p = E / Scale, and 0.1 where p is above 350 GeV or the bin of ``Mean`` is empty.
    """
    return _with_energies(given, 1 + _uncertainty(given, MEAN))


@variation("energy_scale_down", _OF_ENERGY, maps=(SCALE, MEAN))
def lower_energies(given: Given) -> Varied:
    """Multiply pt and energy of neutral constituents by 1 - s, at least 0, with s of `raise_energies`."""
    return _with_energies(given, 1 - _uncertainty(given, MEAN))


@variation("energy_resolution", _OF_ENERGY, maps=(SCALE, RMS), random={"energy": "normal"})
def smear_energies(given: Given) -> Varied:
    """Multiply pt and energy of neutral constituents by 1 + r N(0, 1), at least 0.

    r = ``|RMS|`` at p = E / Scale, and 0.1 where p is above 350 GeV. An empty bin of ``RMS`` means r = 0.
    """
    normal = given.numbers["energy"][_neutral(given)]
    return _with_energies(given, 1 + _uncertainty(given, RMS) * normal)


@variation("position", ("pt", "eta", "phi", "taste"), random={"eta": "normal", "phi": "normal"})
def move(given: Given) -> Varied:
    """Move constituents of taste 1 by 0.005 N(0, 1) in eta and phi, and keep their energy.

    pt becomes pt cosh(eta) / cosh(eta'), so that the momentum keeps its size. A phi that leaves
    [-pi, pi] comes back in at the other end.
    """
    pt, eta, phi = (given.values[role] for role in ("pt", "eta", "phi"))
    moved = np.flatnonzero(given.values["taste"] == NEUTRAL)
    old_eta = eta[moved].astype(np.float64)
    new_eta = old_eta + POSITION_SPREAD * given.numbers["eta"][moved]
    new_phi = phi[moved] + POSITION_SPREAD * given.numbers["phi"][moved]
    new_phi -= 2 * np.pi * np.rint(new_phi / (2 * np.pi))
    new_pt = pt[moved] * (np.cosh(old_eta) / np.cosh(new_eta))
    new = {"pt": (pt, new_pt), "eta": (eta, new_eta), "phi": (phi, new_phi)}
    return {role: _replaced(values, moved, changed) for role, (values, changed) in new.items()}, None


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


def _neutral(given: Given) -> np.ndarray:
    """Return the places of the constituents that are not charged."""
    return np.flatnonzero(given.values["taste"] != CHARGED)


def _momentum(given: Given, energy: np.ndarray, abs_eta: np.ndarray) -> np.ndarray:
    """Return p = E / Scale (GeV), and E where Scale is not above 0."""
    scale = given.maps[SCALE].lookup(energy, abs_eta)
    _refuse_empty(given, SCALE, scale == 0, energy, abs_eta)
    momentum: np.ndarray = np.divide(energy, scale, out=energy.copy(), where=~(scale <= 0))
    return momentum


def _uncertainty(given: Given, name: str) -> np.ndarray:
    """Return the relative uncertainty of the energies of neutral constituents: of scale (``Mean``) or resolution.

    It is looked up at p = E / Scale, and Scale at E.
    """
    energy, eta = (given.values[role][_neutral(given)] for role in ("energy", "eta"))
    abs_eta = np.abs(eta)
    p = _momentum(given, energy.astype(np.float64) * given.unit, abs_eta)
    unmeasured, value = p > MEASURED, given.maps[name].lookup(p, abs_eta)
    _refuse_empty(given, name, (value == 0) & ~unmeasured, p, abs_eta)
    if name == MEAN:
        unmeasured |= value == 0
        value = value - 1
    return np.where(unmeasured, UNMEASURED, np.abs(value))


def _refuse_empty(given: Given, name: str, hit: np.ndarray, energy: np.ndarray, abs_eta: np.ndarray) -> None:
    """Raise JetmillError if a bin that is looked up is empty and that is an error."""
    if given.empty == "error" and hit.any():
        first = hit.argmax()
        raise JetmillError(
            f"map '{name}' is empty for {hit.sum()} of {len(hit)} constituents,"
            f" as at {energy[first]:g} GeV and |eta| {abs_eta[first]:g}"
        )


def _with_energies(given: Given, factor: np.ndarray) -> Varied:
    """Multiply pt and energy of neutral constituents; those that are left without energy are lost."""
    neutral, factor = _neutral(given), np.maximum(factor, 0)
    pt, energy = (given.values[role] for role in ("pt", "energy"))
    new_pt, new_energy = (_replaced(values, neutral, values[neutral] * factor) for values in (pt, energy))
    lost = (new_energy == 0) & (energy != 0)
    return {"pt": new_pt, "energy": new_energy}, ~lost if lost.any() else None


def _replaced(values: np.ndarray, places: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return a copy with new values at some places, in the same type (integers as floats)."""
    result = values.astype(values.dtype if values.dtype.kind == "f" else stored_type(values.dtype))
    result[places] = new
    return result
