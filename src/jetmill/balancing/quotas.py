"""Quotas: how many jets of each class are taken from each bin of each component, in whole jets.

Everything is decided once, from counts, in `quotas`. Which jets fill a quota is decided by their keys
(`jetmill.balancing.thresholds`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jetmill.balancing.resampling import Largest, Pool, largest
from jetmill.errors import JetmillError

logger = logging.getLogger(__name__)

# A quota relatively this close to a whole number is one: errors of float64 are smaller.
TOLERANCE = 1e-12
# Largest average number of times that jets are written: parts must fit into memory and on disk.
MAX_TIMES = 100


@dataclass(frozen=True)
class Component:
    """Samples that give jets in some bins of the histogram.

    Attributes
    ----------
    samples
        Positions of the samples.
    bins : ndarray of bool, shape (*bins)
    fraction
        Size of this component relative to the others, positive; None for as large as possible.
    max_jets
        Jets of this component, at most.
    num_jets
        Jets of this component: of all classes together, or of each class, those with 0 left out; given for all
        components or for none.
    equal_samples
        Groups of positions of samples; each sample of a group gives as many jets as the one with the fewest.
    """

    name: str
    samples: Sequence[int]
    bins: np.ndarray
    fraction: float | None = None
    max_jets: int | None = None
    num_jets: int | Sequence[int] | None = None
    equal_samples: Sequence[Sequence[int]] = ()

    def available(self, counts: np.ndarray) -> np.ndarray:
        """Return the jets that each sample of the component gives, at most.

        For the samples of `equal_samples` these are as many as the smallest one of their group has in all classes
        together, in their own proportions, in whole jets.

        Parameters
        ----------
        counts : ndarray of int64, shape (n_samples, n_classes, *bins)
            Of all samples there are.

        Returns
        -------
        ndarray of int64, shape (samples of the component, n_classes, *bins)
        """
        there: np.ndarray = counts[list(self.samples)] * self.bins
        if isinstance(self.num_jets, Sequence):
            there = there * (np.asarray(self.num_jets) > 0).reshape(-1, *[1] * self.bins.ndim)
        for group in self.equal_samples:
            rows = [self.samples.index(sample) for sample in group]
            flat = there[rows].reshape(len(rows), -1)
            size = flat.sum(axis=1)
            least = np.full(len(rows), size.min())
            there[rows] = round_to_total(flat * (least / np.maximum(size, 1))[:, None], least).reshape(
                there[rows].shape
            )
        return there

    def by_sample(self, quota: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Divide the quotas of the component between its samples, in proportion to what each gives.

        Parameters
        ----------
        quota : ndarray of int64, shape (n_classes, *bins)
        counts
            See `available`.

        Returns
        -------
        ndarray of int64, shape (samples of the component, n_classes, *bins)
        """
        available = self.available(counts)
        share = available / np.maximum(available.sum(axis=0), 1)
        return np.moveaxis(round_to_total(np.moveaxis(share * quota, 0, -1), quota), -1, 0)


def component_of_bins(components: Sequence[Component], samples: Sequence[str]) -> np.ndarray:
    """Return the position of the component that takes each bin of each sample, int64 (n_samples, *bins); -1 if none.

    Raises
    ------
    JetmillError
        If two components take the same bin of a sample.
    """
    taken_by = np.full((len(samples), *components[0].bins.shape), -1, dtype=np.int64)
    for position, component in enumerate(components):
        for sample in component.samples:
            before = taken_by[sample, component.bins]
            if (twice := before >= 0).any():
                raise JetmillError(
                    f"components '{components[before.max()].name}' and '{component.name}' both take sample"
                    f" '{samples[sample]}' in {twice.sum()} bins; a jet can be in one component only"
                )
            taken_by[sample, component.bins] = position
    return taken_by


