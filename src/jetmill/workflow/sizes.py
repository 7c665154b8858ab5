"""Sizes of the files that jobs read, on which their memory and time depend."""

from functools import cache, lru_cache
from os.path import exists, getsize
from pathlib import Path
from typing import TYPE_CHECKING

from jetmill.errors import JetmillError
from jetmill.plan import Plan
from jetmill.splitting import SPLITS, samples_of, split_of
from jetmill.workflow import paths

if TYPE_CHECKING:
    from jetmill.columns.batch_list import CleanedBatch


@cache
def input_megabytes(plan: Plan, sample: str, number: str) -> float:
    """Return the size of the local files of a batch that are there."""
    return sum(getsize(path) for path in plan.local_files(sample, number) if exists(path)) / 1e6  # noqa: PTH110, PTH202


def cleaned_megabytes(
    plan: Plan, output: str = "", part: str = "", variation: str = "", *, results: str | None = None
) -> float:
    """Return how large the cleaned columns are, or those that a part of results reads; 0 before they are listed."""
    path = Path(paths.placed(plan, paths.BATCHES.format(variation=variation), results or plan.config.output_dir))
    if not path.exists():
        return 0.0
    changed = path.stat().st_mtime_ns
    if not part:
        return _megabytes(path, changed, tuple(plan.config.samples))
    split, batches = SPLITS.index(split_of(output)), plan.sources(part)
    samples = tuple(samples_of(output, plan.samples_with_truth))
    megabytes = _megabytes(path, changed, samples, split, batches.start, batches.stop)
    return megabytes / plan.slice_of_keys(output, part)[1]


# Snakemake calls this for each job whenever it selects jobs, and there may be thousands of batches.
@cache
def _megabytes(
    path: Path,
    changed: int,
    samples: tuple[str, ...],
    split: int | None = None,
    start: int | None = None,
    stop: int | None = None,
) -> float:
    """Return the size of listed batches of some samples, or of a split of some of them."""
    batches = [b for b in _read_once(path, changed) if b.sample in samples][start:stop]
    shares = (1 if split is None else b.splits[split] / max(1, sum(b.splits)) for b in batches)
    return sum(b.bytes * share for b, share in zip(batches, shares, strict=True)) / 1e6


@lru_cache(maxsize=100)
def _read_once(path: Path, changed: int) -> "list[CleanedBatch]":  # noqa: ARG001
    from jetmill.columns.batch_list import read_batch_list  # imports h5py, which a plan does not need

    try:
        return read_batch_list(path)
    except (JetmillError, KeyError, TypeError):
        # Damaged, which the job that needs it reports, or of another version, whose list is made again.
        return []
