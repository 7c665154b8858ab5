"""Random numbers that belong to constituents, whatever the order and the chunk they come in."""

import numpy as np

from jetmill.randomness import keys, uniform
from jetmill.systematics.variation import Random


def random_numbers(seed: int, variation: str, sample: str, of: list[np.ndarray]) -> Random:
    """Return the function that `vary` draws random numbers with.

    Parameters
    ----------
    seed, variation, sample
        What the numbers are for, as is the purpose that the function takes; other ones give independent numbers.
    of
        Integer columns (n_values,) that together identify a constituent: file, entry, position of the jet, and the
        slot of the constituent in the file (before any selection).
    """
    draw = {"uniform": uniform_numbers, "normal": normal_numbers}
    return lambda distribution, purpose: draw[distribution](seed, variation, sample, purpose, of=of)


def uniform_numbers(seed: int, *names: str, of: list[np.ndarray]) -> np.ndarray:
    """Return numbers that are uniform in [0, 1), float64 (n_values,), see `random_numbers`."""
    return uniform(keys(seed, "variation", *names, of=of))


def normal_numbers(seed: int, *names: str, of: list[np.ndarray]) -> np.ndarray:
    """Return numbers of N(0, 1), float64 (n_values,), see `random_numbers`."""
    return box_muller(*(uniform_numbers(seed, *names, part, of=of) for part in ("radius", "angle")))


def box_muller(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Turn two independent uniform numbers in [0, 1) into one of N(0, 1), of any shape.

    Box and Muller, Ann. Math. Statist. 29 (1958) 610, doi 10.1214/aoms/1177706645. Numbers with 53 bits
    reach 8.5 standard deviations.
    """
    normal: np.ndarray = np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)
    return normal
