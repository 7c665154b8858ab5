"""Lists of expected checksums, as ``sha256sum``, ``md5sum``, Rucio and DAS print them, and the files they are for.

Nothing is guessed: an ambiguous line is an error.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import isfile, normpath, realpath
from pathlib import Path

from jetmill.errors import JetmillError, one_line
from jetmill.settings.samples import Sample
from jetmill.sources.remote import is_remote

# Algorithm to hexadecimal digits of its checksums.
DIGITS = {"adler32": 8, "md5": 32, "sha256": 64}
# Names of algorithms in such lists, in lower case.
_NAMES = {"adler32": "adler32", "adler": "adler32", "ad": "adler32", "md5": "md5", "md": "md5"} | dict.fromkeys(
    ["sha256", "sha-256", "sha2-256"], "sha256"
)
# Unsupported algorithms by their number of digits.
_OTHERS = {40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}
KNOWN = "adler32, md5 and sha256 are known"
EXPECTED = "expected a path and its checksum, as '<sha256> <path>', '<path> adler32:<digits>' or 'MD5 (<path>) = <md5>'"
# 50,000 files with paths of 1000 bytes, twice over.
MAX_BYTES = 100_000_000
# Largest number of names in a message.
MAX_NAMED = 20

_TAGGED = re.compile(r"(?P<name>[A-Za-z0-9-]+) ?\((?P<path>.+)\) ?= ?(?P<digits>\S+)")
_PREFIXED = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9-]*):(?P<digits>(0x)?[0-9A-Fa-f]+)")
_DIGITS = re.compile(r"[0-9A-Fa-f]+")
# Escapes of coreutils, in lines that begin with a backslash.
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
# Rucio's scope of a name; not that of a URL.
_SCOPE = re.compile(r"^[A-Za-z0-9._-]+:(?!//)")

# Algorithm to checksum, of one file.
Checksums = dict[str, str]


@dataclass(frozen=True)
class Expected:
    """The checksums of the input files of a sample: `of` each file, from the list at `path`.

    `unused` is how many paths of the list belong to no file of the sample.
    """

    of: dict[str, Checksums] = field(default_factory=dict)
    path: str = ""
    unused: int = 0

    def __str__(self) -> str:
        """Say in a few words what will be checked, and what was in the list besides."""
        besides = f" ({self.unused} of its paths are of no file of the sample)" if self.unused else ""
        return f"to be checked with {self.path}{besides}"


def find_checksums(
    samples: Mapping[str, Sample], files: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Expected], list[str]]:
    """Return the expected checksums of the samples that have some, and what is wrong with those of others.

    `files` is sample to its input files; samples without any are ignored.
    """
    expected, problems = {}, []
    for name, sample in samples.items():
        if sample.checksums is None or name not in files:
            continue
        key = f"samples.{name}.checksums"
        if remote := [path for path in files[name] if is_remote(path)]:
            problems.append(
                f"{key}: {_named(remote)}: remote files cannot be checked, as only what is used of them is read; copy"
                " them here, or have them in a sample without checksums"
            )
            continue
        try:
            listed = read_checksums(sample.checksums)
            expected[name] = match(files[name], listed, sample.checksums)
        except JetmillError as error:
            problems += [f"{key}: {one_line(line)}" for line in str(error).splitlines()]
    return expected, problems


def read_checksums(path: str | Path) -> dict[str, Checksums]:
    """Return what a file of checksums says: path to its checksums.

    Raises
    ------
    JetmillError
        With a line for each line that is wrong: the file, the number of the line, what was found and expected.
    """
    try:
        if not Path(path).is_file():
            raise JetmillError(f"{path}: {'is not a file' if Path(path).exists() else 'no such file'}")
        if (size := Path(path).stat().st_size) > MAX_BYTES:
            raise JetmillError(f"{path}: has {size:,} bytes, {MAX_BYTES:,} is the most for a file of checksums")
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise JetmillError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise JetmillError(f"{path}: is not a text file (UTF-8); {EXPECTED}") from None
    found: dict[str, Checksums] = {}
    first: dict[tuple[str, str], int] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            file, algorithm, checksum = parse(line)
            before = found.setdefault(file, {}).setdefault(algorithm, checksum)
            earlier = first.setdefault((file, algorithm), number)
            if before != checksum:
                raise ValueError(
                    f"found {algorithm} {checksum} of '{file}', and {before} in line {earlier}; keep the right one"
                )
        except ValueError as error:
            problems.append(f"{path}: line {number}: {error}")
    if problems:
        more = [f"{path}: and {len(problems) - MAX_NAMED} more lines"] if len(problems) > MAX_NAMED else []
        raise JetmillError("\n".join([*problems[:MAX_NAMED], *more]))
    if not found:
        raise JetmillError(f"{path}: holds no checksums; {EXPECTED}")
    return found


def parse(line: str) -> tuple[str, str, str]:
    r"""Return path, algorithm and checksum (small letters) of a line.

    Output of ``sha256sum`` and ``md5sum``, with or without ``--tag``, with their ``\`` before lines with escapes; or a
    path and a checksum in any order, the checksum with ``adler32:``, ``ad:``, ``md5:``, ``md:``, ``sha256:`` or
    nothing before it. Some tools drop leading zeros of an adler32: one with its name before it may have fewer digits.

    Raises
    ------
    ValueError
        If it cannot be read, or in two ways: what was found and what is expected.
    """
    line = line.strip()
    escaped = line.startswith("\\")
    text = line.removeprefix("\\").strip()
    if tagged := _TAGGED.fullmatch(text):
        algorithm, checksum = _named_checksum(tagged["name"], tagged["digits"])
        file = tagged["path"]
    else:
        file, algorithm, checksum = _path_and_checksum(text)
    if escaped:
        file = re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found[0]], file)
    return file, algorithm, checksum


def _path_and_checksum(text: str) -> tuple[str, str, str]:
    tokens = text.split() or [""]
    start, end = tokens[0], tokens[-1]
    # Candidates for checksum and path; coreutils mark binary files with a star.
    ways = [(start, re.sub(r"^(\s\*|\s+)", "", text[len(start) :])), (end, text[: -len(end)].rstrip())]
    ways = [(token, file) for token, file in ways if file]
    prefixed = [way for way in ways if (found := _PREFIXED.fullmatch(way[0])) and found["name"].lower() in _NAMES]
    plain = [way for way in ways if _DIGITS.fullmatch(way[0]) and len(way[0]) in DIGITS.values()]
    possible = prefixed or plain
    if not possible:
        raise ValueError(_why_not(text, [token for token, _ in ways]))
    if len(possible) > 1:
        raise ValueError(
            f"found '{_short(text)}', where either could be the checksum; write adler32:, md5: or sha256: before it"
        )
    token, file = possible[0]
    if prefixed:
        name, _, digits = token.partition(":")
        return (file, *_named_checksum(name, digits))
    return file, next(name for name, n in DIGITS.items() if n == len(token)), token.lower()


def _named_checksum(name: str, digits: str) -> tuple[str, str]:
    """Return algorithm and checksum where the name of the algorithm is given."""
    algorithm = _NAMES.get(name.lower())
    if algorithm is None:
        raise ValueError(f"found a checksum '{_short(name)}'; {KNOWN}")
    wanted = DIGITS[algorithm]
    digits = digits.lower().removeprefix("0x")
    if algorithm == "adler32":
        digits = digits.zfill(wanted)
    if not _DIGITS.fullmatch(digits) or len(digits) != wanted:
        raise ValueError(f"found {algorithm} '{_short(digits)}', expected {wanted} hexadecimal digits")
    return algorithm, digits


def _why_not(text: str, tokens: list[str]) -> str:
    """Say why none of the tokens is a checksum."""
    for token in tokens:
        if prefixed := _PREFIXED.fullmatch(token):
            return f"found a checksum '{_short(prefixed['name'])}' in '{_short(text)}'; {KNOWN}"
        if _DIGITS.fullmatch(token) and len(token) in _OTHERS:
            return f"found {len(token)} hexadecimal digits, as of {_OTHERS[len(token)]}; {KNOWN}"
    for token in tokens:
        if _DIGITS.fullmatch(token) and 4 <= len(token) < DIGITS["adler32"] and not token.isalpha():
            return (
                f"found '{_short(text)}', where '{token}' is no checksum; write 'adler32:{token}' if it is an adler32"
                " without its leading zeros"
            )
    return f"found '{_short(text)}', {EXPECTED}"


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}..."


def match(files: Sequence[str], listed: Mapping[str, Checksums], path: str) -> Expected:
    """Find the checksums of input files in what a list at `path` says.

    A file is found by its path, by its path relative to the list, by its real path (links followed) in either way, and
    by its name alone; a path in the list may have a Rucio scope or ``file://`` before it.

    Raises
    ------
    JetmillError
        If a name alone means several files, or files have no checksum: all of them.
    """
    here = str(Path.cwd())
    beside = str(Path(here, path).parent)
    ways: list[tuple[Callable[[str], str], Callable[[str], str]]] = [
        (normpath, normpath),
        (lambda file: _under(here, file), lambda entry: _under(beside, _path_in(entry))),
        (realpath, lambda entry: _real(_under(here, _path_in(entry)))),
        (realpath, lambda entry: _real(_under(beside, _path_in(entry)))),
        (_name, lambda entry: _name(_path_in(entry))),
    ]
    missing, unused = list(dict.fromkeys(files)), list(listed)
    expected: dict[str, Checksums] = {}
    problems = []
    for of_file, of_entry in ways:
        entries, used = _by_key(unused if missing else [], of_entry), set()
        # Without entries left, links need not be followed, which is slow for many files.
        for key, found in _by_key(missing if entries else [], of_file).items():
            if key not in entries:
                continue
            used.update(entries[key])
            sums = {kind: {listed[e][kind] for e in entries[key] if kind in listed[e]} for kind in DIGITS}
            if of_file is _name and len(found) > 1:
                problems.append(f"'{key}' is the name of {_named(found)}")
            elif any(len(values) > 1 for values in sums.values()):
                problems.append(f"{found[0]} can be {_named(entries[key])}, whose checksums differ")
            expected |= {file: {kind: min(values) for kind, values in sums.items() if values} for file in found}
        unused = [entry for entry in unused if entry not in used]
        missing = [file for file in missing if file not in expected]
    problems = [f"{path}: {problem}; list checksums by the paths that are in files" for problem in problems]
    if missing:
        problems.append(f"{path}: has no checksum of {_named(missing)}; add the missing ones")
    if problems:
        raise JetmillError("\n".join(problems))
    return Expected(expected, path, len(unused))


def _path_in(entry: str) -> str:
    """Return an entry without the prefixes of catalogues."""
    return entry.removeprefix("file://") if entry.startswith("file://") else _SCOPE.sub("", entry, count=1)


def _under(directory: str, path: str) -> str:
    """Return an absolute path; not with pathlib, which takes ten times as long."""
    return normpath(path if path.startswith("/") else f"{directory}/{path}")


def _real(path: str) -> str:
    """Return the path without links, nothing if there is no such file."""
    return realpath(path) if isfile(path) else ""  # noqa: PTH113


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _by_key(names: Iterable[str], of: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        if key := of(name):
            found.setdefault(key, []).append(name)
    return found


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
