"""Momenta of jets from those of their constituents."""

import numpy as np

from jetmill.ragged import jet_of


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
