"""A trial before a run: the first jets of one file of each sample, cleaned as the run will clean them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jetmill.balancing.binning import Axis, axes_of, find_bins, refuse_outside
from jetmill.cleaning.cleaner import Cleaner, Columns
from jetmill.cleaning.counts import Counts
from jetmill.cleaning.sorting import group_codes
from jetmill.columns.schema import LABEL, variable
from jetmill.errors import JetmillError
from jetmill.logs import warnings_kept
from jetmill.plan import Plan
from jetmill.settings.clean import CleanSettings, InputBatch
from jetmill.sources import UnreadableError
from jetmill.sources.checksums import check_bytes
from jetmill.sources.remote import is_remote
from jetmill.splitting import TRAIN

# Jets that are enough.
JETS = 10_000


@dataclass(frozen=True)
class Trial:
    """The first jets of a file.

    Attributes
    ----------
    variation
        Directory of the variation, "" for the nominal jets.
    sample, path
        The sample, and the file of it.
    cutflow
        Titles of the numbers in ``counts.flow``.
    entries
        Entries of the file that were read, about.
    read_all
        Whether these are all jets of the file.
    columns
        Of the jets that are kept.
    training : ndarray of bool, shape (n_jets,)
        Which of the jets that are kept train, in one fold or other; an example if the split depends on the batch.
    """

    variation: str
    sample: str
    path: str
    cutflow: list[str]
    counts: Counts
    entries: int
    read_all: bool
    columns: Columns
    training: np.ndarray

    @property
    def values(self) -> dict[str, np.ndarray]:
        """Variables of the jets that are kept, those of the bins among them."""
        return {column.name: x for column, x in self.columns.items() if column == variable(column.name)}

    @property
    def labels(self) -> np.ndarray:
        """Class of the jets that are kept, uint8 (n_jets,)."""
        return self.columns.get(LABEL, np.empty(0, dtype=np.uint8))

    def outside(self, axes: list[Axis]) -> int:
        """Return how many of the jets that are kept are outside the bins."""
        return int((find_bins([self.values[axis.variable] for axis in axes], axes, len(self.labels)) < 0).sum())


@dataclass(frozen=True)
class Trials:
    """What trials have found.

    Attributes
    ----------
    mistakes
        What would stop the run, each once, a sentence each.
    unreadable
        Why files could not be read.
    warnings
        What clean jobs would warn of.
    """

    done: list[Trial]
    mistakes: list[str]
    unreadable: list[str]
    warnings: list[str]


def first_batches(plan: Plan) -> list[tuple[str, InputBatch]]:
    """Return the first batch of each sample, for the nominal jets and for each variation."""
    first = {batch.sample: batch for batch in reversed(plan.batches)}
    return [(variation, first[sample]) for variation in plan.cleaning for sample in plan.files]


def check_pending(plan: Plan, pending: Iterable[tuple[str, str, str]], *, timeout: int = 20) -> None:
    """Try the first of the pending batches of each sample, before jobs that would all fail in the same way.

    What cannot be read is left to the jobs, and so are toys that are not made yet.

    Parameters
    ----------
    pending
        Directory of the variation, sample, and number of each batch that will be cleaned.

    Raises
    ------
    JetmillError
        With one line per mistake.
    """
    first = {(variation, sample): number for variation, sample, number in sorted(pending, reverse=True)}
    batches = [(variation, plan.batch(sample, number)) for (variation, sample), number in sorted(first.items())]
    there = [(v, b) for v, b in batches if all(is_remote(path) or Path(path).exists() for path in b.files[:1])]
    if mistakes := try_batches(plan, there, timeout=timeout).mistakes:
        raise JetmillError("\n".join(mistakes))


def try_batches(
    plan: Plan, batches: Iterable[tuple[str, InputBatch]], *, timeout: int | None = None, n_jets: int = JETS
) -> Trials:
    """Clean the first `n_jets` jets of the first readable file of some batches.

    Parameters
    ----------
    batches
        Directory of a variation ("" for the nominal jets), and a batch. Toys that are not made yet must not be there.
    timeout
        Seconds to wait for a server, if they are fewer than those of the configuration.
    """
    done, unreadable = [], []
    # A sentence without its file, to the files that it holds for.
    mistakes: dict[str, dict[str, None]] = {}
    with warnings_kept() as warnings:
        for variation, batch in batches:
            settings = plan.cleaning[variation]
            given = settings.input
            most, seconds = min(n_jets, given.max_jets_per_file or n_jets), min(timeout or given.timeout, given.timeout)
            settings = replace(settings, input=replace(given, max_jets_per_file=most, timeout=seconds))
            for number, path in enumerate(batch.files, start=batch.first_file):
                try:
                    try:
                        done.append(_try(plan, settings, variation, batch.sample, path, number))
                    except JetmillError as error:
                        # Damage can look like anything.
                        check_bytes(path, batch.checksums.get(path, {}))
                        if isinstance(error, UnreadableError):
                            raise
                        for line in str(error).splitlines():
                            mistakes.setdefault(line.removeprefix(f"{path}: "), {})[path] = None
                except UnreadableError as error:
                    unreadable.append(str(error))
                else:
                    break
    sentences = [_sentence(what, list(paths)) for what, paths in mistakes.items()]
    return Trials(done, sentences, list(dict.fromkeys(unreadable)), list(dict.fromkeys(warnings)))


def _try(plan: Plan, settings: CleanSettings, variation: str, sample: str, path: str, number: int) -> Trial:
    cleaner = Cleaner(settings, sample, truth=plan.config.samples[sample].truth)
    cleaner.keep_all_of([path])
    counts, pieces, n_entries = cleaner.no_counts, [], 0
    with cleaner.open(path, number) as file:
        for chunk, columns, of_chunk in file.chunks():
            pieces.append(columns)
            counts += of_chunk
            n_entries = int(chunk.entry[-1]) + 1 if len(chunk.entry) else n_entries
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in (pieces[0] if pieces else {})}
    row, trains = np.arange(len(columns[LABEL]) if columns else 0), "train" in plan.config.samples[sample].splits
    training = np.full(len(row), trains)
    if columns and trains and settings.split.folds is None:
        training = group_codes(columns.__getitem__, settings, row, len(row)) == TRAIN
    read_all = settings.input.max_jets_per_file is None or int(counts.flow[0]) < settings.input.max_jets_per_file
    trial = Trial(variation, sample, path, cleaner.cutflow, counts, n_entries, read_all, columns, training)
    # The batch decides the split of single jets by some rules, and of variations no training jets are written.
    if plan.config.balance.outside == "error" and not settings.split.rule.row and not variation and columns:
        axes = axes_of(plan.config.balance.bins)
        refuse_outside([trial.values[axis.variable][training] for axis in axes], axes)
    return trial


def _sentence(what: str, paths: list[str]) -> str:
    """Return what is wrong with the first file, and how many others share it."""
    others = f" (and in the first file{'s' * (len(paths) > 2)} of {len(paths) - 1} more)" if len(paths) > 1 else ""
    return f"{paths[0]}: {what}{others}"
