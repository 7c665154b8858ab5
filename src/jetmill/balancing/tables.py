"""The datasets of the files that hold bins (per group of batches) and balance (once).

| bins | shape | content |
|---|---|---|
| ``counts/<sample>`` | int64 (n_splits, n_classes, *bins) | jets of the batches |
| ``outside/<sample>`` | int64 (n_splits, n_classes) | jets outside the bins |
| ``sums/<sample>/<level>`` | int64 (n_classes, *bins) | event weights of training jets, as `ExactSums` |
| ``squares/<sample>/<level>`` | int64 (n_classes, *bins) | and their squares |

| balance.h5 | shape | content |
|---|---|---|
| ``counts/<sample>``, ``outside/<sample>`` | as in bins | jets there are |
| ``kept/<output>`` | int64 (n_classes, *bins) | jets that are written to an output, ``train`` or ``val_resampled`` |
| | int64 (n_classes,) | or one with a limit; (1,) for one without truth |
| ``limit/<output>`` | uint64 (1,) | only jets below this selection key are in the output; absent if all are |
| ``repeats/<output>/<sample>`` | int64 (n_classes, *bins) | how often each jet is taken; absent without resampling |
| ``threshold/<output>/<sample>`` | uint64 (n_classes, *bins) | and once more below this selection key |
| ``repeat_histogram/<output>`` | int64 (n_classes, times + 1) | how many jets are taken 0, 1, 2, ... times |
| ``target/<output>`` | float64 (*bins) | jets in the spectrum that resampling aims at, all classes together |
| ``weights/<name>`` | float64 (n_classes, *bins) | mean 1 over the written training jets, but for ``max_weight`` |
| ``limited/<name>`` | int64 (n_classes,) | jets whose weight ``max_weight`` has lowered; absent if none |
| ``sums/cleaned``, ``sums/train`` | float64 (n_classes, *bins) | event weights of training jets, and of those written |
| ``squares/cleaned``, ``squares/train`` | float64 (n_classes, *bins) | squares of what each jet adds to these |
| ``edges/<variable>`` | float64 (n_bins + 1,) | bin edges |

Sums and squares are there if there are event weights. Without ``balance.bins`` there are no axes, and ``*bins`` is
nothing. Attributes of balance.h5: ``classes``, ``variables`` of the bins and names of the ``weights``, in their order;
``warnings`` as JSON.
"""

from typing import Any

import h5py
import numpy as np

from jetmill.files import put
from jetmill.splitting import SPLITS, samples_of, split_of

COUNTS, OUTSIDE, SUMS, SQUARES = "counts", "outside", "sums", "squares"
KEPT, REPEATS, THRESHOLD, REPEAT_HISTOGRAM = "kept", "repeats", "threshold", "repeat_histogram"
WEIGHTS, LIMITED, TARGET, EDGES, LIMIT = "weights", "limited", "target", "edges", "limit"
WARNINGS = "warnings"


def write_table(file: h5py.File, name: str, table: np.ndarray) -> None:
    """Write a table, most of whose entries may be equal."""
    put(file, name, table, compression="gzip", compression_opts=1, shuffle=True)


def of_samples(file: h5py.File, group: str) -> dict[str, Any]:
    """Return sample (or level of a sum) to its table in a group of bins or balance."""
    # Not with `items`, which returns None for a damaged dataset.
    return {sample: file[f"{group}/{sample}"][()] for sample in file[group]}


def cleaned_jets(balance_file: h5py.File, output: str = "") -> np.ndarray:
    """Return the jets, inside the bins and outside, of the samples of an output, int64 (n_splits, n_classes)."""
    tables, outside = of_samples(balance_file, COUNTS), of_samples(balance_file, OUTSIDE)
    samples = samples_of(output, dict.fromkeys(tables, True))
    found = [tables[s].sum(axis=tuple(range(2, tables[s].ndim))) + outside[s] for s in samples]
    jets: np.ndarray = sum(found)
    return jets


def outside_jets(balance_file: h5py.File) -> np.ndarray:
    """Return the jets outside the bins of all samples, int64 (n_splits, n_classes)."""
    jets: np.ndarray = sum(of_samples(balance_file, OUTSIDE).values())
    return jets


def written_jets(balance_file: h5py.File, output: str) -> tuple[np.ndarray, int]:
    """Return the jets of a whole output, int64 (n_classes,), and how many of them are different ones.

    Of an output without truth it is the number of its jets, (1,).
    """
    if f"{KEPT}/{output}" in balance_file:
        table = balance_file[f"{KEPT}/{output}"][()]
        kept, times = table.reshape(len(table), -1).sum(axis=1), f"{REPEAT_HISTOGRAM}/{output}"
        return kept, int(balance_file[times][:, 1:].sum() if times in balance_file else kept.sum())
    kept = cleaned_jets(balance_file, output)[SPLITS.index(split_of(output))]
    return kept, int(kept.sum())
