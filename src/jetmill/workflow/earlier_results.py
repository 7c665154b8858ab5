"""Results that already exist in an output directory, and whether a run may replace them."""

import json
from collections.abc import Collection, Mapping, Sequence
from os.path import normpath, realpath
from pathlib import Path

from jetmill.errors import JetmillError

Files = Mapping[str, Sequence[str]]


def check_samples(output_dir: str | Path, files: Files) -> None:
    """Check that results in a directory, if any, are of the samples of this run (sample to its input files).

    A sample may be new, and files may be added to or removed from one: the results then change as the configuration
    says. A sample that is gone, or has entirely different files, means other results. Toys may be replaced.

    Raises
    ------
    JetmillError
        If a sample of the results is not one of this run.
    """
    earlier = _samples(Path(output_dir))
    if others := [name for name in earlier if not _same(earlier[name], files.get(name, ()))]:
        raise JetmillError(
            f"output_dir: {output_dir} holds results of other samples: {_named(earlier, others)}; this run has"
            f" {_named(files, files)}. Choose another output_dir, or add `--config replace=true` to replace them"
        )


def left_over(output_dir: str | Path, results: Collection[str]) -> str:
    """Return a warning of finished results in a directory beside those of this run, as with other folds; "" if none."""
    found = [Path(output_dir), *sorted(path.parent for path in Path(output_dir).glob("fold_*/manifest.json"))]
    ours = {Path(path) for path in results}
    others = [f"{path}/manifest.json" for path in found if path not in ours and (path / "manifest.json").exists()]
    if not others:
        return ""
    return (
        f"{output_dir} also holds finished files of an earlier run, with other folds or none: those that"
        f" {', '.join(others)} names. They are not of this run; remove them, or choose another output_dir"
    )


def _samples(output_dir: Path) -> dict[str, list[str]]:
    """Return the samples of the results in a directory and their input files; none without a manifest, and no toys."""
    files: dict[str, list[str]] = {}
    try:
        of_folds = output_dir.glob("fold_*/manifest.json")
        path = next((path for path in of_folds), output_dir / "manifest.json")
        manifest = json.loads(path.read_text())
        toys = f"{manifest['config']['output_dir']}/toy/"
        for entry in manifest["inputs"]:
            if not entry["path"].startswith(toys):
                files.setdefault(entry["sample"], []).append(entry["path"])
    except (OSError, ValueError, KeyError, TypeError):
        # It is missing, or damaged: `verify` reports that, and a run replaces it.
        return {}
    return files


def _same(earlier: Sequence[str], now: Sequence[str]) -> bool:
    """Say whether two lists have a file in common, under any name."""
    # Following symbolic links is slow for many files, so it comes last.
    return any(not {*map(of, earlier)}.isdisjoint(map(of, now)) for of in (normpath, realpath))


def _named(files: Files, names: Sequence[str] | Files) -> str:
    """Name some samples with one file of each."""
    return ", ".join(f"{name} ({files[name][0]}{', ...' if len(files[name]) > 1 else ''})" for name in names)
