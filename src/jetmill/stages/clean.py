"""Cleaning: a batch of input files becomes one file of columns.

Reads in bounded chunks; a chunk passes derived variables, the missing-value rules, the cuts and
the class labels. Then the columns of the batch are put in their final order one by one.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jetmill import columns as store
from jetmill.config import Cleaning, Split
from jetmill.errors import JetmillError
from jetmill.expressions import Expression
from jetmill.files import sha256
from jetmill.missing import mark_missing, stored_type
from jetmill.randomness import keys
from jetmill.selection import apply_cuts, label
from jetmill.sources import OPENERS, Chunk
from jetmill.splitting import SPLITS, split_by_event, split_by_jet, split_by_modulo
from jetmill.spool import Spool

logger = logging.getLogger(__name__)


class Recipe:
    """Which columns to read and what to make of them.

    Attributes
    ----------
    carried
        Dataset name of each stored column to the variable it holds.
    read
        Variables to read from the files.
    """

    def __init__(self, settings: Cleaning):
        self._jets, self._classes = settings.jets, settings.classes
        self._event_id = settings.input.event_id
        groups = {
            store.VARIABLES: settings.stored_variables,
            store.REFERENCE: self._jets.reference,
            store.EVENT: self._event_id,
        }
        self.carried = {f"{group}/{name}": name for group, names in groups.items() for name in names}
        wanted = dict.fromkeys([*self.carried.values(), *settings.used_variables])
        self.read = [name for name in wanted if name not in self._jets.define]

    def types(self, in_file: Mapping[str, np.dtype]) -> dict[str, np.dtype]:
        """Return the type each stored column gets, from those of the variables in the files."""
        types = {}
        for column, name in self.carried.items():
            if column.startswith(store.EVENT):
                types[column] = in_file[name]
            elif column.startswith(store.REFERENCE) or name not in in_file:
                types[column] = np.dtype(np.float32)
            else:
                types[column] = stored_type(in_file[name])
        return types

    @property
    def steps(self) -> list[str]:
        """Titles of the cutflow."""
        return ["read", *(c.cut for c in self._jets.select), "in a class"]

    def clean(self, chunk: Chunk) -> tuple[dict[str, np.ndarray], np.ndarray, list[int], int]:
        """Clean some jets.

        Returns
        -------
        columns
            The stored columns and the labels of the jets to keep.
        kept : ndarray of bool, shape (n_jets,)
        flow
            Jets left after each of `steps`.
        ambiguous
            Jets that fit more than one class.
        """
        table = self._mark_missing(chunk.columns)
        counts = {count: table[count] for count in self._jets.missing.slots}
        for name, text in self._jets.define.items():
            value = np.broadcast_to(Expression(text)(table), len(chunk))
            with np.errstate(over="ignore"):
                table |= self._mark_missing({name: value.astype(np.float32)} | counts)
        passed, left = apply_cuts(table, self._jets.select)
        labels, ambiguous = label(table, list(self._classes.values()))
        kept = passed & (labels >= 0)
        flow = [len(chunk), *left, int(kept.sum())]
        # Only variables follow the rules for missing values; the rest is carried as it came.
        columns = {
            column: (table if column.startswith(store.VARIABLES) else chunk.columns)[name][kept]
            for column, name in self.carried.items()
        }
        return columns | {store.LABEL: labels[kept].astype(np.uint8)}, kept, flow, ambiguous

    def _mark_missing(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        rules = self._jets.missing
        return mark_missing(columns, values=rules.values, values_of=rules.values_of, slots=rules.slots)


def clean_batch(
    files: Sequence[str | Path], output: str | Path, *, settings: Cleaning, sample: str, first_file: int
) -> None:
    """Clean the files of one batch into a column file.

    Parameters
    ----------
    files
        Input files, in the order of the sample.
    output
        The column file, see `jetmill.columns`.
    sample
        Name of the sample.
    first_file
        Position of ``files[0]`` in the list of the sample.

    Raises
    ------
    JetmillError
        If a file cannot be read, a branch is missing, or its type is not that of the other files.
    """
    recipe = Recipe(settings)
    open_source = partial(
        OPENERS[settings.input.format], tree=settings.input.tree, level=settings.input.level, jets=settings.input.jets
    )
    flow, ambiguous = np.zeros(len(recipe.steps), dtype=np.int64), 0
    inputs: list[dict[str, Any]] = []
    with Spool(Path(output).parent) as spool:
        for number, path in enumerate(files, start=first_file):
            with open_source(str(path)) as source:
                in_file, identity = source.dtypes(recipe.read), source.identity
                _check_event_id(path, in_file, settings.input.event_id)
                spool.expect(recipe.types(in_file), path)
                before = flow.copy()
                for chunk in source.chunks(recipe.read):
                    columns, kept, left, unclear = recipe.clean(chunk)
                    flow += left
                    ambiguous += unclear
                    of_jets = [np.full(kept.sum(), number), chunk.entry[kept], chunk.position[kept]]
                    columns[store.KEY] = keys(settings.seed, "order", sample, of=of_jets)
                    spool.append(columns)
            read, *_, left_over = (flow - before).tolist()
            logger.info("%s: %d jets read, %d kept", path, read, left_over)
            inputs.append(
                {
                    "path": str(path),
                    **identity,
                    "sha256": sha256(path) if settings.input.checksum and Path(path).exists() else None,
                    "jets": read,
                    "kept": left_over,
                }
            )
        if ambiguous:
            logger.warning("%d jets fit more than one class; the first one counts", ambiguous)
        cutflow = list(zip(recipe.steps, flow.tolist(), strict=True))
        _write(output, spool, settings, {"sample": sample, "cutflow": cutflow, "inputs": inputs})


def _check_event_id(path: str | Path, types: Mapping[str, np.dtype], event_id: Sequence[str]) -> None:
    for name in event_id:
        if types[name].kind not in "iu":
            raise JetmillError(
                f"{path}: '{name}' of input.event_id is {types[name]}; the identity of an event must be an integer"
            )


def _split(spool: Spool, settings: Cleaning, sample: str) -> np.ndarray:
    split: Split = settings.split
    # The models guarantee shares or lists of remainders; mypy cannot see which.
    if split.by == "jet":
        n_jets = len(spool.column(store.LABEL))
        return split_by_jet(n_jets, test=split.test, val=split.val, random_state=settings.seed)  # type: ignore[arg-type]
    event = [spool.column(f"{store.EVENT}/{name}") for name in settings.input.event_id]
    if split.by == "event":
        event_keys = keys(settings.seed, "split", sample, of=event)
        return split_by_event(event_keys, test=split.test, val=split.val)  # type: ignore[arg-type]
    return split_by_modulo(event[-1], modulo=split.modulo, test=split.test, val=split.val)  # type: ignore[arg-type]


def _write(output: str | Path, spool: Spool, settings: Cleaning, attributes: dict[str, Any]) -> None:
    """Put the columns of a batch in their order, one by one, and write them."""
    split, labels = _split(spool, settings, attributes["sample"]), spool.column(store.LABEL)
    order = np.lexsort((spool.column(store.KEY), split))
    n_classes = len(settings.classes)
    counts = np.bincount(split * np.int64(n_classes) + labels, minlength=len(SPLITS) * n_classes).reshape(-1, n_classes)
    columns = ((name, spool.column(name)[order]) for name in spool.names())
    store.write_batch(output, columns, attributes | {"splits": counts.sum(axis=1), "class_counts": counts})
    for title, left in attributes["cutflow"]:
        logger.info("%12d jets  %s", left, title)
    for name, in_split in zip(SPLITS, counts, strict=True):
        by_class = ", ".join(f"{n} {c}" for c, n in zip(settings.classes, in_split, strict=True))
        logger.info("%12d jets  in %s (%s)", in_split.sum(), name, by_class)
