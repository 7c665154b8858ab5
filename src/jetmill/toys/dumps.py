"""Toy ATLAS jets with their tracks, laid out as the training-dataset-dumper (TDD) lays them out.

Nothing here is a simulation. Displacement, vertices and spectra depend on the flavour about as in
ATLAS, so that classes separate, spectra differ between the samples, and padding is as frequent.
Momenta are in MeV, lengths in mm.
"""

import numpy as np

from jetmill.toys.processes.process import BOTTOM, LIGHT, Spectrum
from jetmill.toys.processes.registry import PROCESSES

Columns = dict[str, np.ndarray]

EXPERIMENT = "ATLAS"
TAU = 3
TRUTH_LABEL = np.array([0, 4, 5, 15], dtype=np.int32)

# By ftagTruthOriginLabel: pile-up, fake, primary, from b, from b to c, from c, from tau, other secondary.
ORIGIN_SHARES = np.array(
    [
        [0.20, 0.02, 0.73, 0.00, 0.00, 0.00, 0.00, 0.05],
        [0.17, 0.02, 0.53, 0.00, 0.00, 0.24, 0.00, 0.04],
        [0.14, 0.02, 0.39, 0.22, 0.19, 0.00, 0.00, 0.04],
        [0.25, 0.02, 0.20, 0.00, 0.00, 0.00, 0.50, 0.03],
    ]
)
DISPLACEMENT = np.array([0.0, 0.5, 0.0, 7.0, 9.0, 4.0, 1.5, 12.0])  # mean, in units of its uncertainty
VERTEX = np.array([-1, -1, 0, 1, 2, 1, 1, 3], dtype=np.int32)  # ftagTruthVertexIndex

# Smallest number of hits of a track, and the mean number of further ones.
HITS = {
    "numberOfPixelHits": (3, 1.5),
    "numberOfSCTHits": (7, 1.0),
    "numberOfInnermostPixelLayerHits": (0, 1.1),
    "numberOfNextToInnermostPixelLayerHits": (0, 1.1),
    "numberOfInnermostPixelLayerSharedHits": (0, 0.05),
    "numberOfInnermostPixelLayerSplitHits": (0, 0.03),
    "numberOfPixelSharedHits": (0, 0.15),
    "numberOfPixelSplitHits": (0, 0.08),
    "numberOfSCTSharedHits": (0, 0.3),
}


def toy_dump(n_jets: int, process: str, rng: np.random.Generator, *, n_tracks: int = 40) -> Columns:
    """Return toy jets and their tracks.

    Parameters
    ----------
    n_jets
        Jets, in events of several; the last event may be cut short.
    process
        Name of a process that there is in ATLAS.
    n_tracks
        Slots for tracks; a jet with more loses the least displaced.

    Returns
    -------
    dict
        Structured arrays ``jets`` (n_jets,) and ``tracks`` (n_jets, n_tracks). Valid tracks come first, by
        falling ``|IP3D_signed_d0_significance|``; the other slots hold NaN, 0, and -1 in truth labels.
    """
    spectrum = PROCESSES[process].spectra[EXPERIMENT]
    event = np.repeat(np.arange(n_jets), 1 + rng.poisson(spectrum.jets_per_event, n_jets))[:n_jets]
    flavour = rng.choice(4, size=n_jets, p=spectrum.shares)
    pt = spectrum.pt(flavour, rng) * 1e3
    by_pt = np.lexsort((-pt, event))
    flavour, pt = flavour[by_pt], pt[by_pt]

    mean = 3.5 + 0.8 * (flavour == BOTTOM) - 1.0 * (flavour == TAU) + 2.0 * np.log1p(pt / 15e3)
    found = rng.poisson(mean * rng.gamma(5.0, 1 / 5.0, n_jets))
    jets = _kinematics(pt, flavour, event, spectrum, rng) | {"n_tracks": found}
    with_vertex = (found > 1) & (rng.random(n_jets) < np.array([0.08, 0.30, 0.70, 0.15])[flavour])
    jets |= _vertices(["SV1_masssvx", "SV1_efracsvx", "SV1_NGTinSvx"], with_vertex, flavour, rng)
    with_vertex = (found > 0) & (rng.random(n_jets) < np.array([0.15, 0.45, 0.85, 0.25])[flavour])
    jets |= _vertices(["JetFitter_mass", "JetFitter_energyFraction", "JetFitter_nVTX"], with_vertex, flavour, rng)
    jets |= _tagger(flavour, jets["SV1_significance3d"], rng)

    jet = np.repeat(np.arange(n_jets), found)
    tracks = _tracks(flavour[jet], pt[jet], found[jet], rng)
    order = np.lexsort((-np.abs(tracks["IP3D_signed_d0_significance"]), jet))
    slot = np.arange(len(jet)) - np.repeat(np.cumsum(found) - found, found)
    has_slot = slot < n_tracks
    source = np.full((n_jets, n_tracks), len(jet))  # the entry after the tracks fills unused slots
    source[jet[has_slot], slot[has_slot]] = order[has_slot]
    packed = _structured(tracks)
    return {"jets": _structured(jets), "tracks": np.append(packed, _unused(packed.dtype)).take(source)}


