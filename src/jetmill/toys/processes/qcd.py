"""Multijets: mostly light jets, whose spectrum falls as a power."""

import numpy as np

from jetmill.toys.processes.process import Process, Spectrum


def _pt(flavour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pt: np.ndarray = np.minimum(15 * (1 - rng.random(len(flavour))) ** (-1 / 1.6), 1400)
    return pt


PROCESS = Process(
    name="qcd",
    summary="multijets, whose spectrum falls as a power",
    spectra={"CMS": Spectrum([0.84, 0.09, 0.05, 0.02], jets_per_event=3.0, pt=_pt, eta_width=[1.9] * 4)},
)
