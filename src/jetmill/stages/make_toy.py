"""Files of toy jets, for the embedded default and for tests."""

from pathlib import Path

from jetmill.files import atomic_write
from jetmill.randomness import generator
from jetmill.sources.registry import INPUT_FORMATS


def write_toy_file(
    path: str | Path, input_format: str, *, process: str, n_jets: int, seed: int, sample: str, number: int
) -> None:
    """Write one file of about `n_jets` toy jets.

    The content depends on `seed`, `sample` and `number`, the position of the file in the sample.
    """
    rng = generator(seed, "toy", sample, number)
    with atomic_write(path) as partial:
        INPUT_FORMATS[input_format].write_toys(partial, process, n_jets, rng, number)
