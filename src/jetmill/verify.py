"""Check a finished run against its manifest."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from jetmill.errors import JetmillError
from jetmill.formats.files.inspection import class_counts, count_infinite, sources_of
from jetmill.formats.files.layout import datasets, open_finished
from jetmill.formats.format import Hdf5Check
from jetmill.formats.registry import FORMATS, format_of
from jetmill.sources.remote import is_remote

MANIFEST = "manifest.json"
BLOCK_BYTES = 2**24


@dataclass(frozen=True)
class Problem:
    """A file that is not as the manifest says: what was `found` and `expected`, as parts of a sentence."""

    path: str
    found: str
    expected: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}: {self.found}, expected {self.expected}; {self.advice}"


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes
    ----------
    n_files, problems
        Finished files that the manifest names, and at most one problem for each.
    changed_inputs
        Input files, plug-ins, networks and maps that differ from those that the results were made from.
    warnings
        Sentences about what is no damage: files of an earlier configuration, missing input.
    """

    n_files: int
    problems: list[Problem]
    changed_inputs: list[Problem]
    warnings: list[str]

    @property
    def good(self) -> bool:
        """Whether all is as the manifest says."""
        return not (self.problems or self.changed_inputs)


def verify(
    results: str | Path,
    *,
    threads: int = 1,
    quick: bool = False,
    input_hashes: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Findings:
    """Check that a finished run is as its manifest says.

    For each finished file: presence, size and SHA-256; for HDF5 also the number of jets, in all and of each class, that
    inputs and weights are finite, and which parts a joined file points to.

    Parameters
    ----------
    results
        Directory of the run, or of one of its folds, wherever it is now.
    threads
        Files that are read at the same time; each takes some 10 MB of memory.
    quick
        Check presence and sizes only, without reading files.
    input_hashes
        Also check the SHA-256 of local input files, beyond their sizes.
    progress
        Called by several threads while files are hashed, with the bytes just read and the total.

    Raises
    ------
    JetmillError
        If there is no manifest of jetmill.
    """
    results = Path(results)
    manifest = read_manifest(results)
    files = [entry for kind in ("outputs", "joined", "tables") for entry in manifest[kind]]
    n_jets = {entry["path"]: entry["jets"] for entry in files if "jets" in entry}
    inputs = {entry["path"]: entry for entry in (*manifest["inputs"], *manifest["user_files"])}
    output_dir = results.resolve().parent if "fold" in manifest else results
    where = {
        path: _input_path(path, output_dir, manifest["config"]["output_dir"]) for path in inputs if not is_remote(path)
    }
    there = [inputs[path] for path in where if where[path].exists()]

    def hashed(entry: Mapping[str, Any]) -> bool:
        # Plug-ins, networks and maps have only a hash, and are small.
        return not quick and entry.get("sha256") is not None and (input_hashes or "size" not in entry)

    total = 0 if quick else sum(entry.get("size", 0) for entry in (*files, *filter(hashed, there)))

    def read(n_bytes: int) -> None:
        if progress is not None:
            progress(n_bytes, total)

    def check(entry: Mapping[str, Any]) -> Problem | None:
        path = results / entry["path"]
        difference = _difference(path, entry, None if quick else read)
        found = format_of(entry["path"])
        if difference is None and not quick and "jets" in entry and found is not None and found.check is not None:
            difference = _content_difference(path, entry, found.check, manifest["config"], n_jets)
        return Problem(str(path), *difference, _advice(results, entry["path"])) if difference else None

    def check_input(entry: Mapping[str, Any]) -> Problem | None:
        path = where[entry["path"]]
        difference = _difference(path, entry, read if hashed(entry) else None)
        advice = "the input has changed; start snakemake again for new results, or restore the former file"
        return Problem(str(path), *difference, advice) if difference else None

    with ThreadPoolExecutor(threads) as pool:
        checked, checked_inputs = pool.map(check, files), pool.map(check_input, there)
        problems, changed = ([p for p in found if p is not None] for found in (checked, checked_inputs))
    warnings = [
        f"{results / path}: not of this run; an earlier configuration made it"
        for path in _unexpected_files(results, files, manifest["config"])
    ]
    if gone := [path for path in where.values() if not path.exists()]:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        warnings.append(f"{gone[0]}{more}: this input no longer exists; it was not checked")
    return Findings(len(files), problems, changed, warnings)


def read_manifest(results: Path) -> dict[str, Any]:
    """Read the manifest of a finished run; raises JetmillError if there is none, or if it is damaged."""
    path = results / MANIFEST
    if not results.is_dir():
        raise JetmillError(f"{results}: no such directory")
    if not path.exists():
        raise JetmillError(f"{results}: has no {MANIFEST}; it is not the directory of a finished run")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        complete = all(
            {"path", "size", "sha256"} <= set(entry) and not PurePosixPath(entry["path"]).is_absolute()
            for kind in ("outputs", "joined", "tables")
            for entry in manifest[kind]
        ) and all("path" in entry for kind in ("inputs", "user_files") for entry in manifest[kind])
        complete = complete and {"output_dir", "jets", "constituents", "write"} <= set(manifest["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JetmillError(f"{path}: is not a manifest that can be read ({type(error).__name__}: {error})") from None
    if not complete:
        raise JetmillError(f"{path}: is not a manifest of jetmill, or lacks some of its entries")
    return manifest


def _difference(path: Path, entry: Mapping[str, Any], progress: Callable[[int], None] | None) -> tuple[str, str] | None:
    """Return what a file is and what it should be, if these differ; its hash is checked if there is a `progress`."""
    try:
        size = path.stat().st_size
        if size != entry.get("size", size):
            return f"size is {size}", f"{entry['size']} bytes"
        digest = entry.get("sha256") if progress is None else _sha256(path, progress)
    except FileNotFoundError:
        return "is not there", f"a file of {entry['size']} bytes"
    except OSError as error:
        return f"cannot be read ({error.strerror})", "a file"
    return None if digest == entry.get("sha256") else (f"SHA-256 is {digest}", entry["sha256"])


def _sha256(path: Path, progress: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            progress(len(block))
    return digest.hexdigest()


def _content_difference(
    path: Path, entry: Mapping[str, Any], check: Hdf5Check, config: Mapping[str, Any], n_jets: Mapping[str, int]
) -> tuple[str, str] | None:
    """Return what an HDF5 file holds and what it should, if these differ."""
    try:
        with open_finished(path) as file:
            for name, dataset in datasets(file).items():
                if dataset.shape[0] != entry["jets"]:
                    return f"{name} has {dataset.shape[0]} jets", str(entry["jets"])
            if "parts" in entry:
                return _pointer_difference(path, file, entry, n_jets)
            found = class_counts(file, check, list(entry["classes"]))
            if found != entry["classes"]:
                return f"classes are {found}", str(entry["classes"])
            for name, fields in check.finite(file, config).items():
                n, n_values = count_infinite(file[name], fields)
                if n:
                    return f"{n} of {n_values} values of {name} are not finite", "0"
    except JetmillError as error:
        return str(error).removeprefix(f"{path}: "), str(entry.get("classes"))
    except (OSError, KeyError, ValueError) as error:
        return f"is not a readable file of jets ({error})", f"{entry['jets']} jets"
    return None


def _pointer_difference(
    path: Path, file: h5py.File, entry: Mapping[str, Any], n_jets: Mapping[str, int]
) -> tuple[str, str] | None:
    """Return which parts a joined file points to and which it should; whether they exist is checked part by part."""
    base = str(path).removesuffix(entry["path"])
    found = [str(path.parent / source).removeprefix(base) for source in sources_of(file)]
    if found != entry["parts"]:
        return f"points to {', '.join(found) or 'no parts'}", ", ".join(entry["parts"])
    if unknown := [part for part in found if part not in n_jets]:
        return f"points to {unknown[0]}", "parts that the manifest names"
    total = sum(n_jets[part] for part in found)
    return None if total == entry["jets"] else (f"its parts hold {total} jets", str(entry["jets"]))


def _advice(results: Path, path: str) -> str:
    """Say how to rebuild a file.

    Snakemake does not notice a missing part while files made from it exist. Without the manifest it checks all that the
    manifest needs. It knows an output that is a directory only as a whole.
    """
    found = format_of(path)
    in_directory = found is not None and not found.suffix
    remove = [f"{(results / path).parent}/"] if in_directory else ["it"] * (results / path).exists()
    return f"remove {' and '.join([*remove, str(results / MANIFEST)])}, and start snakemake again"


def _input_path(path: str, results: Path, output_dir: str) -> Path:
    """Return where an input file is now: toys move with the results, relative paths start where the run did."""
    relative = Path(path)
    if relative.is_relative_to(output_dir):
        return results / relative.relative_to(output_dir)
    here, tail = results.resolve(), Path(output_dir).parts
    if not Path(output_dir).is_absolute() and here.parts[-len(tail) :] == tail:
        return Path(*here.parts[: -len(tail)], relative)
    return relative


def _unexpected_files(results: Path, files: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> Iterator[str]:
    """Yield files that look like finished ones and that the manifest does not name."""
    named, wanted = {entry["path"] for entry in files}, set(config["write"]["formats"])
    # Files that other formats are made from stay.
    made_from = {FORMATS[name].made_from for name in wanted if name in FORMATS}
    patterns = [p for name, f in FORMATS.items() if name in wanted or name not in made_from for p in f.patterns]
    for under in (results, *sorted(results.glob("variations/*"))):
        for path in sorted(path for pattern in patterns for path in under.glob(pattern)):
            if (name := str(path.relative_to(results))) not in named:
                yield name
