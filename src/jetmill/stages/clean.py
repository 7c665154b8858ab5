"""CleanSettings: a batch of input files becomes one file of columns.

Reads in bounded chunks and cleans each (`jetmill.cleaning.recipes`); constituents are read when it is known
which jets stay. Then the columns of the batch are put in their final order one by one.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jetmill.cleaning.recipes import ConstituentRecipe, JetRecipe
from jetmill.cleaning.sorting import sort_jets
from jetmill.cleaning.spool import Spool
from jetmill.columns.batch_file import write_batch
from jetmill.columns.schema import KEY, LABEL, ROW, Column
from jetmill.errors import JetmillError
from jetmill.files import unwritable_named
from jetmill.logs import warnings_kept
from jetmill.randomness import keys
from jetmill.settings.clean import CleanSettings
from jetmill.sources import Chunk, Source, UnreadableError, open_source
from jetmill.sources.checksums import check_bytes
from jetmill.sources.remote import is_remote
from jetmill.splitting import SPLITS

logger = logging.getLogger(__name__)


def clean_batch(
    files: Sequence[str | Path],
    output: str | Path,
    *,
    settings: CleanSettings,
    sample: str,
    first_file: int,
    checksums: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Clean the files of one batch into a column file.

    A file that cannot be read is skipped with all of its jets if ``settings.input.unreadable`` says so.

    Parameters
    ----------
    files
        Input files or their URLs, in the order of the sample.
    output
        The column file, see `jetmill.columns`.
    sample
        Name of the sample.
    first_file
        Position of ``files[0]`` in the list of the sample.
    checksums
        File to algorithm to the checksum it must have, see `jetmill.sources.checksums`.

    Raises
    ------
    UnreadableError
        If a file cannot be read or has another checksum, unless such files are skipped.
    JetmillError
        If a branch is missing, or its type is not that of the other files.
    """
    recipes = Recipes(settings, sample)
    counts, inputs = recipes.nothing(), []
    before = {path: _state(path) for path in map(str, files)}
    with (
        unwritable_named(Path(output)),
        Spool(Path(output).parent, recipes.own_types) as spool,
        warnings_kept() as warnings,
    ):
        for number, path in enumerate(map(str, files), start=first_file):
            spool.mark()
            try:
                expected = (checksums or {}).get(path, {})
                entry, of_file = _clean_file(path, number, spool, recipes, expected)
            except UnreadableError as error:
                if settings.input.unreadable == "error":
                    raise
                spool.roll_back()
                logger.warning("skipped %s", error)
                inputs.append({"path": path, "skipped": str(error).removeprefix(f"{path}: "), "jets": 0, "kept": 0})
            else:
                counts += of_file
                inputs.append(entry)
        if skipped := sum("skipped" in entry for entry in inputs):
            logger.warning("%d of %d files skipped", skipped, len(inputs))
        if skipped == len(inputs):
            spool.expect(recipes.types_without_files())
        if counts.ambiguous:
            logger.warning("%d jets fit more than one class; the first one counts", counts.ambiguous)
        for name, (n_read, n_selected, n_kept) in counts.constituents.items():
            of = f"{name} of the jets that stay"
            logger.info(
                "%12d %s, %d selected, %d beyond the slots cut off", n_read, of, n_selected, n_selected - n_kept
            )
        for name, n in sorted((+counts.lost).items()):
            logger.info("%12d values of %s are missing: infinite, undefined, or too large for their type", n, name)
        attributes = {
            "sample": sample,
            "cutflow": list(zip(recipes.jets.steps, counts.flow.tolist(), strict=True)),
            "constituents": {name: counted.tolist() for name, counted in counts.constituents.items()},
            "inputs": inputs,
            "warnings": warnings,
        }
        # Snakemake would not see it: what is written now is newer than the change.
        if changed := [path for path, state in before.items() if _state(path) != state]:
            raise JetmillError(f"{changed[0]}: changed while it was read; start again when it is complete")
        _write(output, spool, settings, attributes)


def _state(path: str) -> tuple[int, ...] | None:
    """Return what changes when a file on this machine is written or replaced, None without it.

    The time of modification can be set back, as by ``rsync --inplace --times``; that of the status (ctime) cannot.
    """
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@dataclass(frozen=True)
class _Counts:
    """What is counted while files are read.

    Attributes
    ----------
    flow
        Jets after each step of the recipe, int64 (n_steps,).
    constituents
        Collection to constituents after each step, int64 (n_steps,).
    ambiguous
        Jets that fit more than one class.
    lost
        Variable to values that are missing as they are infinite, undefined, or beyond the type that stores them.
    """

    flow: np.ndarray
    constituents: dict[str, np.ndarray]
    ambiguous: int
    lost: Counter[str]

    def __add__(self, other: "_Counts") -> "_Counts":
        constituents = {name: counted + other.constituents[name] for name, counted in self.constituents.items()}
        ambiguous, lost = self.ambiguous + other.ambiguous, self.lost + other.lost
        return _Counts(self.flow + other.flow, constituents, ambiguous, lost)


