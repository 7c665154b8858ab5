"""Decays of a heavy Z': jets of up to several TeV."""

import numpy as np

from jetmill.toys.processes.process import Process, Spectrum
from jetmill.toys.processes.ttbar import soft_pt


def _pt(flavour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a broad plateau that ends beyond 6 TeV, and some soft jets."""
    n = len(flavour)
    soft = soft_pt(flavour, rng)
    hard = 4500 * rng.beta(np.array([1.1, 1.2, 1.3, 1.2])[flavour], 1.6, n) * rng.gamma(30.0, 1 / 30.0, n)
    return np.where(rng.random(n) < 0.15, soft, 15 + hard)


PROCESS = Process(
    name="zprime",
    summary="a heavy Z', jets of up to several TeV",
    spectra={"ATLAS": Spectrum([0.52, 0.20, 0.25, 0.03], jets_per_event=2.0, pt=_pt)},
)
