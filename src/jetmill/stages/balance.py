"""Everything global about balance, decided once from the counts of all batches."""

import logging
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

import h5py
import numpy as np

from jetmill.balancing import QUOTAS, class_totals, mean_one, share_quota, weight_table
from jetmill.errors import JetmillError
from jetmill.files import complete
from jetmill.randomness import generator
from jetmill.splitting import SPLITS, TRAIN
from jetmill.stages.bin_jets import COUNTS, axes_of

KEPT, WEIGHTS, QUOTA, EDGES = "kept", "weights", "quota", "edges"

logger = logging.getLogger(__name__)


def balance(
    bin_files: Mapping[str, str | Path],
    output: str | Path,
    *,
    bins: Mapping[str, Sequence[tuple[float, float, int]]],
    classes: Sequence[str],
    weights: Mapping[str, Mapping[str, str]],
    resampling: str,
    strict: bool,
    seed: int,
) -> None:
    """Write ``balance.h5``.

    | dataset | shape | content |
    |---|---|---|
    | ``counts`` | (n_splits, n_classes, *bins) | jets there are |
    | ``kept`` | (n_classes, *bins) | training jets that are written |
    | ``weights/<name>`` | (n_classes, *bins) | weight tables, mean 1 over the written training jets |
    | ``quota/<batch>`` | (n_classes, *bins) | training jets to take from a batch; absent without resampling |
    | ``edges/<variable>`` | (n_bins + 1,) | bin edges |

    Attributes: ``classes``, ``variables`` of the bins and names of the ``weights``, in their order.

    Parameters
    ----------
    bin_files
        Name of each batch to its file of `bin_jets`, in the order of the plan.
    weights
        Name of each table to the arguments of `weight_table`: method, and reference as a class.

    Raises
    ------
    JetmillError
        If a class has no training jets, and `strict`; or if no training jet is left at all.
    """
    axes = axes_of(bins)
    counts = reduce(np.add, (_counts(path) for path in bin_files.values()))
    available = counts[TRAIN]
    by_class = class_totals(available)
    empty = [name for name, n in zip(classes, by_class, strict=True) if n == 0]
    if empty and strict:
        found = ", ".join(f"{name} {n}" for name, n in zip(classes, by_class, strict=True))
        raise JetmillError(
            f"no training jets of class {', '.join(empty)} (found: {found})."
            " Look at its expression under classes, or set strict: false to go on without"
        )
    for name, method in weights.items():
        if method.get("reference") in empty:
            raise JetmillError(
                f"weights '{name}' match all classes to '{method['reference']}', which has no training jets"
            )
    kept = QUOTAS[resampling](available)
    if not kept.any():
        raise JetmillError(f"no training jet is left: {available.sum()} before resampling by '{resampling}', 0 after")
    with complete(output) as partial, h5py.File(partial, "w") as file:
        file.attrs.update({"classes": list(classes), "variables": list(bins), "weights": list(weights)})
        file[COUNTS], file[KEPT] = counts, kept
        for axis in axes:
            file[f"{EDGES}/{axis.variable}"] = axis.edges
        for name, method in weights.items():
            reference = classes.index(method["reference"]) if "reference" in method else None
            table = mean_one(weight_table(kept, method["method"], reference), kept)
            file[f"{WEIGHTS}/{name}"] = table
            logger.info("weights '%s': %.3g to %.3g", name, table[kept > 0].min(), table.max())
        if not np.array_equal(kept, available):
            rng = generator(seed, "quota")
            each = (_counts(path)[TRAIN] for path in bin_files.values())
            for name, quota in zip(bin_files, share_quota(kept, each, available, rng), strict=True):
                file.create_dataset(f"{QUOTA}/{name}", data=quota, compression="gzip", compression_opts=1, shuffle=True)
    for name in empty:
        logger.warning("no training jets of class %s; its weights are 0", name)
    for split, table in zip(SPLITS, counts, strict=True):
        logger.info("%12d jets in %s", table.sum(), split)
    for name, n, n_kept in zip(classes, by_class, class_totals(kept), strict=True):
        logger.info("%12d jets of class %s in training, %d written", n, name, n_kept)


def _counts(path: str | Path) -> np.ndarray:
    with h5py.File(path, "r") as file:
        return file[COUNTS][()]
