"""How many jets of some batches are in each bin of the balancing histogram."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jetmill.balancing.binning import Axis, axes_of, refuse_outside, shape
from jetmill.balancing.event_weights import ExactSums
from jetmill.balancing.selection import event_weights, read_bins
from jetmill.balancing.tables import COUNTS, OUTSIDE, SQUARES, SUMS, write_table
from jetmill.columns.batch_file import Batch, in_blocks
from jetmill.columns.batch_list import CleanedBatch
from jetmill.columns.schema import LABEL, variable
from jetmill.errors import JetmillError
from jetmill.files import create_hdf5, put
from jetmill.settings.stages import BinSettings
from jetmill.splitting import SPLITS, TRAIN

logger = logging.getLogger(__name__)


def bin_jets(
    batches: Sequence[CleanedBatch], output: str | Path, settings: BinSettings, *, block_rows: int = 2**21
) -> None:
    """Count the jets of each sample, `block_rows` at a time, and write the counts, see `jetmill.balancing.tables`.

    Raises
    ------
    JetmillError
        If a training jet is outside the bins and that is an error, or has no event weight.
    """
    axes, n_classes = axes_of(settings.bins), settings.n_classes
    n_bins, n_groups = int(np.prod(shape(axes))), len(SPLITS) * n_classes
    counts: dict[str, np.ndarray] = {}
    lost: dict[str, np.ndarray] = {}
    sums: dict[str, dict[str, ExactSums]] = {SUMS: {}, SQUARES: {}}
    for listed in batches:
        sample = listed.sample
        table = counts.setdefault(sample, np.zeros(n_groups * n_bins, dtype=np.int64))
        table_outside = lost.setdefault(sample, np.zeros(n_groups, dtype=np.int64))
        weights = sums[SUMS].setdefault(sample, ExactSums(n_classes * n_bins))
        squares = sums[SQUARES].setdefault(sample, ExactSums.of_squares(n_classes * n_bins))
        if not listed.truth:
            continue
        used, n_inside = np.zeros(n_bins, dtype=bool), 0
        with listed.open() as batch:
            split = batch.split_codes()
            for rows in in_blocks([slice(0, len(split))], block_rows):
                bin_index, of_rows = read_bins(batch, axes, rows), split[rows]
                group = of_rows * np.int64(n_classes) + batch.read(LABEL, rows)
                inside = bin_index >= 0
                if settings.outside == "error" and not inside[of_rows == TRAIN].all():
                    _refuse(batch, axes)
                table += np.bincount(group[inside] * n_bins + bin_index[inside], minlength=len(table))
                table_outside += np.bincount(group[~inside], minlength=n_groups)
                used[bin_index[inside]] = True
                n_inside += int(inside.sum())
                if settings.event_weights:
                    # Training is the first split, so that a group of it is a class.
                    of_train = inside & (of_rows == TRAIN)
                    weight = event_weights(batch, settings.event_weights, rows, of_train)
                    place = group[of_train] * n_bins + bin_index[of_train]
                    weights.add(place, weight)
                    squares.add(place, weight.astype(np.float64) ** 2)
        logger.info("%12d jets in %d of %d bins  %s", n_inside, used.sum(), n_bins, listed.path)
    with create_hdf5(output) as file:
        for sample, found in counts.items():
            write_table(file, f"{COUNTS}/{sample}", found.reshape(len(SPLITS), n_classes, *shape(axes)))
            put(file, f"{OUTSIDE}/{sample}", lost[sample].reshape(len(SPLITS), n_classes))
        for kind, of_samples in sums.items():
            for sample, of_sample in of_samples.items():
                for level, table in of_sample.levels.items():
                    write_table(file, f"{kind}/{sample}/{level}", table.reshape(n_classes, *shape(axes)))


def _refuse(batch: Batch, axes: Sequence[Axis]) -> None:
    """Say which training jets are outside the bins."""
    try:
        columns = [[batch.read(variable(axis.variable), rows) for rows in batch.rows(TRAIN)] for axis in axes]
        refuse_outside([np.concatenate(of_groups) for of_groups in columns], axes)
    except JetmillError as error:
        raise JetmillError(f"{batch.path}: {error}") from None