def _kinematics(
    pt: np.ndarray, flavour: np.ndarray, event: np.ndarray, spectrum: Spectrum, rng: np.random.Generator
) -> Columns:
    """Return kinematics and truth (n,) of jets that are ordered by event and falling pT."""
    n = len(pt)
    eta = rng.normal(0, 1, n) * np.array(spectrum.eta_width)[flavour]
    first = np.searchsorted(event, event)
    return {
        "pt_btagJes": pt,
        "eta_btagJes": eta,
        "absEta_btagJes": np.abs(eta),
        "mass": pt * rng.gamma(4.0, 0.03, n) + 3e3,
        "eventNumber": np.uint64(rng.integers(2**32, 2**40)) + event.astype(np.uint64),
        "mcEventWeight": (rng.gamma(20.0, 40.0, n) * rng.choice([1, 1, 1, 1, -1], n))[first],
        "jetPtRank": np.arange(n) - first,
        "HadronConeExclTruthLabelID": TRUTH_LABEL[flavour],
        "HadronConeExclTruthLabelPt": np.where(flavour == LIGHT, np.nan, pt * rng.beta(7.0, 3.0, n)),
    }


def _vertices(names: list[str], found: np.ndarray, flavour: np.ndarray, rng: np.random.Generator) -> Columns:
    """Return features (n,) of a vertex finder, NaN without a vertex; `names` are its mass, energy share and count."""
    mass, energy_share, count = names
    finder = mass.split("_")[0]
    features = {
        mass: np.abs(rng.normal(np.array([900, 1500, 3200, 1100])[flavour], 700.0)),
        energy_share: rng.beta(np.array([2.0, 3.0, 6.0, 4.0])[flavour], 4.0),
        f"{finder}_significance3d": 2 + rng.exponential(np.array([4.0, 12.0, 30.0, 6.0])[flavour]),
        f"{finder}_deltaR": rng.gamma(1.5, 0.03, len(found)),
    }
    return {name: np.where(found, values, np.nan) for name, values in features.items()} | {
        count: np.where(found, rng.poisson(np.array([0.3, 0.5, 1.5, 0.5])[flavour]), -1),
        f"{finder}_isDefaults": (~found).astype(np.uint8),
    }


def _tagger(flavour: np.ndarray, significance: np.ndarray, rng: np.random.Generator) -> Columns:
    """Return four outputs (n,) of a mediocre tagger that add up to 1."""
    logits = rng.normal(0, 1.2, (len(flavour), 4)) + np.array([0.5, 0.0, -1.0, -2.0])
    logits[np.arange(len(flavour)), flavour] += 2.0
    logits[:, BOTTOM] += np.log1p(np.nan_to_num(significance))
    share = np.exp(logits)
    share /= share.sum(axis=1, keepdims=True)
    return {f"GN2_{name}": share[:, i] for i, name in enumerate(("pu", "pc", "pb", "ptau"))}


def _tracks(flavour: np.ndarray, jet_pt: np.ndarray, in_jet: np.ndarray, rng: np.random.Generator) -> Columns:
    """Return features (n,) of tracks, given flavour, pT and number of tracks of their jets."""
    n = len(flavour)
    origin = (rng.random(n)[:, None] > np.cumsum(ORIGIN_SHARES, axis=1)[flavour, :-1]).sum(axis=1)
    pt = 500 + jet_pt * rng.gamma(0.8, 0.7, n) / in_jet
    deta, dphi = rng.normal(0, 0.05 + 4.0 / np.sqrt(jet_pt), (2, n))
    theta = rng.uniform(0.2, 2.9, n)
    q_over_p = rng.choice([-1, 1], n) * np.sin(theta) / pt
    uncertainty = 0.01 + 40.0 / pt  # of d0
    displacement = rng.exponential(DISPLACEMENT[origin])
    significance = rng.normal(0, 1.1, n) + displacement
    significance_z0 = rng.normal(0, 1.2, n) + 0.6 * displacement + (origin == 0) * rng.normal(0, 4.0, n)
    side = rng.choice([-1, 1], n)  # of the beam line; significances are signed by the direction of the jet
    columns = {
        "pt": pt,
        "ptfrac": pt / jet_pt,
        "dr": np.hypot(deta, dphi),
        "deta": deta,
        "dphi": dphi,
        "d0": side * significance * uncertainty,
        "z0SinTheta": side * significance_z0 * 2 * uncertainty,
        "qOverP": q_over_p,
        "qOverPUncertainty": np.abs(q_over_p) * rng.gamma(9.0, 0.002, n),
        "thetaUncertainty": uncertainty * rng.gamma(9.0, 0.003, n),
        "phiUncertainty": uncertainty * rng.gamma(9.0, 0.002, n),
        "IP3D_signed_d0_significance": significance,
        "IP3D_signed_z0_significance": significance_z0,
        "lifetimeSignedD0Significance": 0.95 * significance,
        "lifetimeSignedZ0SinThetaSignificance": 0.9 * significance_z0,
    }
    columns |= {name: (least + rng.poisson(mean, n)).astype(np.uint8) for name, (least, mean) in HITS.items()}
    return columns | {"ftagTruthOriginLabel": origin, "ftagTruthVertexIndex": VERTEX[origin], "valid": np.ones(n, bool)}


def _structured(columns: Columns) -> np.ndarray:
    """Return columns (n,) as one structured array, floats as f4 and signed integers as i4."""
    short = {"f": "f4", "i": "i4"}
    array = np.empty(
        len(next(iter(columns.values()))), [(n, short.get(v.dtype.kind, v.dtype)) for n, v in columns.items()]
    )
    for name, values in columns.items():
        array[name] = values
    return array


def _unused(dtype: np.dtype) -> np.ndarray:
    """Return what a slot without a track holds."""
    slot = np.zeros((), dtype)
    for name in dtype.names or ():
        slot[name] = np.nan if dtype[name].kind == "f" else -1 if "Truth" in name else 0
    return slot
