"""Everything global about balance, decided once from the counts of all batches."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jetmill.balancing.binning import Axis, axes_of, bins_between, shape, volumes
from jetmill.balancing.diagnostics import (
    applied_warnings,
    empty_bin_warnings,
    repeat_warnings,
    split_warnings,
    weight_warnings,
)
from jetmill.balancing.event_weights import ExactSums
from jetmill.balancing.given_weights import read_table
from jetmill.balancing.quotas import Component, component_of_bins, quotas
from jetmill.balancing.resampling import FLAT_PER_UNIT, target_spectrum
from jetmill.balancing.selection import PartSpec, SelectionTables, event_weights, read_bins
from jetmill.balancing.tables import (
    COUNTS,
    EDGES,
    KEPT,
    LIMIT,
    LIMITED,
    OUTSIDE,
    REPEAT_HISTOGRAM,
    REPEATS,
    SUMS,
    TARGET,
    THRESHOLD,
    WARNINGS,
    WEIGHTS,
    cleaned_jets,
    of_samples,
    outside_jets,
    write_table,
)
from jetmill.balancing.thresholds import repeat_histogram, selection_thresholds
from jetmill.balancing.weights import class_totals, limited, mean_one, weight_table
from jetmill.columns.batch_file import in_blocks
from jetmill.columns.batch_list import CleanedBatch
from jetmill.columns.schema import KEY, LABEL
from jetmill.errors import JetmillError
from jetmill.files import create_hdf5, open_intermediate_file, put
from jetmill.formats.files.names import Names
from jetmill.logs import warnings_kept
from jetmill.randomness import selection_key
from jetmill.settings.balance import Resampling
from jetmill.settings.stages import BalanceSettings
from jetmill.splitting import SPLITS, TEST, TEST_OF, TRAIN, VAL_RESAMPLED, split_of

# Jets whose keys are read at a time.
BLOCK_ROWS = 2**21

logger = logging.getLogger(__name__)


def balance(
    batches: Sequence[CleanedBatch],
    counted: Sequence[str | Path],
    output: str | Path,
    settings: BalanceSettings,
    *,
    applied: str | Path | None = None,
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
        with (
            warnings_kept() as warnings,
            open_intermediate_file(applied) as old,
            create_hdf5(output) as file,
        ):
            _write_counts(file, settings, counts, outside)
            put(file, f"{KEPT}/train", counts[:, TRAIN].sum(axis=0))
            given = {name: old[f"{WEIGHTS}/{name}"][()] for name in weights}
            for name, weight in given.items():
                put(file, f"{WEIGHTS}/{name}", weight)
            _choose_test_jets(file, batches, settings)
            _warn(applied_warnings(SPLITS, classes, counts.sum(axis=0), outside.sum(axis=0), given))
            file.attrs[WARNINGS] = json.dumps(warnings)
        logger.info("weights of %s", applied)
        return
    components = _components(resampling, samples, axes)
    of_bins = component_of_bins(components, samples)
    available = (counts[:, TRAIN] * (of_bins >= 0)[:, None]).sum(axis=0)
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
                _resample(file, name, batches, axes, counts, components, of_bins, settings)
        else:
            put(file, f"{KEPT}/train", available)
        kept = file[f"{KEPT}/train"][()]
        if weights or resampling.method != "none":
            _warn(empty_bin_warnings(classes, available))
        if settings.event_weights:
            sums = _add_up_weights(counted, kept.shape)
            write_table(file, f"{SUMS}/cleaned", sums)
            if resampling.resamples:
                sums = _weights_of_written(file, batches, settings.event_weights).reshape(kept.shape)
            write_table(file, f"{SUMS}/train", sums)
        weighed = (
            _positive(sums, kept, classes, weights, settings.strict) if settings.event_weights and weights else kept
        )
        for name, method in weights.items():
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
                logger.info(
                    "weights '%s': %s above %g, now %.4g on average", name, of_classes, settings.max_weight, mean
                )
            logger.info("weights '%s': %.3g to %.3g", name, weight[kept > 0].min(), weight.max())
            _warn(weight_warnings(name, classes, kept, weight))
        _warn(f"no training jets of class {name}; its weights are 0" for name in empty)
        _choose_test_jets(file, batches, settings)
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


def _add_up_weights(paths: Sequence[str | Path], table: tuple[int, ...]) -> np.ndarray:
    """Return the sums of the event weights of all training jets inside the bins, float64 (*table)."""
    sums = ExactSums(int(np.prod(table)))
    for path in paths:
        with open_intermediate_file(path) as file:
            for sample in file.get(SUMS, ()):
                for level, found in of_samples(file, f"{SUMS}/{sample}").items():
                    sums.add_sums(int(level), found.reshape(-1))
    return sums.result().reshape(table)


def _weights_of_written(file: h5py.File, batches: Sequence[CleanedBatch], names: Sequence[str]) -> np.ndarray:
    """Return the sums of the event weights of the training jets that are written, float64 (n_classes * n_bins,)."""
    sums = ExactSums(file[f"{KEPT}/train"].size)
    for listed in batches:
        tables = SelectionTables.read(file, "train", listed.sample)
        with listed.open() as batch:
            for rows in in_blocks(batch.rows(TRAIN), BLOCK_ROWS):
                found = tables.select(batch, rows)
                times = np.ones(len(found.key), dtype=np.int64) if found.times is None else found.times
                used = times > 0
                weight = event_weights(batch, names, rows, used)
                group = found.label * np.int64(tables.n_bins) + found.bin_index
                sums.add(group[used], weight, times[used])
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


def _components(resampling: Resampling, samples: Sequence[str], axes: Sequence[Axis]) -> list[Component]:
    """Return the components of the configuration, or the one of all samples and bins."""
    if not resampling.components:
        return [Component("all", range(len(samples)), bins_between(axes, {}))]
    return [
        Component(
            " ".join([*c.samples, *(f"{name} {low:g} to {high:g}" for name, (low, high) in c.bins.items())]),
            [samples.index(sample) for sample in c.samples],
            bins_between(axes, c.bins),
            c.fraction,
            c.max_jets,
            equal_samples=[[samples.index(name) for name in group] for group in c.equal_samples],
        )
        for c in resampling.components
    ]


def _choose_test_jets(file: h5py.File, batches: Sequence[CleanedBatch], settings: BalanceSettings) -> None:
    """Choose the test jets of outputs with a limit, and count those of samples without truth, which no table has."""
    without_truth = {TEST_OF + batch.sample for batch in batches if not batch.truth}
    for name in {**settings.limits, **dict.fromkeys(sorted(without_truth))}:
        of_output = PartSpec.from_batches(batches, name, (0, 1)).batches
        total = sum(batch.splits[TEST] for batch in of_output)
        n_classes, n = 1 if name in without_truth else len(settings.classes), settings.limits.get(name, total)
        if total > n:
            _limit(file, name, of_output, n, total, n_classes)
        elif name in without_truth:
            put(file, f"{KEPT}/{name}", np.array([total]))


def _limit(file: h5py.File, output: str, batches: Sequence[CleanedBatch], n: int, total: int, n_classes: int) -> None:
    """Choose `n` of the test jets of an output, those with the smallest selection keys."""

    def jets() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield class and selection key of the jets of each batch."""
        for listed in batches:
            with listed.open() as batch:
                for rows in in_blocks(batch.rows(TEST), BLOCK_ROWS):
                    yield np.minimum(batch.read(LABEL, rows), n_classes - 1), selection_key(batch.read(KEY, rows))

    def in_one_group() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return ((np.zeros(len(key), dtype=np.int64), key) for _, key in jets())

    limit = selection_thresholds(in_one_group, np.array([n]), np.array([total]))
    put(file, f"{LIMIT}/{output}", limit)
    kept = np.zeros(n_classes, dtype=np.int64)
    for label, key in jets():
        kept += np.bincount(label[key < limit], minlength=n_classes)
    put(file, f"{KEPT}/{output}", kept)
    logger.info("%12d jets in %s, of %d", n, output, total)


