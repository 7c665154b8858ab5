"""The datasets of the files that hold bins (per group of batches) and balance (once).

| bins | shape | content |
|---|---|---|
| ``counts/<sample>`` | int64 (n_splits, n_classes, *bins) | jets of the batches |
| ``outside/<sample>`` | int64 (n_splits, n_classes) | jets outside the bins |

| balance.h5 | shape | content |
|---|---|---|
| ``counts/<sample>``, ``outside/<sample>`` | as in bins | jets there are |
| ``kept/<output>`` | int64 (n_classes, *bins) | jets that are written to an output, ``train`` or ``val_resampled`` |
| ``copies/<output>/<sample>`` | int64 (n_classes, *bins) | how often each jet is taken; absent without resampling |
| ``threshold/<output>/<sample>`` | uint64 (n_classes, *bins) | and once more below this selection key |
| ``multiplicity/<output>`` | int64 (n_classes, times + 1) | how many jets are taken 0, 1, 2, ... times |
| ``target/<output>`` | float64 (*bins) | jets in the spectrum that resampling aims at, all classes together |
| ``weights/<name>`` | float64 (n_classes, *bins) | mean 1 over the written training jets |
| ``edges/<variable>`` | float64 (n_bins + 1,) | bin edges |

Attributes of balance.h5: ``classes``, ``variables`` of the bins and names of the ``weights``, in their order;
``warnings`` as JSON.
"""

import h5py
import numpy as np

from jetmill.files import put
from jetmill.splitting import SPLITS, split_of

COUNTS, OUTSIDE = "counts", "outside"
KEPT, COPIES, THRESHOLD, MULTIPLICITY = "kept", "copies", "threshold", "multiplicity"
WEIGHTS, TARGET, EDGES = "weights", "target", "edges"
WARNINGS = "warnings"


def write_table(file: h5py.File, name: str, table: np.ndarray) -> None:
    """Write a table, most of whose cells may be equal."""
    put(file, name, table, compression="gzip", compression_opts=1, shuffle=True)


def cleaned_jets(balance_file: h5py.File) -> np.ndarray:
    """Return the jets that there are of all samples, inside the bins and outside, int64 (n_splits, n_classes)."""
    inside = sum(table[()].sum(axis=tuple(range(2, table.ndim))) for table in balance_file[COUNTS].values())
    return inside + outside_jets(balance_file)


def outside_jets(balance_file: h5py.File) -> np.ndarray:
    """Return the jets outside the bins of all samples, int64 (n_splits, n_classes)."""
    return sum(table[()] for table in balance_file[OUTSIDE].values())


def written_jets(balance_file: h5py.File, output: str) -> tuple[np.ndarray, int]:
    """Return the jets of a whole output, int64 (n_classes,), and how many of them are different ones."""
    if f"{KEPT}/{output}" in balance_file:
        table = balance_file[f"{KEPT}/{output}"][()]
        kept = table.reshape(len(table), -1).sum(axis=1)
        times = balance_file.get(f"{MULTIPLICITY}/{output}")
        return kept, int(kept.sum() if times is None else times[:, 1:].sum())
    kept = cleaned_jets(balance_file)[SPLITS.index(split_of(output))]
    return kept, int(kept.sum())
