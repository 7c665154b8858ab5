"""Top pairs: central jets of tens of GeV."""

import numpy as np

from jetmill.toys.processes.process import BOTTOM, Process, Spectrum


def soft_pt(flavour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return pT in GeV, mostly below 250, of ATLAS jets."""
    n = len(flavour)
    pt: np.ndarray = 15 + rng.gamma(np.array([1.1, 1.2, 1.9, 1.3])[flavour], 34.0, n) * rng.lognormal(0, 0.35, n)
    return pt


def _cms_pt(flavour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n = len(flavour)
    pt: np.ndarray = 15 + rng.gamma(1.5, 38.0, n) + 12 * (flavour >= BOTTOM) * rng.random(n)
    return pt


PROCESS = Process(
    name="ttbar",
    summary="top pairs, jets of tens of GeV",
    spectra={
        "CMS": Spectrum([0.48, 0.10, 0.39, 0.03], jets_per_event=5.0, pt=_cms_pt, eta_width=[1.25] * 4),
        "ATLAS": Spectrum([0.50, 0.12, 0.36, 0.02], jets_per_event=4.0, pt=soft_pt),
    },
)
