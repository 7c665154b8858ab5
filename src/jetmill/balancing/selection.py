"""Which jets of each batch a part takes, how often and in which order, and their columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from jetmill.balancing.binning import Axis, find_bins, shape
from jetmill.balancing.event_weights import product
from jetmill.balancing.tables import EDGES, LIMIT, REPEATS, THRESHOLD
from jetmill.balancing.thresholds import repeats
from jetmill.columns.batch_file import Batch, in_blocks
from jetmill.columns.batch_list import CleanedBatch, read_batch_list
from jetmill.columns.schema import KEY, LABEL, Column, Kind, event_weight, variable
from jetmill.errors import JetmillError
from jetmill.ragged import values_of
from jetmill.randomness import mix, selection_key
from jetmill.splitting import SPLITS, TRAIN, VAL_RESAMPLED, samples_of, split_of


@dataclass(frozen=True)
class PartSpec:
    """The jets of a part.

    Attributes
    ----------
    output
        ``train``, ``val``, ``test`` or ``val_resampled``.
    slice_of_keys
        Number k, of how many n: the part takes the k-th of n equal ranges of keys of each batch.
    batches
        Batches that the jets are drawn from.
    fields
        Columns of fields of the input to write, those that all batches of the output have.
    """

    output: str
    slice_of_keys: tuple[int, int]
    batches: Sequence[CleanedBatch]
    fields: tuple[Column, ...] = ()

    @classmethod
    def from_batch_list(
        cls, batch_list: str | Path, output: str, slice_of_keys: tuple[int, int], batches: slice = slice(None)
    ) -> "PartSpec":
        """Return a part that is drawn from some of the listed batches."""
        return cls.from_batches(read_batch_list(batch_list), output, slice_of_keys, batches)

    @classmethod
    def from_batches(
        cls,
        listed: Sequence[CleanedBatch],
        output: str,
        slice_of_keys: tuple[int, int],
        batches: slice = slice(None),
    ) -> "PartSpec":
        """Return a part that is drawn from some of the batches of the samples of an output."""
        samples = samples_of(output, {batch.sample: batch.truth for batch in listed})
        chosen = [batch for batch in listed if batch.sample in samples]
        held = [set(batch.fields) for batch in chosen if sum(batch.splits)] if split_of(output) == "test" else []
        fields = tuple(map(Column.from_path, sorted(set.intersection(*held)))) if held else ()
        return cls(output, slice_of_keys, chosen[batches], fields)


@dataclass(frozen=True)
class SelectedJets:
    """The jets that a part takes from one batch.

    Attributes
    ----------
    batch
        The batch.
    rows
        Rows of the batch, in one piece.
    repeat : ndarray of int64, shape (n,), or None
        Row to take, counted from ``rows.start``; a row that is taken twice is there twice. None if
        every row is taken once.
    order : ndarray of uint64, shape (n,)
        Key by which the part is shuffled.
    label : ndarray of uint8; bin_index : ndarray of int32, -1 outside the bins; both shape (n,)
    """

    batch: CleanedBatch
    rows: slice
    repeat: np.ndarray | None
    order: np.ndarray
    label: np.ndarray
    bin_index: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    @property
    def sample(self) -> str:
        """Name of their sample."""
        return self.batch.sample

    def of_kind(self, kind: Kind) -> list[Column]:
        """Return the columns of a kind."""
        with self.batch.open() as batch:
            return batch.columns(kind)

    def read(self, columns: Sequence[Column]) -> list[np.ndarray]:
        """Read columns of the selected jets, each (n,)."""
        with self.batch.open() as batch:
            found = [batch.read(column, self.rows) for column in columns]
        return found if self.repeat is None else [values[self.repeat] for values in found]

    def read_constituents(self, collection: str, columns: Sequence[Column]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Read the number of constituents per jet, and columns of the collection."""
        with self.batch.open() as batch:
            counts, rows = batch.constituents(collection, self.rows)
            found = [batch.read(column, rows) for column in columns]
        if self.repeat is None:
            return counts, found
        places = values_of(self.repeat, counts)
        return counts[self.repeat], [values[places] for values in found]


@dataclass(frozen=True)
class SelectionTables:
    """The tables of balance.h5 that say which jets of a sample are in an output, and how often.

    Attributes
    ----------
    axes, n_bins
        Axes and number of bins of the balancing histogram.
    from_bins
        Whether the output has only jets inside the bins.
    repeats, threshold : ndarray of int64, uint64, shape (n_classes * n_bins,), or None
        As in `jetmill.balancing.tables`; None if every jet is in the output once.
    limit : ndarray of uint64, shape (n_classes,), or None
        Selection key that the jets of each class are below; None if all jets are in the output.
    """

    axes: Sequence[Axis]
    n_bins: int
    from_bins: bool
    repeats: np.ndarray | None
    threshold: np.ndarray | None
    limit: np.ndarray | None = None

    @classmethod
    def read(cls, balance_file: h5py.File, output: str, sample: str) -> "SelectionTables":
        """Read the tables of an output and a sample."""
        axes = [Axis(name, balance_file[f"{EDGES}/{name}"][()]) for name in balance_file.attrs["variables"]]
        n_bins, from_bins = int(np.prod(shape(axes))), output in ("train", VAL_RESAMPLED)
        if f"{REPEATS}/{output}" not in balance_file:
            name = f"{LIMIT}/{output}/{sample}"
            limit = balance_file[name][()] if name in balance_file else None
            return cls(axes, n_bins, from_bins, None, None, limit)
        # Flat tables, indexed like bins.
        tables = (balance_file[f"{group}/{output}/{sample}"][()].reshape(-1) for group in (REPEATS, THRESHOLD))
        return cls(axes, n_bins, from_bins, *tables)

    def select(self, batch: Batch, rows: slice) -> "SelectedRows":
        """Decide how often consecutive jets of a batch are in the output."""
        key, label = batch.read(KEY, rows), batch.read(LABEL, rows)
        bin_index = read_bins(batch, self.axes, rows)
        inside = bin_index >= 0
        if self.limit is not None:
            # Jets without truth are of one class.
            limit = self.limit[np.minimum(label, len(self.limit) - 1)]
            return SelectedRows(key, label, bin_index, (selection_key(key) < limit).astype(np.int64))
        if self.repeats is None or self.threshold is None:
            all_once = not self.from_bins or bool(inside.all())
            return SelectedRows(key, label, bin_index, None if all_once else inside.astype(np.int64))
        at = label * np.int64(self.n_bins) + bin_index
        times = repeats(self.repeats[at], self.threshold[at], selection_key(key))
        return SelectedRows(key, label, bin_index, np.where(inside, times, 0))


