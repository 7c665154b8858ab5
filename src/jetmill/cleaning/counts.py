"""What is counted while files are cleaned."""

from collections import Counter
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """Jets and constituents that are left after each step.

    Attributes
    ----------
    flow
        Jets that were read, after each cut, and in a class, int64 (n_steps,).
    constituents
        Collection to the constituents that were read, selected and kept, int64 (3,).
    ambiguous
        Jets that fit more than one class.
    lost
        Variable to the values that are missing because they are infinite, undefined, or too large for their type.
    """

    flow: np.ndarray
    constituents: dict[str, np.ndarray]
    ambiguous: int
    lost: Counter[str]

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both."""
        constituents = {name: counted + other.constituents[name] for name, counted in self.constituents.items()}
        ambiguous, lost = self.ambiguous + other.ambiguous, self.lost + other.lost
        return Counts(self.flow + other.flow, constituents, ambiguous, lost)
