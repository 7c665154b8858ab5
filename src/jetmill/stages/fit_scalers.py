"""Statistics of a range of variables, from the training jets of all batches."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np

from jetmill.balancing.selection import training_blocks
from jetmill.columns.batch_list import CleanedBatch
from jetmill.columns.schema import Column, Kind, constituent, variable
from jetmill.files import open_intermediate_file
from jetmill.scaling.methods import METHODS
from jetmill.scaling.moments import Accumulator, Statistics, write_statistics
from jetmill.settings.scaling import TARGETS
from jetmill.settings.stages import FitSettings

# So many fewer jets are read at a time where each has many constituents.
CONSTITUENTS_OF_A_JET = 2**5
# Variables that are processed together: quartiles take up to 4 MB for each.
TOGETHER = 64

logger = logging.getLogger(__name__)


def fit_scalers(
    batches: Sequence[CleanedBatch],
    output: str | Path,
    settings: FitSettings,
    *,
    balance_path: str | Path | None = None,
    block_rows: int = 2**18,
) -> None:
    """Write the statistics of some variables of the training jets (`write_statistics`), in constant memory.

    With `balance_path`, every jet counts as often as it is written; without, once. About `block_rows` values of a
    variable are read at a time.
    """
    of, variables, rules = settings.of, settings.variables, settings.rules
    needs_quartiles = METHODS[rules.method].quartiles
    found: dict[str, Statistics] = {}
    with nullcontext() if balance_path is None else open_intermediate_file(balance_path) as balance_file:
        for start in range(0, len(variables), TOGETHER):
            together = {
                name: Accumulator(log=name in rules.log, quartiles=needs_quartiles and rules.is_scaled(name))
                for name in variables[start : start + TOGETHER]
            }
            for name, values, times in _blocks(batches, settings, list(together), balance_file, block_rows):
                together[name].add(values, times)
            again = [name for name, statistics in together.items() if statistics.look_closer()]
            for name, values, times in _blocks(batches, settings, again, balance_file, block_rows):
                together[name].add_again(values, times)
            found |= {name: statistics.result() for name, statistics in together.items()}
    for name, statistics in found.items():
        logger.info("%12d values  %s", statistics.moments.count, name)
    write_statistics({of: found}, output)


def _blocks(
    batches: Sequence[CleanedBatch],
    settings: FitSettings,
    variables: Sequence[str],
    balance_file: h5py.File | None,
    block_rows: int,
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Yield values of each variable of the training jets, block by block, and how often each counts (None: once)."""
    of = settings.of
    collection, n_jets = None, block_rows
    if of == settings.jets_name:
        columns = {variable(name): name for name in variables}
    elif of == TARGETS:
        columns = {Column(Kind.ADDITIONAL_LABEL, name): name for name in variables}
    else:
        columns = {constituent(of, name): name for name in variables}
        collection, n_jets = of, max(1, block_rows // CONSTITUENTS_OF_A_JET)
    for column, values, times in training_blocks(batches, balance_file, collection, list(columns), n_jets):
        # Targets are written as float32, whatever their type.
        yield columns[column], values.astype(np.float32) if of == TARGETS else values, times
