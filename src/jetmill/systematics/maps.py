"""Maps: what is measured of a calorimeter, as histograms of energy and |eta| in a ROOT file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jetmill.errors import JetmillError, first_line, nearest


@dataclass(frozen=True, eq=False)
class Map2D:
    """A number for each bin of energy, or momentum, and |eta|.

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


def read_maps(path: str, names: Sequence[str]) -> dict[str, Map2D]:
    """Read two-dimensional histograms (TH2) of energy (GeV, first axis) and |eta| (second axis) from a ROOT file.

    Raises
    ------
    JetmillError
        If the file is missing or not readable; if a histogram is missing, not two-dimensional, empty, or not finite.
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
        raise JetmillError(f"{path}: not a readable ROOT file ({first_line(error)})") from error


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