def quotas(
    counts: np.ndarray,
    components: Sequence[Component],
    *,
    method: str,
    classes: Sequence[str],
    target: int | str | np.ndarray | None = None,
    shares: Sequence[float] | None = None,
    max_upsampling: float | None = None,
    max_repeats: int | None = None,
    num_jets: int | None = None,
) -> np.ndarray:
    """Return how many jets of each class are taken from each bin of each component.

    The method is applied to each component by itself, with its own target spectrum; a class without
    jets there has no say there. With fractions, components that are too large for theirs are scaled
    down (``correct_fractions`` of umami, resampling_base.py:138-251).

    A real quota q becomes floor(q) or ceil(q): a method that takes no jet twice still does not. The
    total is `num_jets` exactly, and each class and each of its components is within one jet of its
    part. Without `num_jets`, the total of each class in each component is rounded down, so equal
    shares have equal totals.

    Parameters
    ----------
    counts : ndarray of int64, shape (n_samples, n_classes, *bins)
    components
        At least one, all with a fraction or none; `component_of_bins` must allow them.
    method
        Key of `jetmill.balancing.resampling.METHODS`.
    classes
        Names of the classes.
    target, shares, max_upsampling, max_repeats
        See `jetmill.balancing.resampling.Pool`; without shares, all are equal.
    num_jets
        Jets of all classes and components together; None for as many as possible.

    Returns
    -------
    ndarray of int64, shape (n_components, n_classes, *bins)

    Raises
    ------
    JetmillError
        If more jets are wanted than there can be, if none would be left, if it would take each more than
        `MAX_TIMES` times, or if the target class has no jets in a component that has some.
    """
    each = np.ones(len(classes)) if shares is None else np.asarray(shares, dtype=np.float64)
    pools = [
        Pool(_flat_counts(counts, component), _shares(component, each), target, max_upsampling, max_repeats)
        for component in components
    ]
    for component, pool in zip(components, pools, strict=True):
        if isinstance(target, int) and pool.counts.any() and not pool.counts[target].any():
            of = f" in component '{component.name}'" if len(components) > 1 else ""
            raise JetmillError(f"class '{classes[target]}', the target of resampling, has no jets{of}")
    found = [largest(method, pool) for pool in pools]
    table, totals = np.stack([f.table for f in found]), np.stack([f.totals for f in found])
    available = sum(int(pool.counts.sum()) for pool in pools)
    if components[0].num_jets is not None:
        of_class = _of_components(found, components, method, classes)
        _refuse_too_many(of_class.sum(), available)
        scale = np.divide(of_class, totals, out=np.zeros_like(totals), where=totals > 0)
        return round_to_total(scale[..., None] * table, of_class).reshape(len(components), *counts.shape[1:])
    size = totals.sum(axis=1)
    scale = _obey_fractions(size, components)
    possible = (scale * size).sum()
    written = possible if num_jets is None else num_jets
    if possible >= written:
        _refuse_too_many(written, available)
    maximum = int(np.floor(_snap(possible)))
    of_class = np.floor(_snap(scale[:, None] * totals)).astype(np.int64)
    by = _limits(found, components, classes)
    if maximum < num_jets if num_jets is not None else not of_class.any():
        asked = "no jets are left" if num_jets is None else f"{num_jets} jets are wanted and {maximum} possible"
        raise JetmillError(f"{asked} with resampling by '{method}', limited by {by}")
    logger.info("%12d jets possible with resampling by '%s', limited by %s", maximum, method, by)
    if num_jets is not None:
        scale = scale * (num_jets / possible)
        totals = scale[:, None] * totals
        of_class = round_to_total(totals.T, round_to_total(totals.sum(axis=0), np.int64(num_jets))).T
    bins = round_to_total(scale[:, None, None] * table, of_class)
    return bins.reshape(len(components), *counts.shape[1:])


def round_to_total(real: np.ndarray, total: np.ndarray | np.int64) -> np.ndarray:
    """Round numbers up or down so that they have a given sum.

    A number is rounded up where the running sum of the fractional parts passes a whole number. Any
    run of neighbours then has the right sum to less than one jet; rounding up the largest fractional
    parts instead would empty the tail of a spectrum, where all quotas are below one half.

    Parameters
    ----------
    real : ndarray of float64, shape (..., n)
    total : ndarray of int64, shape (...)
        Less than one away from the sum of `real` over the last axis.

    Returns
    -------
    ndarray of int64, shape (..., n)
    """
    real = _snap(real)
    whole = np.floor(real)
    running = np.cumsum(real - whole, axis=-1)
    ups = total - whole.sum(axis=-1)
    # The middle of all starts in [0, 1) from which the running sum passes just `ups` whole numbers.
    start = (1 + ups - running[..., -1]) / 2
    passed = np.floor(start[..., None] + running)
    rounded: np.ndarray = whole + np.diff(passed, axis=-1, prepend=0)
    return rounded.astype(np.int64)


