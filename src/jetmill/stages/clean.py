"""Cleaning: a batch of input files becomes one file of columns.

Files are read in bounded chunks, which `jetmill.cleaning.cleaner` turns into columns. These are written run by run
(`jetmill.cleaning.column_buffer`).
"""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jetmill.cleaning.cleaner import Cleaner
from jetmill.cleaning.column_buffer import LIMITS, ColumnBuffer, Limits
from jetmill.cleaning.counts import Counts
from jetmill.columns.batch_file import create_batch
from jetmill.errors import JetmillError
from jetmill.logs import warnings_kept
from jetmill.settings.clean import CleanSettings, InputBatch
from jetmill.sources import UnreadableError
from jetmill.sources.checksums import check_bytes
from jetmill.sources.remote import is_remote

logger = logging.getLogger(__name__)


def clean_batch(batch: InputBatch, output: str | Path, settings: CleanSettings, limits: Limits = LIMITS) -> None:
    """Clean the files of one batch into a column file (`jetmill.columns`).

    A file that cannot be read is skipped with all of its jets if ``settings.input.unreadable`` says so. Of the
    output, only the runs depend on `limits`.

    Raises
    ------
    UnreadableError
        If a file cannot be read or has another checksum than expected, unless such files are skipped.
    JetmillError
        If a branch is missing, or its type is not that of the other files.
    """
    cleaner = Cleaner(settings, batch.sample, truth=batch.truth)
    counts, inputs = cleaner.no_counts, []
    before = {path: _state(path) for path in batch.files}
    cleaner.keep_all_of(batch.files)
    with create_batch(output) as writer, warnings_kept() as warnings:
        buffer = ColumnBuffer(writer, cleaner.settings, cleaner.own_types, limits)
        for number, path in enumerate(batch.files, start=batch.first_file):
            buffer.mark()
            try:
                checksum = _check(path, batch.checksums.get(path, {}), settings)
                identity, of_file = _clean_file(path, number, buffer, cleaner)
            except UnreadableError as error:
                if settings.input.unreadable == "error":
                    raise
                buffer.roll_back()
                logger.warning("skipped %s", error)
                inputs.append({"path": path, "skipped": str(error).removeprefix(f"{path}: "), "jets": 0, "kept": 0})
            else:
                counts += of_file
                read, *_, kept = of_file.flow.tolist()
                inputs.append({"path": path, **identity, **checksum, "jets": read, "kept": kept})
                logger.info("%s: %d jets read, %d kept", path, read, kept)
        lacking = Counter(name for entry in inputs for name in str(entry.get("lacks", "")).split(", ") if name)
        for name, n in lacking.items():
            variable, _, of = name.partition(" of ")
            value = (settings.constituents[of] if of else settings.input).optional[variable]
            logger.warning(
                "%d of %d files lack '%s', an optional variable; it is %s there", n, len(inputs), name, value
            )
        if skipped := sum("skipped" in entry for entry in inputs):
            logger.warning("%d of %d files skipped", skipped, len(inputs))
        if skipped == len(inputs):
            buffer.expect(cleaner.types_without_files)
        _log(counts)
        attributes = {
            "sample": batch.sample,
            "truth": batch.truth,
            "cutflow": list(zip(cleaner.cutflow, counts.flow.tolist(), strict=True)),
            "constituents": {name: counted.tolist() for name, counted in counts.constituents.items()},
            "inputs": inputs,
            "warnings": warnings,
        }
        # Snakemake would not notice, since the output is newer than the change.
        if changed := [path for path, state in before.items() if _state(path) != state]:
            raise JetmillError(f"{changed[0]}: changed while it was read; start again when it is complete")
        columns, jets = buffer.finish()
        of_groups = jets.sum(axis=0)
        attributes |= {"types": buffer.seen.as_json(), "runs": jets.sum(axis=2), "splits": of_groups.sum(axis=1)}
        writer.finish(columns, attributes | {"class_counts": of_groups})
    _log_jets(cleaner, counts, of_groups)


def _check(path: str, expected: Mapping[str, str], settings: CleanSettings) -> dict[str, Any]:
    """Check the bytes of a file before anything of it is used: damage can turn a name or a number into another one.

    Return what is recorded of its checksums.
    """
    found = check_bytes(path, expected, ["sha256"] if settings.input.checksum and not is_remote(path) else [])
    return {"sha256": found.get("sha256")} | ({"checked": dict(expected)} if expected else {})


def _clean_file(path: str, number: int, buffer: ColumnBuffer, cleaner: Cleaner) -> tuple[dict[str, int | str], Counts]:
    """Add the jets of a file to the buffer; return the identity of the file, and the counts."""
    counts = cleaner.no_counts
    with cleaner.open(path, number) as file:
        buffer.expect(file.types, path)
        for _, columns, of_chunk in file.chunks():
            buffer.append(columns)
            counts += of_chunk
        return file.identity, counts


def _log_jets(cleaner: Cleaner, counts: Counts, jets: np.ndarray) -> None:
    """Log the jets after each cut, and those of each class in each group, int64 (n_groups, n_classes)."""
    settings = cleaner.settings
    for title, left in zip(cleaner.cutflow, counts.flow, strict=True):
        logger.info("%12d jets  %s", left, title)
    for name, in_group in zip(settings.split.group_names, jets, strict=True):
        by_class = ", ".join(f"{n} {c}" for c, n in zip(settings.class_names, in_group, strict=True))
        logger.info("%12d jets  in %s (%s)", in_group.sum(), name, by_class)


def _log(counts: Counts) -> None:
    if counts.ambiguous:
        logger.warning("%d jets fit more than one class; the first one counts", counts.ambiguous)
    for name, (read, selected, kept) in counts.constituents.items():
        logger.info("%12d %s of the kept jets, %d selected, %d truncated", read, name, selected, selected - kept)
    for name, n in sorted((+counts.lost).items()):
        logger.info("%12d values of %s are missing: infinite, undefined, or too large for their type", n, name)


def _state(path: str) -> tuple[int, ...] | None:
    """Return what changes when a local file is written or replaced, None if there is none.

    The time of modification can be set back, as by ``rsync --inplace --times``; that of the status (ctime) cannot.
    """
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
