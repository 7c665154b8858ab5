"""Toy CMS jets: the DeepCSV features of PFNano, with the dirt of real files.

Nothing here is a simulation. Displacement, vertices and spectra depend on the flavour about as in
CMS, so that classes separate, spectra differ between the samples, and defaults are as frequent.
"""

import numpy as np

from jetmill.toys.processes.process import LIGHT
from jetmill.toys.processes.registry import PROCESSES

EXPERIMENT = "CMS"
# Of light, c, b and bb.
HADRON_FLAVOUR = np.array([0, 4, 5, 5], dtype=np.int32)
N_B_HADRONS = np.array([0, 0, 1, 2], dtype=np.int32)

N_TRACKS = 6  # slots of the per-track features
N_ETA_REL = 4

# What uninitialised memory looks like in real files.
GARBAGE = np.array([7.1e31, -8.3e10, np.nan, -1.0, 0.0, 3.2e-38], dtype=np.float32)


def jets_per_event(n: int, process: str, rng: np.random.Generator) -> np.ndarray:
    """Return the numbers of jets of so many toy events that they hold `n` jets at least: int64 (n_events,)."""
    per_event = np.clip(rng.poisson(PROCESSES[process].spectra[EXPERIMENT].jets_per_event, size=n), 1, None)
    return per_event[: int(np.searchsorted(np.cumsum(per_event), n)) + 1]


