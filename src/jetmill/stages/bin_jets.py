"""The cell of each jet of a batch in the balancing histogram, and its rank there."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from jetmill.binning import Axis, cell_index, rank_in_group, shape
from jetmill.columns import LABEL, VARIABLES, Batch
from jetmill.errors import JetmillError
from jetmill.files import complete
from jetmill.randomness import generator
from jetmill.splitting import SPLITS

CELL, RANK, COUNTS = "cell", "rank", "counts"

logger = logging.getLogger(__name__)


def axes_of(bins: Mapping[str, Sequence[tuple[float, float, int]]]) -> list[Axis]:
    """Return the axes of the histogram from ``balance.bins``."""
    return [Axis.from_segments(variable, segments) for variable, segments in bins.items()]


def bin_jets(
    batch_path: str | Path,
    output: str | Path,
    *,
    bins: Mapping[str, Sequence[tuple[float, float, int]]],
    n_classes: int,
    seed: int,
    sample: str,
    number: str,
) -> None:
    """Write ``cell`` and ``rank`` (both uint32 (n_jets,)) and ``counts`` int64 (n_splits, n_classes, *bins).

    The rank of a jet is its place in a random order of the jets of its split, class and cell. It
    is independent of the key that decides the jet's part, or resampling would empty the last parts.

    Raises
    ------
    JetmillError
        If a jet is outside the bins.
    """
    axes = axes_of(bins)
    n_cells = int(np.prod(shape(axes)))
    with Batch(batch_path) as batch:
        try:
            cell = cell_index([batch.read(f"{VARIABLES}/{axis.variable}") for axis in axes], axes)
        except JetmillError as error:
            raise JetmillError(f"sample '{sample}', batch {number}: {error}") from None
        group = batch.split_codes() * np.int64(n_classes) + batch.read(LABEL)
        group = group * n_cells + cell
    counts = np.bincount(group, minlength=len(SPLITS) * n_classes * n_cells)
    rank = rank_in_group(group, generator(seed, "rank", sample, number))
    with complete(output) as partial, h5py.File(partial, "w") as file:
        file[CELL] = cell
        file[RANK] = rank
        table = counts.reshape(len(SPLITS), n_classes, *shape(axes))
        file.create_dataset(COUNTS, data=table, compression="gzip", compression_opts=1, shuffle=True)
    logger.info("%12d jets in %d of %d cells", len(cell), table.any(axis=(0, 1)).sum(), n_cells)
