"""The manifest: what went in, what was asked for, with which versions, and what came out."""

import json
import logging
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import jetmill
from jetmill.columns import Batch
from jetmill.files import complete, sha256
from jetmill.layout import LABELS
from jetmill.provenance import commit
from jetmill.splitting import SPLITS
from jetmill.stages.balance import COUNTS, KEPT

PACKAGES = ("numpy", "h5py", "uproot", "awkward", "snakemake")

logger = logging.getLogger(__name__)


def write_manifest(
    batches: Sequence[str | Path],
    balance_path: str | Path,
    parts: Sequence[str | Path],
    output: str | Path,
    *,
    config: Mapping[str, Any],
) -> None:
    """Write ``manifest.json``.

    Parameters
    ----------
    batches, balance_path, parts
        Column files, balance tables and final files of the run.
    config
        The configuration with all its defaults.
    """
    cleaned = [_batch(path) for path in batches]
    with h5py.File(balance_path, "r") as file:
        classes, counts, kept = list(file.attrs["classes"]), file[COUNTS][()], file[KEPT][()]
    written = [_part(path, Path(output).parent, classes) for path in parts]
    by_split = counts.reshape(len(SPLITS), len(classes), -1).sum(axis=2)
    n_written = sum(part["jets"] for part in written)
    inputs = [entry for batch in cleaned for entry in batch["inputs"]]
    manifest = {
        "jetmill": jetmill.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "config": config,
        "jets": {
            "read": sum(batch["cutflow"][0][1] for batch in cleaned),
            "cutflow": _sum_cutflows(batch["cutflow"] for batch in cleaned),
            "cleaned": {s: dict(zip(classes, n.tolist(), strict=True)) for s, n in zip(SPLITS, by_split, strict=True)},
            "training after resampling": dict(
                zip(classes, kept.reshape(len(classes), -1).sum(axis=1).tolist(), strict=True)
            ),
            "written": n_written,
        },
        "inputs": inputs,
        "outputs": written,
    }
    with complete(output) as partial:
        partial.write_text(json.dumps(manifest, indent=1))
    logger.info("%d input files, %d parts, %d jets", len(inputs), len(written), n_written)


def _batch(path: str | Path) -> dict[str, Any]:
    with Batch(path) as batch:
        sample = batch.attribute("sample")
        inputs = [{"sample": sample, **entry} for entry in batch.attribute("inputs")]
        return {"cutflow": batch.attribute("cutflow"), "inputs": inputs}


def _part(path: str | Path, base: Path, classes: Sequence[str]) -> dict[str, Any]:
    with h5py.File(path, "r") as file:
        counts = np.bincount(file[LABELS][()], minlength=len(classes))
    return {
        "path": str(Path(path).relative_to(base)),
        "size": Path(path).stat().st_size,
        "sha256": sha256(path),
        "jets": int(counts.sum()),
        "classes": dict(zip(classes, counts.tolist(), strict=True)),
    }


def _sum_cutflows(flows: Any) -> list[list[Any]]:
    """Add up cutflows with the same steps."""
    flows = list(flows)
    return [[step, sum(flow[i][1] for flow in flows)] for i, (step, _) in enumerate(flows[0])]
