"""Training, validation and test: the rules that say which jet goes where. `rule` puts one into `RULES`.

A split is coded by its position in `SPLITS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from jetmill.discovery import registered
from jetmill.randomness import keys, uniform

SPLITS = ("train", "val", "test")
TRAIN, VAL, TEST = range(3)
# Rows of a batch come in groups: one per split, or one per fold. For each split, the groups that its jets are of.
Groups = tuple[tuple[int, ...], ...]
EACH_ITS_OWN: Groups = ((TRAIN,), (VAL,), (TEST,))
# Validation jets, resampled like the training jets.
VAL_RESAMPLED = "val_resampled"

# Kinds of values that a rule can take.
SHARE, REMAINDERS, NUMBER, CONDITION = "a share", "a list of remainders", "a number", "an expression"
REMAINDER = "an integer expression"


# Test jets of one sample.
TEST_OF = "test_"


def split_of(output: str) -> str:
    """Return the split that an output takes its jets from: a split, `VAL_RESAMPLED`, or `TEST_OF` a sample."""
    return "val" if output == VAL_RESAMPLED else "test" if output.startswith(TEST_OF) else output


def samples_of(output: str, samples: Mapping[str, bool]) -> list[str]:
    """Return the samples that an output takes its jets from; those without truth (False) have their own."""
    if output.startswith(TEST_OF):
        return [sample for sample in samples if output == TEST_OF + sample]
    return [sample for sample, truth in samples.items() if truth]


def groups_of_fold(fold: int, folds: int) -> Groups:
    """Return the folds that training, validation and test of a fold are: all others, the next one, and this one."""
    val = (fold + 1) % folds
    return tuple(k for k in range(folds) if k not in (fold, val)), (val,), (fold,)


def groups_of_role(groups: Groups, splits: Sequence[str]) -> Groups:
    """Return the groups of a sample whose jets are for some splits only: the first one takes those of the others."""
    first = SPLITS.index(splits[0])
    moved = [k for name, of_split in zip(SPLITS, groups, strict=True) if name not in splits for k in of_split]
    own = [of_split if name in splits else () for name, of_split in zip(SPLITS, groups, strict=True)]
    own[first] = tuple(sorted([*own[first], *moved]))
    return tuple(own)


@dataclass(frozen=True)
class JetsToSplit:
    """Jets of a batch, as a rule sees them.

    Attributes
    ----------
    seed
        Seed of the configuration.
    event
        Variables of ``input.event_id``, each an ndarray of integers (n_jets,); none unless the rule needs them.
    row : ndarray of int64, shape (n_jets,)
        Positions in the batch, in the order of reading; empty unless the rule needs them.
    n_jets_of_batch
        Number of jets of the whole batch.
    """

    seed: int
    event: Sequence[np.ndarray]
    row: np.ndarray
    n_jets_of_batch: int


@dataclass(frozen=True)
class Rule:
    """A rule that splits jets.

    Attributes
    ----------
    split
        From jets and the keys of ``split`` that it takes, by keyword, to the split of each jet, uint8 (n_jets,). In
        place of an expression it gets its values (n_jets,): where it is true, bool (`CONDITION`), or its remainder by
        the number of folds, uint8 (`REMAINDER`).
    takes
        Key to what its value is.
    description
        What it does, for the key ``split.by``.
    event
        Whether it needs `JetsToSplit.event`.
    row
        Whether it needs `JetsToSplit.row`; the split of a jet then depends on its batch.
    check
        Called with the keys; raises ValueError if they do not fit each other.
    """

    split: Callable[..., np.ndarray]
    takes: Mapping[str, str]
    description: str
    event: bool = False
    row: bool = False
    check: Callable[..., None] | None = None


RULES: dict[str, Rule] = {}
_Function = Callable[..., np.ndarray]


def rule(
    name: str,
    description: str,
    *,
    event: bool = False,
    row: bool = False,
    check: Callable[..., None] | None = None,
    **takes: str,
) -> Callable[[_Function], _Function]:
    """Register a function as the rule `name`, see `Rule`."""
    return registered(RULES, name, lambda split: Rule(split, takes, description, event, row, check))


@rule(
    "event",
    "by a hash of the seed and the values of input.event_id, so that the jets of an event stay together in all files"
    " and samples",
    event=True,
    test=SHARE,
    val=SHARE,
)
def split_by_event(jets: JetsToSplit, *, test: float, val: float) -> np.ndarray:
    """Split by a hash of the event, uint8 (n_jets,): `test` is a share of all events, `val` of the rest."""
    u = uniform(keys(jets.seed, "split", of=[*jets.event]))
    split = np.full(len(u), TRAIN, dtype=np.uint8)
    split[u < test + (1 - test) * val] = VAL
    split[u < test] = TEST
    return split


@rule(
    "jet",
    "by scikit-learn's train_test_split, applied twice to each batch; jets of one event, or the same jet in two files,"
    " may end up in different splits",
    row=True,
    test=SHARE,
    val=SHARE,
)
def split_by_jet(jets: JetsToSplit, *, test: float, val: float) -> np.ndarray:
    """Split jet by jet, as `train_test_split_twice` does with the jets of a batch, and the seed as random state."""
    split: np.ndarray = train_test_split_twice(jets.n_jets_of_batch, test, val, jets.seed)[jets.row]
    return split


# Jets of a batch come in blocks.
@lru_cache(maxsize=1)
def train_test_split_twice(n_jets: int, test: float, val: float, random_state: int) -> np.ndarray:
    """Split exactly as scikit-learn's ``train_test_split`` called twice, uint8 (n_jets,).

    First with ``test_size=test``, then on the rest with ``test_size=val``, both with the same `random_state` (the CMS
    study: 0.2, 0.1, 1). Shares are rounded up to whole jets.
    """
    n_test = ceil(test * n_jets)
    rest = np.random.RandomState(random_state).permutation(n_jets)[n_test:]
    n_val = ceil(val * len(rest))
    shuffled = np.random.RandomState(random_state).permutation(len(rest))
    split = np.full(n_jets, TEST, dtype=np.uint8)
    split[rest[shuffled[:n_val]]] = VAL
    split[rest[shuffled[n_val:]]] = TRAIN
    return split


def _different_remainders(*, modulo: int, test: Sequence[int], val: Sequence[int]) -> None:
    remainders = [*test, *val]
    if len(set(remainders)) < len(remainders) or not all(0 <= r < modulo for r in remainders):
        raise ValueError(f"test and val take different remainders from 0 to {modulo - 1}")


@rule(
    "modulo",
    "by the remainder of the event number, the last variable of input.event_id, from 0 to modulo - 1 for negative"
    " numbers too",
    event=True,
    check=_different_remainders,
    modulo=NUMBER,
    test=REMAINDERS,
    val=REMAINDERS,
)
def split_by_modulo(jets: JetsToSplit, *, modulo: int, test: Sequence[int], val: Sequence[int]) -> np.ndarray:
    """Split by the remainder of the event number, uint8 (n_jets,): those in `test`, in `val`, and the others.

    Remainders are from 0 to modulo - 1, of negative numbers too.
    """
    event = jets.event[-1]
    split_of_remainder = np.full(modulo, TRAIN, dtype=np.uint8)
    split_of_remainder[list(val)] = VAL
    split_of_remainder[list(test)] = TEST
    # Small types may not hold the divisor.
    widest = np.uint64 if event.dtype.kind == "u" else np.int64
    split: np.ndarray = split_of_remainder[event.astype(widest, copy=False) % widest(modulo)]
    return split


@rule(
    "expression",
    "by expressions of variables of the jet, test and val; a jet for which both are true is for testing, and one that"
    " misses a variable for training",
    test=CONDITION,
    val=CONDITION,
)
def split_by_expression(jets: JetsToSplit, *, test: np.ndarray, val: np.ndarray) -> np.ndarray:  # noqa: ARG001
    """Split by conditions, bool (n_jets,), to uint8 (n_jets,)."""
    return np.where(test, TEST, np.where(val, VAL, TRAIN)).astype(np.uint8)


# Folds in place of splits: the same, but not a choice of split.by.
def _fold_of_event(jets: JetsToSplit, *, folds: int) -> np.ndarray:
    return (uniform(keys(jets.seed, "split", of=[*jets.event])) * folds).astype(np.uint8)


def _fold_of_expression(jets: JetsToSplit, *, folds: int, fold_by: np.ndarray) -> np.ndarray:  # noqa: ARG001
    return fold_by


FOLDS = Rule(_fold_of_event, {"folds": NUMBER}, "the hash of the event", event=True)
FOLDS_BY = Rule(_fold_of_expression, {"folds": NUMBER, "fold_by": REMAINDER}, "the remainder of an expression")


def kind_of(value: Any) -> str:
    """Return which kind of value of a rule's key this is."""
    if isinstance(value, str):
        return CONDITION
    return SHARE if isinstance(value, int | float) else REMAINDERS
