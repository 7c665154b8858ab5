"""The jets of a batch in their final order: grouped by split or fold, sorted by key."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from jetmill.cleaning.column_buffer import Block, ColumnBuffer
from jetmill.columns.schema import KEY, LABEL, NOT_STORED, ROW, Column, Kind, counts, offsets, split_expression
from jetmill.ragged import starts_of
from jetmill.settings.clean import CleanSettings
from jetmill.splitting import JetsToSplit


@dataclass(frozen=True)
class Sorted:
    """Jets of a batch in their final order, to be written piece by piece.

    Attributes
    ----------
    columns
        Length and type of each column.
    pieces
        Column, first row and values (n,).
    class_counts
        Jets of each class in each group, a split or fold, int64 (n_groups, n_classes).
    """

    columns: dict[Column, tuple[int, np.dtype]]
    pieces: Iterator[tuple[Column, int, np.ndarray]]
    class_counts: np.ndarray


def sort_jets(buffer: ColumnBuffer, settings: CleanSettings) -> Sorted:
    """Split and sort the jets of a batch, block by block.

    Raises
    ------
    JetmillError
        If no type holds all values of a column.
    """
    blocks, group_of = buffer.blocks(), _groups(buffer, settings)
    n_classes, n_groups = len(settings.class_names), len(settings.split.group_names)
    classes = np.zeros((n_groups, n_classes), dtype=np.int64)
    # For jets (None) and each collection: rows of each block in each group.
    sizes = {of: np.zeros((len(blocks), n_groups), dtype=np.int64) for of in (None, *settings.constituents)}
    for number, block in enumerate(blocks):
        group = group_of(block)
        # Without truth all jets are of one class.
        of_class = group * np.int64(n_classes) + np.minimum(block.read(LABEL), n_classes - 1)
        classes += np.bincount(of_class, minlength=classes.size).reshape(classes.shape)
        sizes[None][number] = np.bincount(group, minlength=n_groups)
        for collection in settings.constituents:
            per_jet = block.read(counts(collection))
            sizes[collection][number] = np.bincount(group, weights=per_jet, minlength=n_groups)
    lengths = {of: int(n.sum()) for of, n in sizes.items()}
    stored = {name: dtype for name, dtype in blocks[0].types.items() if name.kind not in NOT_STORED}
    columns = {name: (lengths[name.constituents], dtype) for name, dtype in stored.items()}
    columns |= {offsets(c): (lengths[None] + 1, np.dtype(np.int64)) for c in settings.constituents}
    return Sorted(columns, _pieces(blocks, group_of, list(stored), sizes), classes)


def _pieces(
    blocks: list[Block],
    group_of: Callable[[Block], np.ndarray],
    names: list[Column],
    sizes: dict[str | None, np.ndarray],
) -> Iterator[tuple[Column, int, np.ndarray]]:
    # The groups follow each other, and the blocks within each group.
    starts = {of: starts_of(n.T.reshape(-1)).reshape(n.T.shape).T for of, n in sizes.items()}

    def cuts(of: str | None, number: int) -> list[tuple[int, int, int]]:
        """Return for each group the first row in the file, the first row in the block, and the number of rows."""
        n = sizes[of][number]
        return list(zip(starts[of][number].tolist(), starts_of(n).tolist(), n.tolist(), strict=True))

    for number, block in enumerate(blocks):
        order = np.lexsort((block.read(KEY), group_of(block)))
        for of, places in block.places(order):
            for name in names:
                if name.constituents == of:
                    values = block.take(name, places)
                    yield from ((name, start, values[first : first + n]) for start, first, n in cuts(of, number))
            if of is not None:
                per_jet = block.read(counts(of))[order].astype(np.int64)
                of_groups = zip(cuts(None, number), cuts(of, number), strict=True)
                for (start, first, n), (start_of_values, _, _) in of_groups:
                    yield offsets(of), start, start_of_values + starts_of(per_jet[first : first + n])
    for of, in_blocks in sizes.items():
        if of is not None:
            yield offsets(of), int(sizes[None].sum()), np.array([in_blocks.sum()])


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


def _groups(buffer: ColumnBuffer, settings: CleanSettings) -> Callable[[Block], np.ndarray]:
    """Return a function that finds the split, or fold, of the jets of a block, uint8 (n_jets,)."""

    def of_block(block: Block) -> np.ndarray:
        row = block.read(ROW) if settings.split.rule.row else np.empty(0, dtype=np.int64)
        return group_codes(block.read, settings, row, buffer.n_jets)

    return of_block