class Recipes:
    """What is read of the files of a sample and what becomes of it; streams of files use it too."""

    def __init__(self, settings: CleanSettings, sample: str):
        self.settings, self.sample = settings, sample
        self.jets = JetRecipe(settings, sample)
        self.constituents = {name: ConstituentRecipe(name, settings, sample) for name in settings.constituents}
        self.own_types: dict[Column, np.dtype] = {KEY: np.dtype(np.uint64), LABEL: np.dtype(np.uint8)}
        if settings.split.by == "jet":
            self.own_types[ROW] = np.dtype(np.int64)

    def nothing(self) -> _Counts:
        """Return the counts before anything is read."""
        steps = dict.fromkeys(self.constituents, np.zeros(len(ConstituentRecipe.STEPS), dtype=np.int64))
        return _Counts(np.zeros(len(self.jets.steps), dtype=np.int64), steps, 0, Counter())

    def chunks(self, source: Source) -> Iterator[Chunk]:
        """Yield what is read of a file."""
        return source.chunks(self.jets.read, {name: recipe.read for name, recipe in self.constituents.items()})

    def clean(self, chunk: Chunk, number: int) -> tuple[dict[Column, np.ndarray], _Counts]:
        """Return the columns of the jets of a chunk that stay, and what was counted.

        Parameters
        ----------
        number
            Number of the file in the sample.
        """
        cleaned = self.jets.clean(chunk, self.constituents, number)
        columns, of_constituents, lost = cleaned.columns, {}, Counter(cleaned.lost)
        for name, recipe in self.constituents.items():
            more, counted, lost_of_constituents = recipe.clean(chunk, cleaned, number)
            columns |= more
            of_constituents[name] = np.array(counted)
            lost.update({f"{variable} of {name}": n for variable, n in lost_of_constituents.items()})
        kept = cleaned.kept
        of_jets = [np.full(kept.sum(), number), chunk.entry[kept], chunk.position[kept]]
        columns[KEY] = keys(self.settings.seed, "order", self.sample, of=of_jets)
        return columns, _Counts(np.array(cleaned.flow), of_constituents, cleaned.ambiguous, lost)

    def types_of(self, path: str, source: Source) -> dict[Column, np.dtype]:
        """Return the types of the columns, or raise for one that the file does not have as it should."""
        in_file = source.dtypes(self.jets.read)
        _check_integers(path, "input.event_id", in_file, self.settings.input.event_id)
        types = self.jets.types(in_file)
        for name, recipe in self.constituents.items():
            of_collection = source.constituent_dtypes(name, recipe.read)
            labels = [label for label in self.settings.constituents[name].labels if label in of_collection]
            _check_integers(path, f"constituents.{name}.labels", of_collection, labels)
            types |= recipe.types(of_collection)
        return types

    def types_without_files(self) -> dict[Column, np.dtype]:
        """Return types for columns without rows.

        What keeps the type of the files is bool; those of other batches decide in which type it is read.
        """
        as_in_file = {*self.settings.input.event_id, *self.settings.jets.additional_labels}.difference(
            self.settings.made
        )
        types = self.jets.types(dict.fromkeys(as_in_file, np.dtype(bool)))
        for recipe in self.constituents.values():
            types |= recipe.types({})
        return types


def _clean_file(
    path: str, number: int, spool: Spool, recipes: Recipes, expected: Mapping[str, str]
) -> tuple[dict[str, Any], _Counts]:
    """Add the jets of a file to the spool; return what is recorded of it, and counts."""
    settings, counts = recipes.settings, recipes.nothing()
    # Before anything of it is used: damage can make a name or a number of another one.
    found = check_bytes(path, expected, ["sha256"] if settings.input.checksum and not is_remote(path) else [])
    with open_source(path, settings.input, settings.constituents) as source:
        identity = source.identity
        spool.expect(recipes.types_of(path, source), path)
        for chunk in recipes.chunks(source):
            columns, of_chunk = recipes.clean(chunk, number)
            counts += of_chunk
            if ROW in recipes.own_types:
                columns[ROW] = spool.n_jets + np.arange(len(columns[KEY]))
            spool.append(columns)
    read, *_, left_over = counts.flow.tolist()
    logger.info("%s: %d jets read, %d kept", path, read, left_over)
    checked = {"checked": dict(expected)} if expected else {}
    return {"path": path, **identity, "sha256": found.get("sha256"), **checked, "jets": read, "kept": left_over}, counts


def _check_integers(path: str | Path, key: str, types: Mapping[str, np.dtype], names: Sequence[str]) -> None:
    for name in names:
        if types[name].kind not in "iu":
            raise JetmillError(f"{path}: '{name}' of {key} is {types[name]}; it must be an integer")


def _write(output: str | Path, spool: Spool, settings: CleanSettings, attributes: dict[str, Any]) -> None:
    """Put the jets of a batch in their order and write them."""
    jets = sort_jets(spool, settings)
    counts = jets.class_counts
    attributes |= {"types": spool.seen.as_json(), "splits": counts.sum(axis=1), "class_counts": counts}
    write_batch(output, jets.columns, jets.pieces, attributes)
    for title, left in attributes["cutflow"]:
        logger.info("%12d jets  %s", left, title)
    for name, in_split in zip(SPLITS, counts, strict=True):
        by_class = ", ".join(f"{n} {c}" for c, n in zip(settings.class_names, in_split, strict=True))
        logger.info("%12d jets  in %s (%s)", in_split.sum(), name, by_class)
