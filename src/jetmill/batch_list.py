"""The list of cleaned batches and of what each holds, so that later jobs need not look into all of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from os.path import relpath
from pathlib import Path
from typing import Any

from jetmill.columns import Batch
from jetmill.files import complete, made_earlier

CONSTITUENT_STEPS = ("read", "selected", "kept")


@dataclass(frozen=True)
class CleanedBatch:
    """A batch that is cleaned.

    Attributes
    ----------
    sample
        Name of its sample.
    path, bytes
        The column file and its size.
    splits
        Jets of each split.
    cutflow
        Pairs of a cut and how many jets are left after it.
    constituents
        Collection to how many are read, selected, kept (`CONSTITUENT_STEPS`).
    inputs
        The files it was made of, as the manifest names them.
    warnings
        Those of the clean job.
    """

    sample: str
    path: str
    bytes: int
    splits: list[int]
    cutflow: list[tuple[str, int]]
    constituents: dict[str, list[int]]
    inputs: list[dict[str, Any]]
    warnings: list[str]


def write_batch_list(paths: Sequence[str | Path], output: str | Path) -> list[CleanedBatch]:
    """Write the list of column files as JSON, and return it; paths are relative to the list."""
    batches = [_read_batch(path) for path in paths]
    base = Path(output).parent
    entries = [asdict(replace(b, path=relpath(b.path, base))) for b in batches]
    with complete(output) as partial:
        partial.write_text(json.dumps(entries))
    return batches


def read_batch_list(path: str | Path) -> list[CleanedBatch]:
    """Read a list of column files, in the order of the samples and files of the configuration."""
    base = Path(path).parent
    with made_earlier(path):
        entries = json.loads(Path(path).read_text())
    return [CleanedBatch(**entry | {"path": str(base / entry["path"])}) for entry in entries]


def sum_cutflows(flows: Sequence[Sequence[tuple[str, int]]]) -> list[tuple[str, int]]:
    """Add up the cutflows of several batches, which have the same steps."""
    return [(step, sum(flow[i][1] for flow in flows)) for i, (step, _) in enumerate(flows[0])]


def _read_batch(path: str | Path) -> CleanedBatch:
    with Batch(path) as batch:
        return CleanedBatch(
            batch.attribute("sample"),
            str(path),
            Path(path).stat().st_size,
            batch.attribute("splits").tolist(),
            batch.attribute("cutflow"),
            batch.attribute("constituents"),
            batch.attribute("inputs"),
            batch.attribute("warnings"),
        )