def toy_jets(n: int, process: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return columns (n,) of toy jets, float32 or int32, named as the branches without ``Jet_``."""
    spectrum = PROCESSES[process].spectra[EXPERIMENT]
    flavour = rng.choice(4, size=n, p=spectrum.shares)
    pt = spectrum.pt(flavour, rng)
    eta = np.clip(rng.normal(0, 1, n) * np.array(spectrum.eta_width)[flavour], -4.7, 4.7)
    displaced_share = np.array([0.03, 0.25, 0.5, 0.65])[flavour]
    lifetime = np.array([0.01, 0.12, 0.35, 0.4])[flavour] * np.sqrt(pt / 100)

    selected = rng.poisson(2.2 + 1.1 * np.log(pt / 15) + 0.8 * (flavour > LIGHT)).astype(np.int32)
    has_tracks = selected > 0
    displaced = rng.random((n, N_TRACKS)) < displaced_share[:, None]
    significance = rng.normal(0, 1.1, (n, N_TRACKS)) + displaced * rng.exponential(7.0, (n, N_TRACKS))
    used = np.arange(N_TRACKS) < selected[:, None]
    # DeepCSV orders tracks by falling significance; unused slots do not take part.
    significance = -np.sort(np.where(used, -significance, np.inf), axis=1)
    significance = np.where(used, significance, 0)
    with_vertex = has_tracks & (rng.random(n) < np.array([0.06, 0.35, 0.72, 0.85])[flavour])
    n_vertex_tracks = np.where(with_vertex, 2 + rng.poisson(np.array([0.3, 0.6, 1.7, 2.3])[flavour]), 0)
    n_eta_rel = np.where(with_vertex, np.minimum(n_vertex_tracks, selected), 0).astype(np.int32)

    columns = {"eta": eta, "pt": pt}
    columns |= _tracks(n, pt, significance, lifetime, rng)
    columns |= _vertex(n, with_vertex, flavour, lifetime, pt, rng)
    columns |= _track_sums(n, has_tracks, np.any(displaced, axis=1), pt, rng)
    columns["vertexCategory"] = np.where(with_vertex, 0, np.where(has_tracks & (rng.random(n) < 0.2), 1, 2))
    columns["trackEtaRel"] = rng.normal(3.0, 1.0, (n, N_ETA_REL)) + 0.5 * (flavour == LIGHT)[:, None]
    columns |= {
        "jetNSecondaryVertices": (with_vertex * (1 + (rng.random(n) < 0.1))).astype(np.int32),
        "jetNSelectedTracks": selected,
        "jetNTracksEtaRel": n_eta_rel,
        "vertexNTracks": n_vertex_tracks.astype(np.int32),
    }
    jets: dict[str, np.ndarray] = {}
    for name, values in columns.items():
        count = n_eta_rel if name == "trackEtaRel" else selected
        branch = name if name in ("eta", "pt") else f"DeepCSV_{name}"
        if values.ndim == 1:
            jets[branch] = values if values.dtype == np.int32 else values.astype(np.float32)
            continue
        for k in range(values.shape[1]):
            slot = values[:, k].astype(np.float32)
            jets[f"{branch}_{k}"] = np.where(count > k, slot, rng.choice(GARBAGE, n))
    _inject_nans(jets["DeepCSV_trackSumJetEtRatio"], rng)
    _inject_nans(jets["DeepCSV_trackJetPt"], rng)
    jets |= _tagger(flavour, displaced_share, significance, with_vertex, has_tracks, rng)
    jets |= {"nBHadrons": N_B_HADRONS[flavour], "hadronFlavour": HADRON_FLAVOUR[flavour]}
    return jets


def _tracks(
    n: int, pt: np.ndarray, significance: np.ndarray, lifetime: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return per-track features (n, N_TRACKS) in cm, GeV and radians."""
    size = (n, N_TRACKS)
    delta_r = rng.gamma(1.6, 0.06, size)
    ratio = rng.beta(1.2, 6.0, size)
    return {
        "trackDecayLenVal": rng.exponential(0.15 + lifetime[:, None], size),
        "trackDeltaR": delta_r,
        "trackJetDistVal": -rng.gamma(1.2, 0.004, size).clip(0, 0.07),
        "trackPtRatio": ratio * delta_r.clip(0.01, 0.4),
        "trackPtRel": ratio * delta_r * pt[:, None] * 0.5 + rng.exponential(0.1, size),
        "trackSip2dSig": significance,
        "trackSip3dSig": 1.25 * significance + rng.normal(0, 0.4, size),
    }


def _vertex(
    n: int, with_vertex: np.ndarray, flavour: np.ndarray, lifetime: np.ndarray, pt: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return features (n,) of the secondary vertex, -999 or infinite without one."""
    mass = np.abs(rng.normal(np.array([0.9, 1.5, 3.2, 3.8])[flavour], 0.8))
    flight = 0.02 + rng.exponential(lifetime)
    flight_3d = flight * np.cosh(np.abs(rng.normal(0, 0.8, n)))
    features = {
        "flightDistance2dSig": 2 + flight / 0.012,
        "flightDistance2dVal": flight,
        "flightDistance3dSig": 2 + flight_3d / 0.015,
        "flightDistance3dVal": flight_3d,
        "vertexEnergyRatio": rng.beta(np.array([2.0, 3.0, 6.0, 6.5])[flavour], 4.0),
        "vertexJetDeltaR": rng.gamma(1.5, 0.03, n) * np.sqrt(40 / pt),
        "vertexMass": mass,
    }
    absent = np.where(rng.random(n) < 0.02, np.inf, -999.0)
    return {name: np.where(with_vertex, values, absent) for name, values in features.items()}


def _track_sums(
    n: int, has_tracks: np.ndarray, displaced: np.ndarray, pt: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return features (n,) of all tracks together, -999 without tracks, -1 where no track is above charm."""
    features = {
        "trackJetPt": pt * rng.beta(4, 3, n),
        "trackSumJetDeltaR": rng.gamma(1.6, 0.03, n),
        "trackSumJetEtRatio": rng.beta(4, 3, n),
    }
    features = {name: np.where(has_tracks, values, -999.0) for name, values in features.items()}
    above = has_tracks & (rng.random(n) < 0.85)
    significance = rng.normal(0.3, 1.5, n) + displaced * rng.exponential(4.0, n)
    for name, value in {
        "trackSip2dSigAboveCharm": significance,
        "trackSip2dValAboveCharm": significance * 0.004,
        "trackSip3dSigAboveCharm": 1.2 * significance,
        "trackSip3dValAboveCharm": significance * 0.006,
    }.items():
        features[name] = np.where(above, value, -1.0)
    return features


def _tagger(
    flavour: np.ndarray,
    displaced_share: np.ndarray,
    significance: np.ndarray,
    with_vertex: np.ndarray,
    has_tracks: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return four outputs (n,) of a mediocre tagger that add up to 1, or -1 where there is no track."""
    n = len(flavour)
    evidence = 0.25 * significance[:, 0] + 0.25 * significance[:, 1] + 1.5 * with_vertex + 2 * displaced_share
    logits = np.stack([2.0 - evidence, 0.8 - 0.3 * evidence, 0.6 * evidence - 1.5, 0.5 * evidence - 3.0], axis=1)
    logits += rng.normal(0, 0.6, (n, 4))
    logits[np.arange(n), flavour] += 0.7
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    names = ("btagDeepL", "btagDeepC", "btagDeepB_b", "btagDeepB_bb")
    return {name: np.where(has_tracks, share[:, i], -1.0).astype(np.float32) for i, name in enumerate(names)}


def _inject_nans(values: np.ndarray, rng: np.random.Generator) -> None:
    """Put a few NaN and infinities among the values, in place."""
    hit = rng.random(len(values)) < 5e-4
    values[hit] = rng.choice(np.array([np.nan, np.inf, -np.inf], dtype=np.float32), hit.sum())
