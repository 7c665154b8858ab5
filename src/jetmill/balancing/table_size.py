"""How large the tables of bins are, and how much memory the jobs need that hold some of them.

A table has 8 bytes for each class and bin. The factors are about twice the measured peaks, for a thousand to nine
million bins, 1 to 6 classes, 1 to 8 samples and components.
"""

from collections.abc import Mapping, Sequence
from math import prod

# In the tables of all samples and components: `balance` then asks for 16 GB.
MAX_NUMBERS = 100_000_000
MEGABYTES = 8e-6
# Tables of exact sums of event weights that reach over ten orders of magnitude, and of their squares.
EVENT_WEIGHTS = 10


def table_numbers(bins: Mapping[str, Sequence[tuple[float, float, int]]], n_classes: int) -> int:
    """Return how many numbers a table has, from ``balance.bins``."""
    return n_classes * prod(sum(n for _, _, n in segments) for segments in bins.values())


def bin_megabytes(numbers: int, n_samples: int, *, event_weights: bool = False) -> float:
    """Return the memory for counting the jets of some samples."""
    return MEGABYTES * numbers * (12 + (6 + EVENT_WEIGHTS * event_weights) * n_samples)


def balance_megabytes(numbers: int, n_samples: int, n_components: int, *, event_weights: bool = False) -> float:
    """Return the memory for deciding weights and quotas; 0 components without resampling."""
    return MEGABYTES * numbers * (12 + 6 * n_samples + 20 * n_components + EVENT_WEIGHTS * event_weights)


def lookup_megabytes(numbers: int, n_weights: int) -> float:
    """Return the memory for looking up quotas and weights of jets, or drawing them."""
    return MEGABYTES * numbers * (12 + 2 * n_weights)
