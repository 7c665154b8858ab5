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
from jetmill.balancing import class_totals
from jetmill.columns import Batch, sum_cutflows
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
    cutflow = sum_cutflows([batch["cutflow"] for batch in cleaned])

    def by_class(table: np.ndarray) -> dict[str, int]:
        return dict(zip(classes, class_totals(table).tolist(), strict=True))

    n_written = sum(part["jets"] for part in written)
    inputs = [entry for batch in cleaned for entry in batch["inputs"]]
    manifest = {
        "jetmill": jetmill.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "config": config,
        "jets": {
            "read": cutflow[0][1],
            "cutflow": cutflow,
            "cleaned": {split: by_class(table) for split, table in zip(SPLITS, counts, strict=True)},
            "training after resampling": by_class(kept),
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
