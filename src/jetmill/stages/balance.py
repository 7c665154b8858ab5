"""Everything global about balance, decided once from the counts of all batches."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from jetmill.balancing.binning import axes_of, shape, volumes
from jetmill.balancing.choice import choose_test_jets, components_of, resample, weights_of_written
from jetmill.balancing.diagnostics import applied_warnings, empty_bin_warnings, split_warnings, weight_warnings
from jetmill.balancing.event_weights import ExactSums
from jetmill.balancing.given_weights import read_table
from jetmill.balancing.quotas import component_of_bins
from jetmill.balancing.resampling import FLAT_PER_UNIT
from jetmill.balancing.tables import (
    COUNTS,
    EDGES,
    KEPT,
    LIMITED,
    OUTSIDE,
    SQUARES,
    SUMS,
    WARNINGS,
    WEIGHTS,
    cleaned_jets,
    of_samples,
    outside_jets,
    write_table,
)
from jetmill.balancing.weights import class_totals, limited, mean_one, weight_table
from jetmill.columns.batch_list import CleanedBatch
from jetmill.errors import JetmillError
from jetmill.files import create_hdf5, open_intermediate_file, put
from jetmill.formats.files.names import Names
from jetmill.logs import warnings_kept
from jetmill.settings.stages import BalanceSettings
from jetmill.splitting import SPLITS, TRAIN, VAL_RESAMPLED

logger = logging.getLogger(__name__)


def balance(
    batches: Sequence[CleanedBatch],
    counted: Sequence[str | Path],
    output: str | Path,
    settings: BalanceSettings,
    *,
    applied: str | Path | None = None,
    block_rows: int = 2**21,
) -> None:
    """Write ``balance.h5``, see `jetmill.balancing.tables`.

    Parameters
    ----------
    batches
        They are read for resampling only.
    counted
        Files of `jetmill.stages.bin_jets`.
    applied
        ``balance.h5`` of a finished run, whose weight tables are taken instead of made.
    block_rows
        Jets whose keys are read at a time.

    Raises
    ------
    JetmillError
        If no training jets are left; if a class has none, and `strict`; if more jets are requested than possible.
    """
    axes, resampling, weights = axes_of(settings.bins), settings.resampling, settings.weights
    classes, samples = settings.classes, settings.samples
    counts = _add_up(counted, samples, COUNTS, (len(SPLITS), len(classes), *shape(axes)))
    outside = _add_up(counted, samples, OUTSIDE, (len(SPLITS), len(classes)))
    if applied is not None:
        with warnings_kept() as warnings, open_intermediate_file(applied) as old, create_hdf5(output) as file:
            _write_counts(file, settings, counts, outside)
            put(file, f"{KEPT}/train", counts[:, TRAIN].sum(axis=0))
            given = {name: old[f"{WEIGHTS}/{name}"][()] for name in weights}
            for name, weight in given.items():
                put(file, f"{WEIGHTS}/{name}", weight)
            choose_test_jets(file, batches, settings, block_rows)
            _warn(applied_warnings(SPLITS, classes, counts.sum(axis=0), outside.sum(axis=0), given))
            file.attrs[WARNINGS] = json.dumps(warnings)
        logger.info("weights of %s", applied)
        return
    components = components_of(resampling, samples, axes)
    in_a_component = component_of_bins(components, samples) >= 0
    available = (counts[:, TRAIN] * in_a_component[:, None]).sum(axis=0)
    empty = _check_classes(classes, available, outside[:, TRAIN].sum(), settings.strict)
    for name, method in weights.items():
        if method.get("reference") in empty:
            raise JetmillError(
                f"weights '{name}' match all classes to '{method['reference']}', which has no training jets"
            )
    with warnings_kept() as warnings, create_hdf5(output) as file:
        _write_counts(file, settings, counts, outside)
        cleaned, lost = cleaned_jets(file), outside_jets(file)
        if resampling.resamples:
            for name in ("train", VAL_RESAMPLED) if resampling.validation else ("train",):
                resample(file, name, batches, counts, components, settings, block_rows)
        else:
            put(file, f"{KEPT}/train", available)
        kept = file[f"{KEPT}/train"][()]
        if weights or resampling.method != "none":
            _warn(empty_bin_warnings(classes, available))
        if settings.event_weights:
            added = {
                SUMS: _add_up_weights(counted, SUMS, ExactSums(kept.size)),
                SQUARES: _add_up_weights(counted, SQUARES, ExactSums.of_squares(kept.size)),
            }
            for kind, table in added.items():
                write_table(file, f"{kind}/cleaned", table.reshape(kept.shape))
            if resampling.resamples:
                added = weights_of_written(file, batches, settings.event_weights, block_rows)
            for kind, table in added.items():
                write_table(file, f"{kind}/train", table.reshape(kept.shape))
            sums = added[SUMS].reshape(kept.shape)
        weighed = (
            _positive(sums, kept, classes, weights, settings.strict) if settings.event_weights and weights else kept
        )
        _write_weights(file, settings, kept, weighed)
        _warn(f"no training jets of class {name}; its weights are 0" for name in empty)
        choose_test_jets(file, batches, settings, block_rows)
        _warn(split_warnings(SPLITS, classes, cleaned))
        file.attrs[WARNINGS] = json.dumps([*map(Names(settings.jets_name).say, warnings)])
    for split, n, n_lost in zip(SPLITS, cleaned.sum(axis=1), lost.sum(axis=1), strict=True):
        what = "dropped" if split == "train" else "with weight 0 and bin -1"
        logger.info("%12d jets in %s%s", n, split, f", {n_lost} of them outside the bins, {what}" if n_lost else "")
    for name, n, n_kept in zip(classes, class_totals(available), class_totals(kept), strict=True):
        logger.info("%12d jets of class %s in training, %d written", n, name, n_kept)


def _write_counts(file: h5py.File, settings: BalanceSettings, counts: np.ndarray, outside: np.ndarray) -> None:
    names = {"classes": settings.classes, "variables": settings.bins, "weights": settings.weights}
    file.attrs.update({key: list(value) for key, value in names.items()})
    for axis in axes_of(settings.bins):
        put(file, f"{EDGES}/{axis.variable}", axis.edges)
    for sample, table, lost in zip(settings.samples, counts, outside, strict=True):
        write_table(file, f"{COUNTS}/{sample}", table)
        put(file, f"{OUTSIDE}/{sample}", lost)


def _write_weights(file: h5py.File, settings: BalanceSettings, kept: np.ndarray, weighed: np.ndarray) -> None:
    """Write the weight tables, given the written training jets and their sums of event weights (or they again)."""
    classes, axes = settings.classes, axes_of(settings.bins)
    for name, method in settings.weights.items():
        if "table" in method:
            weight = read_table(method["table"], classes, axes)
        else:
            spectrum: int | np.ndarray | None = None
            if "reference" in method:
                spectrum = classes.index(method["reference"])
            elif method["method"] == FLAT_PER_UNIT:
                spectrum = volumes(axes)
            weight = mean_one(weight_table(weighed, method["method"], spectrum), weighed, kept.sum())
        weight, cut = limited(weight, kept, settings.max_weight)
        put(file, f"{WEIGHTS}/{name}", weight)
        if cut.any():
            put(file, f"{LIMITED}/{name}", cut)
            of_classes = ", ".join(f"{n} {of}" for of, n in zip(classes, cut, strict=True) if n)
            mean = (weight * weighed).sum() / kept.sum()
            logger.info("weights '%s': %s above %g, now %.4g on average", name, of_classes, settings.max_weight, mean)
        logger.info("weights '%s': %.3g to %.3g", name, weight[kept > 0].min(), weight.max())
        _warn(weight_warnings(name, classes, kept, weight))


def _warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        logger.warning("%s", sentence)


def _add_up(paths: Sequence[str | Path], samples: Sequence[str], group: str, table: tuple[int, ...]) -> np.ndarray:
    """Return the sum of a table of bins, ``counts`` or ``outside``, over all batches, int64 (n_samples, *table)."""
    counts = np.zeros((len(samples), *table), dtype=np.int64)
    for path in paths:
        with open_intermediate_file(path) as file:
            for sample, found in of_samples(file, group).items():
                counts[samples.index(sample)] += found
    return counts


def _add_up_weights(paths: Sequence[str | Path], kind: str, sums: ExactSums) -> np.ndarray:
    """Return the sums of one kind of all training jets inside the bins, float64 (n_classes * n_bins,)."""
    for path in paths:
        with open_intermediate_file(path) as file:
            for sample in file.get(kind, ()):
                for level, found in of_samples(file, f"{kind}/{sample}").items():
                    sums.add_sums(int(level), found.reshape(-1))
    return sums.result()


def _positive(
    sums: np.ndarray, kept: np.ndarray, classes: Sequence[str], weights: Mapping[str, Mapping[str, str]], strict: bool
) -> np.ndarray:
    """Return the sums of event weights with 0 for those that are not positive, and warn of these.

    Raises
    ------
    JetmillError
        If none of a class is positive, and `strict` or it is a reference or the only class.
    """
    positive = np.where(sums > 0, sums, 0)
    lost = (class_totals(kept) > 0) & (class_totals(positive) == 0)
    without = [name for name, of_class in zip(classes, lost, strict=True) if of_class]
    wanted = {method.get("reference") for method in weights.values()}
    if without and (strict or not positive.any() or wanted.intersection(without)):
        raise JetmillError(
            f"balance.event_weights: the event weights of class {', '.join(without)} have a positive sum in no bin,"
            " so no factor can balance it. Check the columns, or take wider bins"
        )
    for name, n, bad in zip(classes, kept, (kept > 0) & ~(sums > 0), strict=True):
        if bad.any():
            logger.warning(
                "balance.event_weights: the event weights of class %s have no positive sum in %d of its bins, with %d"
                " of its %d jets, whose weight is 0; take wider bins",
                *(name, bad.sum(), n[bad].sum(), n.sum()),
            )
    return positive


def _check_classes(classes: Sequence[str], available: np.ndarray, n_outside: int, strict: bool) -> list[str]:
    """Return the classes without training jets, or refuse them."""
    by_class = class_totals(available)
    if not by_class.any():
        why = f": all {n_outside} are outside balance.bins" if n_outside else " after the cuts"
        raise JetmillError(f"no training jets are left{why}")
    empty = [name for name, n in zip(classes, by_class, strict=True) if n == 0]
    if empty and strict:
        found = ", ".join(f"{name} {n}" for name, n in zip(classes, by_class, strict=True))
        raise JetmillError(
            f"no training jets of class {', '.join(empty)} (found: {found})."
            " Check its expression under classes, or set strict: false to continue without it"
        )
    return empty
