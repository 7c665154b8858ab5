"""Random numbers that depend on names, never on the order of jobs or the time.

A generator or a key is a function of the seed of the configuration, the purpose, and its object (a sample, a batch, a
jet), so a result is the same on any number of cores and after any rerun.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to `seed` and these names (purpose first)."""
    return np.random.default_rng(_sequence(seed, names))


def keys(seed: int, *names: str | int, of: list[np.ndarray]) -> np.ndarray:
    """Hash rows of integers, columns `of` (n,), to uniformly distributed 64-bit keys, uint64 (n,).

    Other seeds and names, which say what the keys are for, give independent keys.
    """
    start = _sequence(seed, names).generate_state(1, np.uint64)[0]
    key = np.full(len(of[0]), start)
    for column in of:
        # A signed -1 and an unsigned 2**64 - 1 share their bits; identities are never both.
        key = mix(key ^ column.astype(np.int64, copy=False).view(np.uint64))
    return key


def mix(values: np.ndarray) -> np.ndarray:
    """Scramble uint64 of any shape one to one, every output bit depending on every input bit.

    The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, doi 10.1145/2660193.2660195).
    """
    z = values + _GOLDEN
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def selection_key(key: np.ndarray) -> np.ndarray:
    """Return the key that decides whether a jet is selected, from the one that decides its position.

    They are independent; with one key for both, the selected jets would crowd into the first parts.
    """
    return mix(key ^ np.uint64(0xD6E8FEB86659FD93))


def uniform(key: np.ndarray) -> np.ndarray:
    """Turn 64-bit keys into floats that are uniform in [0, 1)."""
    return (key >> np.uint64(11)) * 2.0**-53


def _sequence(seed: int, names: Sequence[str | int]) -> np.random.SeedSequence:
    # With the number of names, since a SeedSequence ignores zeros at its end.
    return np.random.SeedSequence([seed, len(names), *map(_number, names)])


def _number(name: str | int) -> int:
    if isinstance(name, int):
        return name
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
