"""Sentences about suspicious weights, repeats and splits."""

from collections.abc import Mapping, Sequence

import numpy as np

from jetmill.splitting import TRAIN

# Warn if the effective number of jets of a class is below this share of its jets,
EFFECTIVE = 0.01
# if one jet has a larger share of the weight of its class,
ONE_JET = 0.01
# if a jet is written more often than this,
REPEATS = 10
# or if bins in which a class has no jets hold this share of the jets of the other classes.
EMPTY = 0.01


def weight_warnings(name: str, classes: Sequence[str], counts: np.ndarray, weights: np.ndarray) -> list[str]:
    """Say where few of the written training jets (n_classes, *bins) carry the weight of a class.

    The effective number of jets is (sum of weights)^2 / (sum of squared weights).
    """
    found = []
    for label, n, w in zip(classes, counts.reshape(len(classes), -1), weights.reshape(len(classes), -1), strict=True):
        total, squares = (n * w).sum(), (n * w**2).sum()
        if not total > 0:
            continue
        effective, largest = total**2 / squares, w[n > 0].max() / total
        if effective < EFFECTIVE * n.sum():
            found.append(f"weights '{name}': the {n.sum()} jets of class {label} count as {effective:.3g} effectively")
        if largest > ONE_JET:
            found.append(f"weights '{name}': a single jet has {largest:.1%} of the weight of class {label}")
    return found


def repeat_warnings(output: str, classes: Sequence[str], repeat_histogram: np.ndarray) -> list[str]:
    """Say of which classes single jets are written more than `REPEATS` times, from `repeat_histogram`."""
    often = repeat_histogram[:, REPEATS + 1 :]
    return [
        f"{output}: {n.sum()} jets of class {name} are written more than {REPEATS} times,"
        f" up to {REPEATS + 1 + int(np.flatnonzero(n)[-1])} times"
        for name, n in zip(classes, often, strict=True)
        if n.any()
    ]


def empty_bin_warnings(classes: Sequence[str], counts: np.ndarray) -> list[str]:
    """Say which classes have no jets where others have many; counts of the training jets are (n_classes, *bins)."""
    flat = counts.reshape(len(classes), -1)
    found = []
    for name, n in zip(classes, flat, strict=True):
        others = flat.sum(axis=0) - n
        share = others[n == 0].sum() / max(others.sum(), 1)
        if n.any() and share > EMPTY:
            bins, filled = int(((n == 0) & (others > 0)).sum()), int(flat.any(axis=0).sum())
            found.append(
                f"class {name} has no training jets in {bins} of the {filled} bins with jets, and cannot be balanced"
                f" there; they hold {share:.1%} of the jets of other classes; take wider bins"
            )
    return found


def split_warnings(splits: Sequence[str], classes: Sequence[str], counts: np.ndarray) -> list[str]:
    """Say which of validation and test lack jets, or those of a class in training; counts (n_splits, n_classes)."""
    trained, found = counts[TRAIN] > 0, []
    for name, n in zip(splits, counts, strict=True):
        absent = [of for of, there, in_training in zip(classes, n > 0, trained, strict=True) if in_training > there]
        if not n.any() and name != splits[TRAIN]:
            found.append(f"no jets in {name}")
        elif absent:
            found.append(f"no jets of class {', '.join(absent)} in {name}")
    return found


def applied_warnings(
    splits: Sequence[str],
    classes: Sequence[str],
    counts: np.ndarray,
    outside: np.ndarray,
    weights: Mapping[str, np.ndarray],
) -> list[str]:
    """Say which jets the tables of a finished run do not fit.

    Parameters
    ----------
    counts, outside
        Jets inside the bins, (n_splits, n_classes, *bins), and outside them, (n_splits, n_classes).
    weights
        Name to the weights of the finished run, (n_classes, *bins).
    """
    found = []
    for split, inside, lost in zip(splits, counts.reshape(*outside.shape, -1).sum(axis=2), outside, strict=True):
        total = (inside + lost).sum()
        if lost.any():
            found.append(f"{lost.sum()} of {total} jets in {split} are outside the bins: weight 0 and bin -1")
        if total and (absent := [name for name, n in zip(classes, inside + lost, strict=True) if n == 0]):
            found.append(f"no jets of class {', '.join(absent)} in {split}")
    for name, weight in weights.items():
        if n := counts.sum(axis=0)[weight == 0].sum():
            found.append(
                f"weights '{name}': {n} jets have weight 0, in bins where the finished run has no jets of their class"
            )
    return found
