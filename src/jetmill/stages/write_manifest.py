"""The manifest: inputs, configuration, versions, and outputs of a run."""

import json
import logging
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import jetmill
from jetmill.balancing.tables import LIMITED, WARNINGS, cleaned_jets, of_samples, outside_jets, written_jets
from jetmill.columns.batch_list import CONSTITUENT_STEPS, CleanedBatch, sum_cutflows, with_dropped
from jetmill.files import atomic_write, open_intermediate_file, origin, sha256
from jetmill.formats.files.inspection import class_counts, sources_of
from jetmill.formats.files.layout import datasets, reopen_finished
from jetmill.formats.files.names import names_in
from jetmill.formats.registry import format_of
from jetmill.inputs.copies import copy_warnings
from jetmill.scaling.exports import label_warnings
from jetmill.scaling.scalers import read_warnings
from jetmill.splitting import SPLITS, TRAIN

PACKAGES = ("numpy", "h5py", "uproot", "awkward", "snakemake")

logger = logging.getLogger(__name__)


def write_manifest(
    batches: Sequence[CleanedBatch],
    balance_path: str | Path,
    parts: Sequence[str | Path],
    output: str | Path,
    *,
    config: Mapping[str, Any],
    scalers: str | Path | None = None,
    class_weights: str | Path | None = None,
    joined: Sequence[str | Path] = (),
    tables: Sequence[str | Path] = (),
    user_files: Mapping[str, str] | None = None,
    fold: str = "",
    threads: int = 1,
) -> None:
    """Write ``manifest.json``.

    Each finished file is read once for its hash, in blocks, and the labels of HDF5 files once more.

    Parameters
    ----------
    parts
        Files or directories of finished data.
    config
        The configuration with all its defaults.
    scalers
        ``scalers.json``, for its warnings.
    class_weights
        ``class_dict.yaml``, for labels of constituents that do not occur.
    joined
        Files that join parts, such as ``train.h5``.
    tables
        Further finished files: scalers, class weights, balance tables.
    user_files
        Path to SHA-256 of plug-ins, networks and maps.
    fold
        Name of the fold that the results are of, if there are folds.
    threads
        Files that are read at the same time.
    """
    with open_intermediate_file(balance_path) as file:
        classes = list(file.attrs["classes"])
        cleaned, outside = cleaned_jets(file), outside_jets(file)
        kept, unique = written_jets(file, "train")
        of_balance = json.loads(file.attrs[WARNINGS])
        limited = of_samples(file, LIMITED) if LIMITED in file else {}
    warnings = [*(w for batch in batches for w in batch.warnings), *copy_warnings(batches), *of_balance]
    if scalers is not None:
        warnings += read_warnings(scalers)
    names = names_in(config)
    if class_weights is not None:
        warnings += label_warnings(yaml.safe_load(Path(class_weights).read_text()), names.jets)
    base = Path(output).parent
    files = [file for path in map(Path, parts) for file in _content(path, base)]
    with ThreadPoolExecutor(threads) as pool:
        of_parts = pool.map(lambda path: _data(path, base, classes), files)
        of_joined = pool.map(lambda path: _data(path, base, classes), map(Path, joined))
        of_tables = pool.map(lambda path: _entry(path, base), map(Path, tables))
        written = {"outputs": list(of_parts), "joined": list(of_joined), "tables": list(of_tables)}
    cutflow = sum_cutflows([batch.cutflow for batch in batches])
    if dropped := outside[TRAIN].sum():
        cutflow = with_dropped(cutflow, dropped)

    def by_class(counts: np.ndarray) -> dict[str, int]:
        return dict(zip(classes, counts.tolist(), strict=True))

    def by_split(counts: np.ndarray) -> dict[str, dict[str, int]]:
        return dict(zip(SPLITS, map(by_class, counts), strict=True))

    without_truth: Counter[str] = Counter()
    for batch in batches:
        if not batch.truth:
            without_truth[batch.sample] += sum(batch.splits)
    constituents = {
        name: {key: sum(batch.constituents[name][i] for batch in batches) for i, key in enumerate(CONSTITUENT_STEPS)}
        for name in batches[0].constituents
    }
    inputs = [{"sample": batch.sample, **entry} for batch in batches for entry in batch.inputs]
    manifest = {
        **origin,
        **({"fold": fold} if fold else {}),
        "jetmill": jetmill.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "config": config,
        "warnings": [*map(names.say, warnings)],
        "jets": {
            "read": cutflow[0][1],
            "cutflow": cutflow,
            "cleaned": by_split(cleaned),
            "outside the bins": by_split(outside),
            "training after resampling": by_class(kept),
            "unique training jets": unique,
            **({"without truth": dict(without_truth)} if without_truth else {}),
            "above max_weight": {f"weights {name}": by_class(cut) for name, cut in limited.items()},
        },
        "constituents": constituents,
        "inputs": inputs,
        "user_files": [{"path": path, "sha256": digest} for path, digest in sorted((user_files or {}).items())],
        **written,
    }
    with atomic_write(output) as partial:
        partial.write_text(json.dumps(manifest, indent=1))
    logger.info("%d input files, %d files made", len(inputs), sum(map(len, written.values())))
    if skipped := [entry for entry in inputs if "skipped" in entry]:
        logger.warning("%d input files skipped, %s the first", len(skipped), skipped[0]["path"])


def commit(directory: Path = Path(__file__).parent) -> str | None:
    """Return the git commit of the source tree that jetmill runs from, with ``-dirty`` if it was changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def _content(path: Path, base: Path) -> list[Path]:
    """Return a file, or all of its directory if it is the main one of an output."""
    found = format_of(str(path.relative_to(base)))
    return sorted(path.parent.iterdir()) if found is not None and not found.suffix else [path]


def _entry(path: Path, base: Path) -> dict[str, Any]:
    return {"path": str(path.relative_to(base)), "size": path.stat().st_size, "sha256": sha256(path)}


def _data(path: Path, base: Path, classes: Sequence[str]) -> dict[str, Any]:
    """Describe a file of jets; for one that only points to its parts, these."""
    entry = _entry(path, base)
    found = format_of(entry["path"])
    if found is None or found.check is None:
        return entry
    with reopen_finished(path) as file:
        if sources := sources_of(file):
            n_jets = next(iter(datasets(file).values())).shape[0]
            return entry | {"jets": n_jets, "parts": [str((path.parent / s).relative_to(base)) for s in sources]}
        counts = class_counts(file, found.check, classes)
    return entry | {"jets": sum(counts.values()), "classes": counts}