@dataclass(frozen=True)
class SelectedRows:
    """Consecutive jets of a batch, and how often each is in an output.

    Attributes
    ----------
    key : ndarray of uint64; label : ndarray of uint8; bin_index : ndarray of int32, -1 outside; all of shape (n,)
    times : ndarray of int64, shape (n,), or None
        How often each is taken; None if every jet is taken once.
    """

    key: np.ndarray
    label: np.ndarray
    bin_index: np.ndarray
    times: np.ndarray | None


def select_jets(source: PartSpec, balance_file: h5py.File) -> Iterator[SelectedJets]:
    """Decide, batch by batch, which jets are in a part and how often."""
    for listed, rows, found in _selected_rows(source, balance_file):
        key, label, bin_index, times = found.key, found.label, found.bin_index, found.times
        if times is None:
            yield SelectedJets(listed, rows, None, mix(key), label, bin_index)
            continue
        repeat = np.repeat(np.arange(len(key)), times)
        copy = np.arange(len(repeat)) - np.repeat(np.cumsum(times) - times, times)
        order = mix(key[repeat] + copy.astype(np.uint64))
        yield SelectedJets(listed, rows, repeat, order, label[repeat], bin_index[repeat])


def jets_of_keys(source: PartSpec, balance_file: h5py.File, n_ranges: int) -> np.ndarray:
    """Return how many jets a part takes from each of `n_ranges` equal ranges of keys, int64 (n_ranges,).

    `n_ranges` is a power of two.
    """
    total = np.zeros(n_ranges, dtype=np.int64)
    for *_, found in _selected_rows(source, balance_file):
        place = found.key // np.uint64(2**64 // n_ranges)
        total += np.bincount(place.astype(np.int64), found.times, minlength=n_ranges).astype(np.int64)
    return total


def _selected_rows(source: PartSpec, balance_file: h5py.File) -> Iterator[tuple[CleanedBatch, slice, SelectedRows]]:
    """Yield each batch of a part, rows of each group in the range of keys, and how often each is taken."""
    split = SPLITS.index(split_of(source.output))
    tables_of = {
        sample: SelectionTables.read(balance_file, source.output, sample)
        for sample in {batch.sample for batch in source.batches}
    }
    for listed in source.batches:
        tables = tables_of[listed.sample]
        with listed.open() as batch:
            # A batch without any still says which columns there are.
            groups = batch.rows_with_keys(split, *source.slice_of_keys) or [slice(0, 0)]
            found = [(rows, tables.select(batch, rows)) for rows in groups]
        yield from ((listed, *of_group) for of_group in found)


def training_blocks(
    batches: Sequence[CleanedBatch],
    balance_file: h5py.File | None,
    collection: str | None,
    columns: Sequence[Column],
    n_jets: int,
) -> Iterator[tuple[Column, np.ndarray, np.ndarray | None]]:
    """Yield columns of the training jets, `n_jets` at a time.

    Parameters
    ----------
    balance_file
        Balance tables that say how often a jet is written; None if each counts once.
    collection
        Whose constituents the columns are of, None for jets.

    Yields
    ------
    Column, ndarray of shape (n,), ndarray of int64 of shape (n,) or None
        Column, values, and how often each counts (None: once).
    """
    for listed in batches if columns else ():
        tables = None if balance_file is None else SelectionTables.read(balance_file, "train", listed.sample)
        with listed.open() as batch:
            for rows in in_blocks(batch.rows(TRAIN), n_jets):
                times = None if tables is None else tables.select(batch, rows).times
                if collection is not None:
                    counts, rows = batch.constituents(collection, rows)
                    times = None if times is None else np.repeat(times, counts)
                for name in columns:
                    yield name, batch.read(name, rows), times


def read_bins(batch: Batch, axes: Sequence[Axis], rows: slice) -> np.ndarray:
    """Return the bin of consecutive jets of a batch in the balancing histogram, int32 (n,), -1 outside."""
    return find_bins([batch.read(variable(axis.variable), rows) for axis in axes], axes, rows.stop - rows.start)


def event_weights(batch: Batch, names: Sequence[str], rows: slice, used: np.ndarray) -> np.ndarray:
    """Return the event weights, products of columns, of the `used` (n,) of consecutive jets of a batch, float32.

    Raises
    ------
    JetmillError
        If one is missing for a jet.
    """
    try:
        return product({name: batch.read(event_weight(name), rows)[used] for name in names})
    except JetmillError as error:
        raise JetmillError(f"{batch.path}: {error}") from None


def final_order(selected: Sequence[SelectedJets]) -> np.ndarray:
    """Return the shuffled order of the selected jets of all batches, int64 (n_jets,)."""
    return np.argsort(np.concatenate([p.order for p in selected]), kind="stable")
