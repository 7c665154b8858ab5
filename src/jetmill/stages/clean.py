"""Cleaning: a batch of input files becomes one file of columns.

Reads in bounded chunks and cleans each (`jetmill.cleaning`); constituents are read when it is known
which jets stay. Then the columns of the batch are put in their final order one by one.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jetmill import columns as store
from jetmill.cleaning import ConstituentRecipe, JetRecipe
from jetmill.config_cleaning import Cleaning, Split
from jetmill.errors import JetmillError
from jetmill.files import sha256
from jetmill.ragged import values_of
from jetmill.randomness import keys
from jetmill.sources import open_source
from jetmill.splitting import SPLITS, split_by_event, split_by_jet, split_by_modulo
from jetmill.spool import Spool

logger = logging.getLogger(__name__)


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
    recipe = JetRecipe(settings, sample)
    recipes = {name: ConstituentRecipe(name, settings, sample) for name in settings.constituents}
    flow, ambiguous = np.zeros(len(recipe.steps), dtype=np.int64), 0
    constituent_flow = {name: np.zeros(len(ConstituentRecipe.STEPS), dtype=np.int64) for name in recipes}
    inputs: list[dict[str, Any]] = []
    with Spool(Path(output).parent) as spool:
        for number, path in enumerate(files, start=first_file):
            with open_source(str(path), settings.input, settings.constituents) as source:
                in_file, identity = source.dtypes(recipe.read), source.identity
                _check_integers(path, "input.event_id", in_file, settings.input.event_id)
                types = recipe.types(in_file)
                for name, r in recipes.items():
                    of_collection = source.constituent_dtypes(name, r.read)
                    labels = [label for label in settings.constituents[name].labels if label in of_collection]
                    _check_integers(path, f"constituents.{name}.labels", of_collection, labels)
                    types |= r.types(of_collection)
                spool.expect(types, path)
                before = flow.copy()
                for chunk in source.chunks(recipe.read, {name: r.read for name, r in recipes.items()}):
                    cleaned = recipe.clean(chunk, recipes, number)
                    columns, kept = cleaned.columns, cleaned.kept
                    flow += cleaned.flow
                    ambiguous += cleaned.ambiguous
                    of_jets = [np.full(kept.sum(), number), chunk.entry[kept], chunk.position[kept]]
                    columns[store.KEY] = keys(settings.seed, "order", sample, of=of_jets)
                    for name, r in recipes.items():
                        more, counted = r.clean(chunk, cleaned, number)
                        columns |= more
                        constituent_flow[name] += counted
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
        for name, (n_read, n_selected, n_kept) in constituent_flow.items():
            of = f"{name} of the jets that stay"
            logger.info(
                "%12d %s, %d selected, %d beyond the slots cut off", n_read, of, n_selected, n_selected - n_kept
            )
        cutflow = list(zip(recipe.steps, flow.tolist(), strict=True))
        attributes = {
            "sample": sample,
            "cutflow": cutflow,
            "constituents": {name: counted.tolist() for name, counted in constituent_flow.items()},
            "inputs": inputs,
        }
        _write(output, spool, settings, attributes)


def _check_integers(path: str | Path, key: str, types: Mapping[str, np.dtype], names: Sequence[str]) -> None:
    for name in names:
        if types[name].kind not in "iu":
            raise JetmillError(f"{path}: '{name}' of {key} is {types[name]}; it must be an integer")


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
    columns = _in_order(spool, order, settings.constituents)
    store.write_batch(output, columns, attributes | {"splits": counts.sum(axis=1), "class_counts": counts})
    for title, left in attributes["cutflow"]:
        logger.info("%12d jets  %s", left, title)
    for name, in_split in zip(SPLITS, counts, strict=True):
        by_class = ", ".join(f"{n} {c}" for c, n in zip(settings.classes, in_split, strict=True))
        logger.info("%12d jets  in %s (%s)", in_split.sum(), name, by_class)


def _in_order(spool: Spool, order: np.ndarray, collections: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the columns of a batch with their jets in another order."""
    of_constituents = [name for name in spool.names() if name.startswith(store.CONSTITUENTS)]
    for name in spool.names():
        if name not in of_constituents:
            yield name, spool.column(name)[order]
    for collection in collections:
        counts = spool.column(store.counts(collection)).astype(np.int64)
        yield store.offsets(collection), np.concatenate([[0], np.cumsum(counts[order])])
        places = values_of(order, counts)
        for name in of_constituents:
            if name.startswith(f"{store.CONSTITUENTS}/{collection}/") and name != store.counts(collection):
                yield name, spool.column(name)[places]
