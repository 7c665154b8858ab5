"""Plots of the finished training jets, variable by variable."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from jetmill.files import open_intermediate_file
from jetmill.formats.files.layout import LABELS
from jetmill.loading.jets import Jets, load
from jetmill.report.figures import draw_variables, save

N_BLOCKS = 16


def plot_variables(
    train: str | Path, output: str | Path, *, of: str, variables: Sequence[str], n_jets: int, weighted: bool = False
) -> None:
    """Draw some variables per class, in their unit and scaled.

    Parameters
    ----------
    train
        The training file, read in blocks from all over it, since with ``shuffle: batch`` it is in order of the batches.
    of
        ``jets`` or a collection of constituents.
    n_jets
        Largest number of jets to use.
    weighted
        Whether jets count by their weight.
    """
    with open_intermediate_file(train) as file:
        total = file[LABELS].shape[0]
    starts = np.linspace(0, total, N_BLOCKS + 1).astype(int)
    length = max(1, n_jets // N_BLOCKS)
    blocks = [load(train, slice(a, min(a + length, b))) for a, b in pairwise(starts)]
    columns = {name: _values(blocks, of, name) for name in variables}
    labels, weights = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("labels", "weight"))
    if of != "jets":
        counts = np.concatenate([block.constituents[of].valid.sum(axis=1) for block in blocks])
        labels, weights = np.repeat(labels, counts), np.repeat(weights, counts)
    save(draw_variables(columns, labels, blocks[0].classes, weights if weighted else None), output)


def _values(blocks: Sequence[Jets], of: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a variable of all jets, or of all constituents, in its unit and scaled."""
    found = []
    for block in blocks:
        if of == "jets":
            found.append((block.variable(name), block.inputs[:, block.variables.index(name)]))
        else:
            c = block.constituents[of]
            found.append((c.variable(name)[c.valid], c.inputs[..., c.variables.index(name)][c.valid]))
    values, scaled = zip(*found, strict=True)
    return np.concatenate(values), np.concatenate(scaled).astype(np.float64)