def _flat_counts(counts: np.ndarray, component: Component) -> np.ndarray:
    """Return the counts of a component, int64 (n_classes, n_bins)."""
    of_classes: np.ndarray = component.available(counts).sum(axis=0)
    return of_classes.reshape(counts.shape[1], -1)


def _shares(component: Component, shares: np.ndarray) -> np.ndarray:
    """Return the shares of the classes in a component: its numbers of jets, if it has those of each class."""
    if not isinstance(component.num_jets, Sequence):
        return shares
    # A class without jets wanted has none to take, so that its share does not matter.
    return np.maximum(np.asarray(component.num_jets, dtype=np.float64), 1)


def _of_components(
    found: Sequence[Largest], components: Sequence[Component], method: str, classes: Sequence[str]
) -> np.ndarray:
    """Return the jets of each class in each component, int64 (n_components, n_classes), from their `num_jets`."""
    of_class = np.zeros((len(components), len(classes)), dtype=np.int64)
    for row, largest_of, component in zip(of_class, found, components, strict=True):
        by = f"possible with resampling by '{method}', limited by {_limits([largest_of], [component], classes)}"
        of = f" of component '{component.name}'" if len(components) > 1 else ""
        if isinstance(component.num_jets, Sequence):
            row[:] = component.num_jets
            possible = np.floor(_snap(largest_of.totals)).astype(np.int64)
            if (row > possible).any():
                limit = largest_of.limit
                worst = limit if limit is not None and row[limit] > possible[limit] else int((row - possible).argmax())
                wanted = f"{row[worst]} jets of class '{classes[worst]}'{of} are wanted"
                raise JetmillError(f"{wanted} and {possible[worst]} {by}")
        else:
            size = largest_of.totals.sum()
            most = int(np.floor(_snap(size)))
            if component.num_jets is None or component.num_jets > most:
                raise JetmillError(f"{component.num_jets} jets{of} are wanted and {most} {by}")
            row[:] = round_to_total(largest_of.totals * (component.num_jets / size), np.int64(component.num_jets))
    return of_class


def _refuse_too_many(written: float, available: int) -> None:
    if written > MAX_TIMES * available > 0:
        raise JetmillError(
            f"{written:.4g} jets would be written of the {available} there are, more than {MAX_TIMES} times each."
            " Lower max_upsampling or the largest of shares, or set num_jets"
        )


def _obey_fractions(size: np.ndarray, components: Sequence[Component]) -> np.ndarray:
    """Return what to scale each component by, at most 1, so that sizes are as fractions, and not above their limits."""
    limits = np.array([np.inf if c.max_jets is None else c.max_jets for c in components])
    wanted = np.minimum(size, limits)
    if components[0].fraction is not None:
        fraction = np.array([component.fraction for component in components], dtype=np.float64)
        wanted = fraction * (wanted / fraction).min()
    scale: np.ndarray = np.divide(wanted, size, out=np.zeros_like(wanted), where=size > 0)
    return scale


def _limits(found: Sequence[Largest], components: Sequence[Component], classes: Sequence[str]) -> str:
    """Name the classes and components that allow no more."""
    fractions = components[0].fraction is not None
    every = list(zip(found, components, strict=True))
    if fractions:
        every = [min(every, key=lambda pair: pair[0].totals.sum() / pair[1].fraction)]
    names = []
    for f, component in every:
        why = f" ({f.why})" if f.why else ""
        of_class = [] if f.limit is None else [f"class '{classes[f.limit]}'{why}"]
        in_component = [f"component '{component.name}'"] if len(components) > 1 and (fractions or of_class) else []
        names += [" of ".join(of_class + in_component)] if of_class + in_component else []
    return ", ".join(names) or "the jets there are"


def _snap(real: np.ndarray) -> np.ndarray:
    """Replace numbers that are whole but for rounding errors."""
    nearest = np.rint(real)
    return np.where(np.abs(real - nearest) <= TOLERANCE * np.maximum(nearest, 1), nearest, real)
