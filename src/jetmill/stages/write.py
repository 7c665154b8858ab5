"""One part of a split: rows of many batches, scaled, weighted, shuffled and written once."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from jetmill import columns as store
from jetmill import layout
from jetmill.balancing import kept_copies
from jetmill.columns import Batch
from jetmill.errors import JetmillError
from jetmill.randomness import mix
from jetmill.scaling import Scaler, read_scalers, scale_rows
from jetmill.splitting import SPLITS, TRAIN
from jetmill.stages.balance import EDGES, QUOTA, WEIGHTS
from jetmill.stages.bin_jets import CELL, COUNTS, RANK

# Rows that are scaled and turned from columns to rows at a time: they stay in the cache.
BLOCK_ROWS = 8192

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartOf:
    """Where the jets of a part come from.

    Attributes
    ----------
    split
        ``train``, ``val`` or ``test``.
    part, n_parts
        The part takes the `part`-th of `n_parts` equal ranges of keys of each batch.
    batches
        Name, column file and bin file of each batch.
    """

    split: str
    part: int
    n_parts: int
    batches: Sequence[tuple[str, str | Path, str | Path]]


@dataclass(frozen=True)
class Picked:
    """The jets that a part takes from one batch.

    Attributes
    ----------
    rows
        Rows of the batch, in one piece.
    repeat : ndarray of int64, shape (n,), or None
        Row to take, counted from ``rows.start``; a row that is kept twice is there twice. None if
        every row is taken once.
    order : ndarray of uint64, shape (n,)
        Key by which the part is shuffled.
    label : ndarray of uint8; cell : ndarray of uint32; both shape (n,)
    """

    path: str | Path
    rows: slice
    repeat: np.ndarray | None
    order: np.ndarray
    label: np.ndarray
    cell: np.ndarray

    def read(self, batch: Batch, name: str) -> np.ndarray:
        """Read a column of the picked jets."""
        values = batch.read(name, self.rows)
        return values if self.repeat is None else values[self.repeat]


def pick(source: PartOf, balance_file: h5py.File) -> Iterator[Picked]:
    """Decide, batch by batch, which jets are in a part and how often."""
    split = SPLITS.index(source.split)
    for name, path, bins in source.batches:
        with Batch(path) as batch, h5py.File(bins, "r") as binned:
            rows = batch.rows_with_keys(split, source.part, source.n_parts)
            key, label, cell = batch.read(store.KEY, rows), batch.read(store.LABEL, rows), binned[CELL][rows]
            if split != TRAIN or QUOTA not in balance_file:
                yield Picked(path, rows, None, mix(key), label, cell)
                continue
            quota = balance_file[f"{QUOTA}/{name}"][()]
            at = (label, *np.unravel_index(cell, quota.shape[1:]))
            copies = kept_copies(quota[at], binned[COUNTS][TRAIN][at], binned[RANK][rows].astype(np.int64))
        repeat = np.repeat(np.arange(len(key)), copies)
        copy = np.arange(len(repeat)) - np.repeat(np.cumsum(copies) - copies, copies)
        order = mix(key[repeat] + copy.astype(np.uint64))
        yield Picked(path, rows, repeat, order, label[repeat], cell[repeat])


def read_columns(picked: Sequence[Picked], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read columns of the picked jets of all batches, each (n_jets,)."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for p in picked:
        with Batch(p.path) as batch:
            for name in names:
                found[name].append(p.read(batch, name))
    return {name: np.concatenate(values) for name, values in found.items()}


def final_order(picked: Sequence[Picked]) -> np.ndarray:
    """Return the shuffled order of the picked jets of all batches, int64 (n_jets,)."""
    return np.argsort(np.concatenate([p.order for p in picked]), kind="stable")


def write_part(
    source: PartOf,
    balance_path: str | Path,
    scalers_path: str | Path,
    output: str | Path,
    *,
    samples: Sequence[str],
    precision: str,
) -> None:
    """Write a part in the layout of `jetmill.layout`.

    Parameters
    ----------
    samples
        All samples; the position of a jet's sample becomes ``jets/sample``.
    precision
        ``float32`` or ``float16``, the type of ``jets/inputs``.

    Raises
    ------
    JetmillError
        If a scaled value does not fit into float16.
    """
    scalers = read_scalers(scalers_path)
    with h5py.File(balance_path, "r") as balance_file:
        picked = list(pick(source, balance_file))
        classes = list(balance_file.attrs["classes"])
        bin_variables = list(balance_file.attrs["variables"])
        n_bins = [len(balance_file[f"{EDGES}/{v}"]) - 1 for v in bin_variables]
        tables = {name: balance_file[f"{WEIGHTS}/{name}"][()] for name in balance_file.attrs["weights"]}
    arrays = _global_columns(picked, tables, n_bins, len(classes))
    arrays[layout.SAMPLE] = np.concatenate(
        [
            np.full(len(p.label), samples.index(name.split("/")[0]), dtype=np.uint8)
            for p, (name, _, _) in zip(picked, source.batches, strict=True)
        ]
    )
    arrays |= _carried(picked)
    arrays[layout.INPUTS], arrays[layout.IS_DEFAULT] = scaled_inputs(picked, scalers)
    if precision == "float16":
        _check_float16(arrays[layout.INPUTS], list(scalers))
    order = final_order(picked)
    variables = {"jet_variables": list(scalers)}
    affine = {key: [getattr(s, key) for s in scalers.values()] for key in ("shift", "scale", "default")}
    attributes = {
        layout.INPUTS: variables | affine,
        layout.IS_DEFAULT: variables,
        layout.LABELS: {"label_classes": classes},
        layout.ONE_HOT: {"label_classes": classes},
        layout.BINS: {"bin_variables": bin_variables},
        layout.SAMPLE: {"samples": list(samples)},
    }
    layout.write_rows(output, arrays, order, attributes, {layout.INPUTS: precision})
    by_class = np.bincount(arrays[layout.LABELS], minlength=len(classes))
    read = sum(p.rows.stop - p.rows.start for p in picked)
    content = ", ".join(f"{c} {n}" for c, n in zip(classes, by_class, strict=True))
    logger.info("%12d jets read from %d batches", read, len(picked))
    logger.info("%12d jets written (%s)", len(order), content)


def scaled_inputs(picked: Sequence[Picked], scalers: dict[str, Scaler]) -> tuple[np.ndarray, np.ndarray]:
    """Read and scale the inputs of picked jets.

    Returns
    -------
    inputs : ndarray of float32, shape (n_jets, n_variables)
    is_default : ndarray of bool, shape (n_jets, n_variables)
        Where the value was missing.
    """
    n_jets = sum(len(p.label) for p in picked)
    inputs = np.empty((n_jets, len(scalers)), dtype=np.float32)
    is_default = np.empty((n_jets, len(scalers)), dtype=bool)
    start = 0
    for p in picked:
        with Batch(p.path) as batch:
            columns = [p.read(batch, f"{store.VARIABLES}/{name}") for name in scalers]
        for first in range(0, len(p.label), BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            place = slice(start + first, start + min(first + BLOCK_ROWS, len(p.label)))
            inputs[place], is_default[place] = scale_rows([c[block] for c in columns], list(scalers.values()))
        start += len(p.label)
    return inputs, is_default


def _global_columns(
    picked: Sequence[Picked], tables: dict[str, np.ndarray], n_bins: Sequence[int], n_classes: int
) -> dict[str, np.ndarray]:
    """Return labels, weights and bins of picked jets."""
    label = np.concatenate([p.label for p in picked])
    bins = np.unravel_index(np.concatenate([p.cell for p in picked]), n_bins)
    arrays = {
        layout.LABELS: label,
        layout.ONE_HOT: np.eye(n_classes, dtype=np.uint8)[label],
        layout.BINS: np.stack(bins, axis=1).astype(np.min_scalar_type(max(n_bins) - 1)),
        layout.WEIGHT: np.ones(len(label), dtype=np.float32),
    }
    for number, (name, table) in enumerate(tables.items()):
        dataset = f"{layout.WEIGHT}_{name}" if number else layout.WEIGHT
        arrays[dataset] = table[(label, *bins)].astype(np.float32)
    return arrays


def _carried(picked: Sequence[Picked]) -> dict[str, np.ndarray]:
    """Return the columns that are passed on as they are: reference taggers and event identity."""
    groups = {store.REFERENCE: layout.REFERENCE, store.EVENT: layout.EVENT}
    with Batch(picked[0].path) as batch:
        targets = {f"{group}/{n}": f"{target}/{n}" for group, target in groups.items() for n in batch.names(group)}
    return {targets[name]: values for name, values in read_columns(picked, list(targets)).items()}


def _check_float16(inputs: np.ndarray, variables: Sequence[str]) -> None:
    limit = float(np.finfo(np.float16).max)
    largest = np.maximum(inputs.max(axis=0, initial=0), -inputs.min(axis=0, initial=0))
    if (over := largest > limit).any():
        names = ", ".join(f"'{v}' ({x:g})" for v, x in zip(variables, largest, strict=True) if x > limit)
        raise JetmillError(
            f"{over.sum()} scaled variable(s) do not fit into float16, whose largest number is {limit:g}: {names}."
            " Set write.precision: float32, or cut the outliers away"
        )
