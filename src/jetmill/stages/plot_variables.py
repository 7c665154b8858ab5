"""Plots of the finished training jets, variable by variable."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from jetmill.layout import LABELS
from jetmill.loading import load
from jetmill.plotting import draw_variables, save

N_BLOCKS = 16


def plot_variables(train: str | Path, output: str | Path, *, variables: Sequence[str], n_jets: int) -> None:
    """Draw some variables per class, in their unit and scaled.

    Parameters
    ----------
    train
        The training file; with ``shuffle: batch`` its jets are in order of the batches, so they
        are read in blocks from all over it.
    n_jets
        Jets to use, at most.
    """
    with h5py.File(train, "r") as file:
        total = file[LABELS].shape[0]
    starts = np.linspace(0, total, N_BLOCKS + 1).astype(int)
    length = max(1, n_jets // N_BLOCKS)
    blocks = [load(train, slice(a, min(a + length, b))) for a, b in pairwise(starts)]
    names = list(blocks[0].variables)
    columns = {
        name: (
            np.concatenate([block.variable(name) for block in blocks]),
            np.concatenate([block.inputs[:, names.index(name)] for block in blocks]).astype(np.float64),
        )
        for name in variables
    }
    labels = np.concatenate([block.labels for block in blocks])
    figure = draw_variables(columns, labels, blocks[0].classes)
    save(figure, output)
