"""The input files of the samples: globs, lists, text files, servers, toys to be made."""

from collections.abc import Hashable, Mapping
from glob import escape, glob, has_magic
from os import curdir, scandir, stat
from os.path import dirname, isdir, isfile, lexists, normpath
from pathlib import Path

from jetmill.errors import JetmillError, one_line
from jetmill.settings.samples import Sample
from jetmill.sources.remote import is_remote, not_remote, wrong_protocol


def find_files(samples: Mapping[str, Sample], toy_files: str) -> tuple[dict[str, list[str]], list[str]]:
    """Return the input files of each sample, and what is wrong with those of the others.

    `toy_files` is the path of generated files, with places for the sample and the number of the file.
    """
    files, problems = {}, []
    first: dict[Hashable, tuple[str, str]] = {}
    for name, sample in samples.items():
        try:
            files[name] = _files(name, sample, toy_files)
        except JetmillError as error:
            problems.append(one_line(error))
        else:
            problems += _repeated(name, files[name], first)
    return files, problems


def remote_files(files: Mapping[str, list[str]], input_format: str) -> list[str]:
    """Return a sentence for each sample with remote files, which a format does not read."""
    first = {name: path for name, paths in files.items() for path in paths[::-1] if is_remote(path)}
    return [f"samples.{name}.files: {path}: {not_remote(input_format)}" for name, path in first.items()]


def _repeated(name: str, paths: list[str], first: dict[Hashable, tuple[str, str]]) -> list[str]:
    """Return a sentence if a file is there before, under any path; `first` has sample and path of all, and grows."""
    repeats = []
    for path in paths:
        place = name, path
        if (before := first.setdefault(_identity(path), place)) is not place:
            repeats.append((path, *before))
    if not repeats:
        return []
    path, sample, other = repeats[0]
    among = "" if sample == name else f" of samples.{sample}.files"
    if path == other:
        sentence = f"{path} is in samples.{sample}.files too" if among else f"{path} is listed more than once"
    else:
        sentence = f"{path} and {other}{among} are the same file; list it once"
    more = f" (and {len(repeats) - 1} more like it)" if len(repeats) > 1 else ""
    return [f"samples.{name}.files: {sentence}{more}"]


def _identity(path: str) -> Hashable:
    """Return what all paths of a file have in common, through links of any kind, and no other file has."""
    try:
        # Not with pathlib, which takes three times as long.
        state = stat(path)  # noqa: PTH116
    except OSError:
        # On a server, or a toy that does not exist yet.
        return normpath(path)
    # Size and time too, since some file systems give several files one number.
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _files(name: str, sample: Sample, toy_files: str) -> list[str]:
    """Return the input files of a sample, globs sorted, lists in their order."""
    if sample.toy is not None:
        return [toy_files.format(name, number) for number in range(sample.toy.files)]
    entries = [sample.files] if isinstance(sample.files, str) else list(sample.files or [])
    if isinstance(sample.files, str) and sample.files.endswith(".txt"):
        try:
            lines = Path(sample.files).read_text().splitlines()
        except OSError as error:
            raise JetmillError(f"samples.{name}.files: {sample.files}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise JetmillError(f"samples.{name}.files: {sample.files}: is not a text file of a path per line") from None
        entries = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    if binary := [entry for entry in entries if "\0" in entry]:
        raise JetmillError(f"samples.{name}.files: {one_line(binary[0])}: is not a path")
    found: list[str] = []
    for entry in entries:
        if why := wrong_protocol(entry):
            raise JetmillError(f"samples.{name}.files: {entry}: {why}")
        if is_remote(entry) and "*" in entry:
            raise JetmillError(
                f"samples.{name}.files: {entry}: patterns find local files only; list remote files one by one, or in a"
                " text file with a URL per line"
            )
        matches = [entry] if is_remote(entry) else _matches(name, entry)
        if not matches:
            raise JetmillError(f"samples.{name}.files: no file matches '{entry}'")
        found += matches
    if not found:
        raise JetmillError(f"samples.{name}.files: no files are named")
    # Not with pathlib, which takes three times as long: there may be many thousands.
    if gone := [path for path in found if not is_remote(path) and not isfile(path)]:  # noqa: PTH113
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise JetmillError(f"samples.{name}.files: {gone[0]}{more}: {_why_not(gone[0])}")
    return found


def _matches(name: str, entry: str) -> list[str]:
    """Return the path itself if it is there, else the files that it matches as a pattern, sorted.

    Directories that are there are taken literally too, as ``run[1]/*.root``.
    """
    literal, rest = "", entry
    while has_magic(rest):
        part, slash, more = rest.partition("/")
        if part and not lexists(literal + part):
            break
        literal, rest = literal + part + slash, more
    if not has_magic(rest):
        return [literal + rest]
    pattern = escape(literal) + rest
    _check_permission(name, pattern)
    return sorted(path for path in glob(pattern, recursive=True) if not isdir(path))  # noqa: PTH112


def _check_permission(name: str, pattern: str) -> None:
    """Raise for a directory that may not be looked into, which `glob` would pass by without a word."""
    parent = dirname(pattern) or curdir  # noqa: PTH120
    directories = [parent]
    if has_magic(parent):
        _check_permission(name, parent)
        directories = [path for path in glob(parent, recursive=True) if isdir(path)]  # noqa: PTH112
    for directory in directories:
        try:
            with scandir(directory):
                pass
        except PermissionError:
            raise JetmillError(f"samples.{name}.files: {directory}: no permission to read this directory") from None
        except OSError:
            pass  # It does not exist, and nothing will match.


def _why_not(path: str) -> str:
    """Say why a path is not that of a file."""
    try:
        stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return str(error.strerror)
    return f"is a directory; name its files, as {path.rstrip('/')}/*.root"