def _resample(
    file: h5py.File,
    output: str,
    batches: Sequence[CleanedBatch],
    axes: Sequence[Axis],
    counts: np.ndarray,
    components: Sequence[Component],
    of_bins: np.ndarray,
    settings: BalanceSettings,
) -> None:
    """Decide how often each jet of an output is taken, and write the tables that say so."""
    resampling, classes, samples = settings.resampling, settings.classes, settings.samples
    split = SPLITS.index(split_of(output))
    there = counts[:, split]
    target: int | str | np.ndarray | None = resampling.target
    if resampling.target in classes:
        target = classes.index(resampling.target)
    elif target == FLAT_PER_UNIT:
        target = volumes(axes)
    wanted = resampling.num_jets if output == "train" else resampling.num_jets_validation
    components = [_sized(component, resampling, n, output, classes) for n, component in enumerate(components)]
    for component in components:
        for equal in (sample for group in component.equal_samples for sample in group):
            if not (there[equal] * component.bins).any():
                raise JetmillError(
                    f"balance.resampling, {output}: sample '{samples[equal]}' has no jets in component"
                    f" '{component.name}', so that none are left with equal_samples"
                )
    try:
        quota = quotas(
            there,
            components,
            method=resampling.method,
            classes=classes,
            target=target,
            shares=[resampling.shares.get(name, 1.0) for name in classes],
            max_upsampling=resampling.max_upsampling,
            max_repeats=resampling.max_repeats,
            num_jets=wanted if isinstance(wanted, int) else None,
        )
    except JetmillError as error:
        key = "num_jets" if output == "train" else "num_jets_validation"
        lower = f". Lower balance.resampling.{key}, or write auto for as many as possible"
        advice = lower if isinstance(wanted, int) else ""
        raise JetmillError(f"balance.resampling, {output}: {error}{advice}") from None
    available = [component.available(there).sum(axis=0) for component in components]
    in_component, pools = quota, components
    if any(component.equal_samples for component in components):
        pools, quota = _by_sample(components, quota, there)
        of_bins = component_of_bins(pools, samples)
    total = np.stack([there[list(c.samples)].sum(axis=0) * c.bins for c in pools])
    repeats, more = np.divmod(quota, np.maximum(total, 1))
    n_bins = int(np.prod(total.shape[2:]))

    def groups() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield group (component, class, bin) and selection key of the jets of each batch."""
        for listed in batches:
            with listed.open() as batch:
                for rows in in_blocks(batch.rows(split), BLOCK_ROWS):
                    label, bin_index, key = batch.read(LABEL, rows), read_bins(batch, axes, rows), batch.read(KEY, rows)
                    component = of_bins[samples.index(listed.sample)].reshape(-1)[bin_index]
                    group = (component * len(classes) + label) * n_bins + bin_index
                    used = (component >= 0) & (bin_index >= 0)
                    yield group[used], selection_key(key[used])

    threshold = selection_thresholds(groups, more.reshape(-1), total.reshape(-1)).reshape(total.shape)
    for sample, component in zip(samples, of_bins, strict=True):
        for name, table in ((REPEATS, repeats), (THRESHOLD, threshold)):
            found = np.take_along_axis(table, np.maximum(component, 0)[None, None], axis=0)[0]
            write_table(file, f"{name}/{output}/{sample}", np.where(component >= 0, found, 0))
    kept, times = quota.sum(axis=0), repeat_histogram(quota.swapaxes(0, 1), total.swapaxes(0, 1))
    put(file, f"{KEPT}/{output}", kept)
    put(file, f"{REPEAT_HISTOGRAM}/{output}", times)
    if target is not None:
        spectra = [target_spectrum(n, target) * c.bins for n, c in zip(available, components, strict=True)]
        put(
            file,
            f"{TARGET}/{output}",
            sum(s / s.sum() * q.sum() for s, q in zip(spectra, in_component, strict=True) if s.any()),
        )
    _warn(repeat_warnings(output, classes, times))
    unique = times[:, 1:].sum()
    logger.info("%12d jets in %s, %d unique ones of %d", kept.sum(), output, unique, there.sum())
    for component, taken, n in zip(components, in_component, available, strict=True):
        if n.any() and not taken.any():
            logger.warning("no jet of component '%s' is taken", component.name)


def _sized(component: Component, resampling: Resampling, number: int, output: str, classes: Sequence[str]) -> Component:
    """Return a component with the number of its jets in an output, if the configuration gives it."""
    given: Any = resampling.components[number] if resampling.components else resampling
    wanted = given.num_jets if output == "train" else given.num_jets_validation
    if isinstance(wanted, Mapping):
        return replace(component, num_jets=[wanted.get(name, 0) for name in classes])
    return replace(component, num_jets=wanted) if resampling.components else component


def _by_sample(
    components: Sequence[Component], quota: np.ndarray, counts: np.ndarray
) -> tuple[list[Component], np.ndarray]:
    """Divide components of equal samples into one for each sample; return them and their quotas."""
    pools: list[Component] = []
    quotas_of: list[np.ndarray] = []
    for component, of_component in zip(components, quota, strict=True):
        if component.equal_samples:
            pools += [replace(component, samples=[sample]) for sample in component.samples]
            quotas_of += list(component.by_sample(of_component, counts))
        else:
            pools.append(component)
            quotas_of.append(of_component)
    return pools, np.stack(quotas_of)
