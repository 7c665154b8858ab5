"""Resampling methods: the largest numbers of jets that can be taken of each class from each bin.

A method is a function from counts to quotas in real numbers; `method` puts it into `METHODS`. What is wanted of
several components, in whole jets, is decided in `jetmill.balancing.quotas`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from jetmill.discovery import registered
from jetmill.errors import JetmillError


@dataclass(frozen=True)
class Pool:
    """Jets that can be taken, and what they are to become.

    Attributes
    ----------
    counts : ndarray of integers, shape (n_classes, n_bins)
    shares : ndarray of float64, shape (n_classes,)
        Positive relative numbers of jets wanted of the classes.
    target
        Spectrum wanted, as in `target_spectrum`; None for methods without a target.
    max_upsampling
        How often the jets of a class are taken at most, averaged over the class.
    max_repeats
        How often each single jet is taken at most.
    """

    counts: np.ndarray
    shares: np.ndarray
    target: int | str | np.ndarray | None = None
    max_upsampling: float | None = None
    max_repeats: int | None = None


@dataclass(frozen=True)
class Largest:
    """The largest quotas that a method allows.

    Attributes
    ----------
    table : ndarray of float64, shape (n_classes, n_bins)
        0 where a class has no jets.
    totals : ndarray of float64, shape (n_classes,)
        Sums over bins; equal to the last bit for classes of equal shares.
    limit
        Position of the class that allows no more; None if all jets are taken.
    why
        What limits it, if not the number of its jets.
    """

    table: np.ndarray
    totals: np.ndarray
    limit: int | None
    why: str = ""


Take = Callable[[Pool], Largest]


@dataclass(frozen=True)
class Method:
    """A function that resamples, and what it takes.

    Attributes
    ----------
    take
        From the available jets to the largest quotas.
    class_target, shape_target
        Whether its target can be a class, and whether it can be one of `SHAPES`; it has none if neither.
    repeats
        Whether it may take a jet more than once.
    description
        For the key ``balance.resampling.method``.
    """

    take: Take
    class_target: bool
    shape_target: bool
    repeats: bool
    description: str


METHODS: dict[str, Method] = {}
# Targets that are not a class.
FLAT_PER_UNIT = "flat_per_unit"
SHAPES = ("average", "flat", FLAT_PER_UNIT)


def method(
    name: str, description: str, *, class_target: bool = False, shape_target: bool = False, repeats: bool = False
) -> Callable[[Take], Take]:
    """Register a function as the method `name`, see `Method`."""
    return registered(METHODS, name, lambda take: Method(take, class_target, shape_target, repeats, description))


def target_spectrum(counts: np.ndarray, target: int | str | np.ndarray | None) -> np.ndarray:
    """Return the share of each bin in the spectrum that classes are to have.

    Parameters
    ----------
    counts : ndarray of integers or float64, shape (n_classes, *bins)
        Jets of each class in each bin, or sums of their weights, none of them negative.
    target
        ``flat``, equal in every bin; ``average``, the mean of the spectra of all classes that have
        jets (thesis of the CMS study, section 2.3); the position of a class, for its spectrum; or any
        positive spectrum (*bins), such as `jetmill.balancing.binning.volumes`.

    Returns
    -------
    ndarray of float64, shape (*bins)
        Its sum is 1, or 0 if there are no jets to take the spectrum from.
    """
    bins, flat = counts.shape[1:], counts.reshape(len(counts), -1)
    if isinstance(target, np.ndarray):
        spectrum: np.ndarray = target / target.sum()
        return spectrum.reshape(bins)
    if target == "flat":
        return np.full(bins, 1 / flat.shape[1])
    if target == "average":
        chosen = flat[flat.any(axis=1)]
    elif isinstance(target, int):
        chosen = flat[[target]]
    else:
        raise ValueError(f"no target spectrum '{target}'")
    total = chosen.sum(axis=1, keepdims=True)
    spectra = np.divide(chosen, total, out=np.zeros(chosen.shape), where=total > 0)
    mean: np.ndarray = spectra.sum(axis=0) / max(len(chosen), 1)
    return mean.reshape(bins)


def largest(name: str, pool: Pool) -> Largest:
    """Apply a method of `METHODS` to the classes that have jets; others have no say and get 0.

    If the target is a class without jets, that is the limit: nothing can be taken.
    """
    counts, target = pool.counts, pool.target
    table, totals = np.zeros(counts.shape), np.zeros(len(counts))
    present = np.flatnonzero(counts.any(axis=1))
    if not len(present):
        return Largest(table, totals, None)
    if isinstance(target, int):
        if target not in present:
            return Largest(table, totals, target)
        target = int(np.searchsorted(present, target))
    found = METHODS[name].take(replace(pool, counts=counts[present], shares=pool.shares[present], target=target))
    table[present], totals[present] = found.table, found.totals
    return Largest(table, totals, None if found.limit is None else int(present[found.limit]), found.why)


@method("none", "every jet once")
def take_all(pool: Pool) -> Largest:
    """Take every jet once."""
    return Largest(pool.counts.astype(np.float64), pool.counts.sum(axis=1).astype(np.float64), None)


@method("count", "in each bin as many jets of each class as of the rarest")
def take_count(pool: Pool) -> Largest:
    """Take in each bin, for the share of each class, as many jets as the rarest class has there.

    The quota is share_f * min_g(count_g(b) / share_g): ``count`` of umami (count_sampling.py), with
    shares. The limit is the class that is rarest in the bins that hold most of the jets.
    """
    per_share = pool.counts / pool.shares[:, None]
    least = per_share.min(axis=0)
    rarest_in = np.bincount(per_share.argmin(axis=0), weights=per_share.sum(axis=0))
    return Largest(pool.shares[:, None] * least, pool.shares * least.sum(), int(rarest_in.argmax()))


@method("importance", "the shape of the target, without repeating jets", class_target=True, shape_target=True)
def take_importance(pool: Pool) -> Largest:
    """Give all classes the target spectrum in the bins that all of them have, taking no jet twice.

    The quota is share_f * n * target(b), with the largest n for which it is nowhere above the count:
    ``importance_no_replace`` of umami (importance_sampling_no_replace.py), with shares.
    """
    target = target_spectrum(pool.counts, pool.target)
    common = (pool.counts > 0).all(axis=0) & (target > 0)
    if not common.any():
        fewest_bins = int(np.count_nonzero(pool.counts, axis=1).argmin())
        return Largest(np.zeros(pool.counts.shape), np.zeros(len(pool.counts)), fewest_bins)
    wanted = pool.shares[:, None] * np.where(common, target, 0)
    allowed = np.divide(pool.counts, wanted, out=np.full_like(wanted, np.inf), where=common).min(axis=1)
    limit = int(allowed.argmin())
    return Largest(allowed[limit] * wanted, pool.shares * (allowed[limit] * target[common].sum()), limit)


@method("pdf", "the shape of the target; jets may repeat", class_target=True, shape_target=True, repeats=True)
def take_pdf(pool: Pool) -> Largest:
    """Give each class the target spectrum, taking jets repeatedly where it has too few.

    ``pdf`` of umami (pdf_sampling.py) and UPP (stages/resampling.py), on plain bins. The class that is
    rarest for its share gives as many jets as it has, times `max_upsampling` (1 if None); or as many as `max_repeats`
    allows in each of its bins.
    """
    most = 1.0 if pool.max_upsampling is None else pool.max_upsampling
    return _repeated(pool, most * pool.counts.sum(axis=1) / pool.shares)


@method(
    "countup",
    "every jet of the target class once, and as many of the other classes in each bin",
    class_target=True,
    repeats=True,
)
def take_countup(pool: Pool) -> Largest:
    """Take every jet of the target class once, and of others as many for their share, in its spectrum.

    ``countup`` of UPP (stages/resampling.py). All are fewer if `max_upsampling` or `max_repeats` require it. Raises
    JetmillError if the target is not a class.
    """
    if not isinstance(pool.target, int):
        raise JetmillError(f"resampling by 'countup' needs a class as target, not '{pool.target}'")
    per_share = pool.counts.sum(axis=1) / pool.shares
    allowed = per_share * (np.inf if pool.max_upsampling is None else pool.max_upsampling)
    allowed[pool.target] = min(allowed[pool.target], per_share[pool.target])
    return _repeated(pool, allowed)


def _repeated(pool: Pool, allowed: np.ndarray) -> Largest:
    """Give each class the target spectrum in its bins; `allowed` (n_classes,) is its jets over its share."""
    spectrum = np.where(pool.counts > 0, target_spectrum(pool.counts, pool.target), 0)
    reached = spectrum.sum(axis=1)
    # A class without jets in any bin of the target cannot follow it.
    allowed, why = np.where(reached > 0, allowed, 0), ""
    if pool.max_repeats is not None:
        # A bin gives at most so many times its jets; all classes are scaled down alike.
        depth = np.divide(pool.counts, spectrum, out=np.full(spectrum.shape, np.inf), where=spectrum > 0)
        least = np.where(reached > 0, depth.min(axis=1), 0)
        in_bins = pool.max_repeats * least * reached / pool.shares
        # Ignore rounding.
        if in_bins.min() < allowed.min() * (1 - 1e-12):
            n = pool.counts[in_bins.argmin()][depth[in_bins.argmin()].argmin()]
            allowed, why = in_bins, f"max_repeats: {pool.max_repeats}, in a bin with {n} of its jets"
    limit = int(allowed.argmin())
    totals = pool.shares * allowed[limit]
    per_target = np.divide(totals, reached, out=np.zeros_like(totals), where=reached > 0)
    return Largest(per_target[:, None] * spectrum, totals, limit, why)
