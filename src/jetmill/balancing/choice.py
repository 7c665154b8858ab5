"""Which jets of each output are written, and how often: the tables of ``balance.h5`` that say so."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import h5py
import numpy as np

from jetmill.balancing.binning import Axis, axes_of, bins_between, volumes
from jetmill.balancing.diagnostics import repeat_warnings
from jetmill.balancing.event_weights import ExactSums
from jetmill.balancing.quotas import Component, component_of_bins, quotas
from jetmill.balancing.resampling import FLAT_PER_UNIT, target_spectrum
from jetmill.balancing.selection import PartSpec, SelectionTables, event_weights, read_bins
from jetmill.balancing.tables import (
    KEPT,
    LIMIT,
    REPEAT_HISTOGRAM,
    REPEATS,
    SQUARES,
    SUMS,
    TARGET,
    THRESHOLD,
    write_table,
)
from jetmill.balancing.thresholds import repeat_histogram, selection_thresholds
from jetmill.columns.batch_file import in_blocks
from jetmill.columns.batch_list import CleanedBatch
from jetmill.columns.schema import KEY, LABEL
from jetmill.errors import JetmillError
from jetmill.files import put
from jetmill.labels import DATA
from jetmill.randomness import selection_key
from jetmill.settings.balance import Resampling
from jetmill.settings.stages import BalanceSettings, Largest
from jetmill.splitting import SPLITS, TEST, TEST_OF, TRAIN, split_of

# More jets than any sample has.
NO_LIMIT = 2**62

logger = logging.getLogger(__name__)


def components_of(resampling: Resampling, samples: Sequence[str], axes: Sequence[Axis]) -> list[Component]:
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


def choose_test_jets(
    file: h5py.File, batches: Sequence[CleanedBatch], settings: BalanceSettings, block_rows: int
) -> None:
    """Choose the test jets of outputs with a limit, and count those of samples without truth, which no table has."""
    without_truth = {TEST_OF + batch.sample for batch in batches if not batch.truth}
    for name in {**settings.limits, **dict.fromkeys(sorted(without_truth))}:
        of_output = PartSpec.from_batches(batches, name, (0, 1)).batches
        classes = [DATA] if name in without_truth else settings.classes
        if name in settings.limits:
            _limit(file, name, of_output, settings.limits[name], classes, block_rows)
        if name in without_truth and f"{KEPT}/{name}" not in file:
            put(file, f"{KEPT}/{name}", np.array([sum(batch.splits[TEST] for batch in of_output)]))


def _limit(
    file: h5py.File,
    output: str,
    batches: Sequence[CleanedBatch],
    most: Largest,
    classes: Sequence[str],
    block_rows: int,
) -> None:
    """Choose the test jets of an output, in each group those with the smallest selection keys, if they are too many."""
    group_of, largest = _groups_with_limits(most, list(dict.fromkeys(batch.sample for batch in batches)), classes)

    def jets() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield group, class and selection key of the jets of each batch."""
        for listed in batches:
            with listed.open() as batch:
                for rows in in_blocks(batch.rows(TEST), block_rows):
                    label = np.minimum(batch.read(LABEL, rows), len(classes) - 1)
                    yield group_of[listed.sample][label], label, selection_key(batch.read(KEY, rows))

    if isinstance(most, int):  # the list of batches has the number, so that nothing is read
        total = np.array([sum(batch.splits[TEST] for batch in batches)])
    else:
        total = sum(np.bincount(group, minlength=len(largest)) for group, *_ in jets()) + np.zeros_like(largest)
    wanted = np.minimum(largest, total)
    if (wanted == total).all():
        return
    limit = selection_thresholds(lambda: ((group, key) for group, _, key in jets()), wanted, total)
    kept = np.zeros(len(classes), dtype=np.int64)
    for group, label, key in jets():
        kept += np.bincount(label[key < limit[group]], minlength=len(classes))
    for sample, groups in group_of.items():
        put(file, f"{LIMIT}/{output}/{sample}", limit[groups])
    put(file, f"{KEPT}/{output}", kept)
    logger.info("%12d jets in %s, of %d", wanted.sum(), output, total.sum())


def _groups_with_limits(
    most: Largest, samples: Sequence[str], classes: Sequence[str]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the group of each class of each sample, int64 (n_classes,), and the largest number of each group."""
    if isinstance(most, int):
        return {sample: np.zeros(len(classes), dtype=np.int64) for sample in samples}, np.array([most])
    groups, largest = {}, list[int]()
    for sample in samples:
        given = most.get(sample, NO_LIMIT)
        numbers = [given] if isinstance(given, int) else [given.get(name, NO_LIMIT) for name in classes]
        groups[sample] = len(largest) + np.broadcast_to(np.arange(len(numbers)), len(classes))
        largest += numbers
    return groups, np.array(largest)


def resample(
    file: h5py.File,
    output: str,
    batches: Sequence[CleanedBatch],
    counts: np.ndarray,
    components: Sequence[Component],
    settings: BalanceSettings,
    block_rows: int,
) -> None:
    """Decide how often each jet of an output is taken, and write the tables that say so.

    `counts`, int64 (n_samples, 3, n_classes, *bins), are the cleaned jets of each split.
    """
    resampling, classes, samples = settings.resampling, settings.classes, settings.samples
    axes = axes_of(settings.bins)
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
                for rows in in_blocks(batch.rows(split), block_rows):
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
    for sentence in repeat_warnings(output, classes, times):
        logger.warning("%s", sentence)
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


def weights_of_written(
    file: h5py.File, batches: Sequence[CleanedBatch], names: Sequence[str], block_rows: int
) -> dict[str, np.ndarray]:
    """Return the sums of event weights, and of squares, of the training jets that are written.

    Both, by `SUMS` and `SQUARES`, are float64 (n_classes * n_bins,).
    """
    n_groups = file[f"{KEPT}/train"].size
    sums, squares = ExactSums(n_groups), ExactSums.of_squares(n_groups)
    for listed in batches:
        tables = SelectionTables.read(file, "train", listed.sample)
        with listed.open() as batch:
            for rows in in_blocks(batch.rows(TRAIN), block_rows):
                found = tables.select(batch, rows)
                times = np.ones(len(found.key), dtype=np.int64) if found.times is None else found.times
                used = times > 0
                weight = event_weights(batch, names, rows, used)
                group = (found.label * np.int64(tables.n_bins) + found.bin_index)[used]
                sums.add(group, weight, times[used])
                squares.add(group, weight.astype(np.float64) ** 2, times[used] ** 2)
    return {SUMS: sums.result(), SQUARES: squares.result()}
