"""The final order of jets: grouped by split or fold, sorted by key."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from jetmill.columns.schema import Column, Kind, counts, split_expression
from jetmill.ragged import values_of
from jetmill.settings.clean import CleanSettings
from jetmill.splitting import JetsToSplit


class Scratch:
    """A large array that is used again and again, as the kernel has to clear each new one."""

    def __init__(self) -> None:
        self._array = np.empty(0, dtype=np.uint8)

    def array(self, dtype: np.dtype, length: int) -> np.ndarray:
        """Return an array (length,), valid until the next call."""
        n_bytes = length * dtype.itemsize
        if len(self._array) < n_bytes:
            self._array = np.empty(n_bytes, dtype=np.uint8)
        return self._array[:n_bytes].view(dtype)


def in_order(
    read: Callable[[Column], np.ndarray], columns: Sequence[Column], order: np.ndarray, scratch: Scratch
) -> Iterator[tuple[Column, np.ndarray]]:
    """Yield columns of jets in another order, and those of their constituents, each valid until the next one."""
    collections = [str(column.collection) for column in columns if column.kind is Kind.COUNTS]
    # All at once: what is read may be written over.
    per_jet = {of: read(counts(of)).astype(np.int64) for of in collections}
    for of in (None, *collections):
        places = order if of is None else values_of(order, per_jet[of])
        for column in columns:
            if column.constituents == of:
                values = read(column)
                # All places are in range, and "wrap" is the fastest mode without checks.
                yield column, values.take(places, out=scratch.array(values.dtype, len(places)), mode="wrap")


def group_codes(
    read: Callable[[Column], np.ndarray], settings: CleanSettings, row: np.ndarray, n_jets_of_batch: int
) -> np.ndarray:
    """Return the split, or fold, of some jets of a batch, uint8 (n_jets,).

    Parameters
    ----------
    read
        Returns a column of these jets.
    row
        As for `jetmill.splitting.JetsToSplit`.
    """
    split = settings.split
    jets = JetsToSplit(
        seed=settings.seed,
        event=[read(Column(Kind.EVENT, name)) for name in settings.input.event_id] if split.rule.event else (),
        row=row,
        n_jets_of_batch=n_jets_of_batch,
    )
    values = {key: read(split_expression(key)) for key in split.expressions}
    codes: np.ndarray = split.rule.split(jets, **split.keys | values)
    return codes
