"""The manifest: what went in, what was asked for, with which versions, and what came out."""

import json
import logging
import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import jetmill
from jetmill.balancing import class_totals
from jetmill.batch_list import CONSTITUENT_STEPS, CleanedBatch, sum_cutflows
from jetmill.files import complete, sha256
from jetmill.layout import LABELS, open_finished
from jetmill.provenance import commit
from jetmill.splitting import SPLITS
from jetmill.tables import COUNTS, written_jets
from jetmill.unscaled import FLAVOUR

PACKAGES = ("numpy", "h5py", "uproot", "awkward", "snakemake")

logger = logging.getLogger(__name__)


def write_manifest(
    batches: Sequence[CleanedBatch],
    balance_path: str | Path,
    parts: Sequence[str | Path],
    output: str | Path,
    *,
    config: Mapping[str, Any],
    threads: int = 1,
) -> None:
    """Write ``manifest.json``.

    Parameters
    ----------
    batches, balance_path, parts
        What was cleaned, balance tables, and files or directories of finished data.
    config
        The configuration with all its defaults.
    threads
        Files that are read at the same time, for their hashes.
    """
    with h5py.File(balance_path, "r") as file:
        classes = list(file.attrs["classes"])
        counts = sum(table[()] for table in file[COUNTS].values())
        kept, unique = written_jets(file, "train")
    files = [f for path in map(Path, parts) for f in (_content(path) if path.is_dir() else [path])]
    with ThreadPoolExecutor(threads) as pool:
        written = list(pool.map(lambda path: _part(path, Path(output).parent, classes), files))
    cutflow = sum_cutflows([batch.cutflow for batch in batches])

    def by_class(table: np.ndarray) -> dict[str, int]:
        return dict(zip(classes, class_totals(table).tolist(), strict=True))

    constituents = {
        name: {key: sum(batch.constituents[name][i] for batch in batches) for i, key in enumerate(CONSTITUENT_STEPS)}
        for name in batches[0].constituents
    }
    inputs = [{"sample": batch.sample, **entry} for batch in batches for entry in batch.inputs]
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
            "different training jets": unique,
        },
        "constituents": constituents,
        "inputs": inputs,
        "outputs": written,
    }
    with complete(output) as partial:
        partial.write_text(json.dumps(manifest, indent=1))
    logger.info("%d input files, %d files made", len(inputs), len(written))
    if skipped := [entry for entry in inputs if "skipped" in entry]:
        logger.warning("%d input files skipped, %s the first", len(skipped), skipped[0]["path"])


def _content(directory: Path) -> list[Path]:
    """Return the files of a directory; Snakemake puts a hidden one there."""
    return sorted(path for path in directory.iterdir() if not path.name.startswith("."))


def _part(path: Path, base: Path, classes: Sequence[str]) -> dict[str, Any]:
    entry = {"path": str(path.relative_to(base)), "size": path.stat().st_size, "sha256": sha256(path)}
    if path.suffix != ".h5":
        return entry
    with open_finished(path) as file:
        labels = file[LABELS][()] if LABELS in file else file["jets"].fields([FLAVOUR])[:][FLAVOUR]
    counts = np.bincount(labels, minlength=len(classes))
    return entry | {"jets": int(counts.sum()), "classes": dict(zip(classes, counts.tolist(), strict=True))}
