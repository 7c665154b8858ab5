"""What each file of a run was made from: a hash that the file carries, and that its readers compare.

The hash of a file covers the settings of the job that made it and the hashes of the files that this job read, so in the
end all settings and input files that it depends on. It does not cover the code, which Snakemake tracks.

When a run starts it records the expected hash of each of its files (`Record`). A job compares its own hash before it
begins, and checks the record again before its file gets its name. So a job that outlives its run, after Snakemake was
killed, cannot replace a file of a later run.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from hashlib import sha256
from os.path import normpath
from pathlib import Path
from typing import Any

from jetmill import files
from jetmill.errors import JetmillError
from jetmill.files import MADE_FROM

# The name of the run that started a job, if the batch system passes environments on.
VARIABLE = "JETMILL_RUN"
# The parameter with the hash of the code, which is not part of a job's hash.
_CODE = "code"


class SupersededError(JetmillError):
    """A job belongs to a run that another one has taken the place of."""


def digest(rule: str, wildcards: Mapping[str, str], params: Mapping[str, Any], inputs: Iterable[str]) -> str:
    """Return the hash of what a job makes its files from.

    Parameters
    ----------
    params
        Parameters of the rule, of which settings (dataclasses) do not count, since their hash does (`passed`).
    inputs
        Hashes of the input files that other jobs make.
    """
    settings = {name: value for name, value in params.items() if name != _CODE and not is_dataclass(value)}
    content = [rule, dict(wildcards), settings, list(inputs)]
    return sha256(json.dumps(content, sort_keys=True, default=repr).encode()).hexdigest()[:16]


def passed(**settings: Any) -> dict[str, Any]:
    """Return the parameters of a rule that pass settings to its jobs: dataclasses, or functions of the wildcards.

    Snakemake does not compare foreign objects, but it compares the short ``digest`` beside them.
    """

    def short(wildcards: Any) -> str:
        return " ".join(_hash_once(value(wildcards) if callable(value) else value) for value in settings.values())

    return settings | {"digest": short if any(map(callable, settings.values())) else short(None)}


def hash_of(settings: Any) -> str:
    """Return the hash of the text of settings, which leaves out what changes no file (``repr=False``)."""
    return sha256(repr(settings).encode()).hexdigest()[:12]


_hashes: dict[int, tuple[Any, str]] = {}


def _hash_once(settings: Any) -> str:
    """Return the hash of settings that many jobs share."""
    if id(settings) not in _hashes:
        # Kept alive, so that no other object gets this id.
        _hashes[id(settings)] = settings, hash_of(settings)
    return _hashes[id(settings)][1]


@dataclass(frozen=True)
class Record:
    """What the current or last run of an output directory expects; it is kept at `path`.

    `settings` is a hash of the whole configuration and of the list of input files.
    """

    path: Path
    run: str
    settings: str

    @staticmethod
    def place(output_dir: str | Path) -> Path:
        """Return where the record of an output directory is."""
        return Path(output_dir, ".jetmill", "run")

    @classmethod
    def read(cls, output_dir: str | Path) -> "Record | None":
        """Return the record of an output directory; None if no run has started there."""
        path = cls.place(output_dir)
        try:
            with path.open() as file:
                return cls(path, **json.loads(file.readline()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise JetmillError(f"{path}: damaged ({error}); remove it and start again") from None

    @classmethod
    def write(cls, output_dir: str | Path, run: str, settings: str, digests: Mapping[str, str]) -> "Record":
        """Record the expected hash of each file: a line of JSON, then a line for each file."""
        path = cls.place(output_dir)
        lines = [json.dumps({"run": run, "settings": settings}), *(f"{d} {normpath(p)}" for p, d in digests.items())]
        with files.atomic_write(path) as partial:
            partial.write_text("\n".join([*lines, ""]))
        return cls(path, run, settings)

    @cached_property
    def digests(self) -> dict[str, str]:
        """The hash of each file that the run makes."""
        lines = self.path.read_text().splitlines()[1:]
        return {path: wanted for wanted, _, path in (line.partition(" ") for line in lines)}

    def check_current(self, path: str | Path) -> None:
        """Raise `SupersededError` if another run has started since, so that `path` is not wanted any more."""
        now = Record.read(self.path.parent.parent)
        if now is None or now.run != self.run:
            raise SupersededError(
                f"{path}: not put in place, as another run has started since this job began; nothing is wrong with the"
                " results of that one"
            )

    def check_file(self, path: str | Path, found: str | None) -> None:
        """Raise JetmillError if a file was made from something else than this run expects."""
        wanted = self.digests.get(normpath(path))
        if wanted is not None and found != wanted:
            raise JetmillError(
                f"{path}: made from other settings or input files than this run's; remove it (with a cleaned batch also"
                " every batches.json that lists it), and start again: Snakemake then makes it"
            )


@contextmanager
def job(
    output_dir: str | Path,
    rule: str,
    wildcards: Mapping[str, str],
    params: Mapping[str, Any],
    inputs: Iterable[str],
    outputs: Iterable[str],
) -> Iterator[None]:
    """Let the files that are made in the block carry their hash, if the run expects it.

    Raises
    ------
    SupersededError
        If another run has started, at once or when a file is about to get its name.
    JetmillError
        If the settings are not those that the run began with, or an input was made from others.
    """
    inputs, outputs = [normpath(path) for path in inputs], [normpath(path) for path in outputs]
    record = Record.read(output_dir)
    if record is None:
        # The run and its output directory are on another machine.
        yield
        return
    check_job(output_dir)
    made = [path for path in inputs if path in record.digests]
    own = digest(rule, wildcards, params, [record.digests[path] for path in made])
    if record.digests.get(outputs[0]) != own:
        raise JetmillError(
            f"{outputs[0]}: the configuration, or the list of input files, is not the one that this run began with;"
            " do not edit them during a run, or start again"
        )
    for path in filter(_carries, made):
        # The reader of a damaged file reports it.
        if (found := digest_in(path)) is not None:
            record.check_file(path, found)

    def finish(partial: Path, path: Path) -> None:
        """Do what comes before a file of this job gets its name."""
        # Of a directory that is no output itself, the main file is.
        if partial.is_dir() and normpath(path) not in record.digests:
            partial, path = partial / Path(outputs[0]).name, path / Path(outputs[0]).name
        if normpath(path) in record.digests:
            if _carries(path):
                _write_digest(partial, path.suffix, own)
            record.check_current(path)

    files.origin[MADE_FROM] = own
    files.finishers.append(finish)
    files.origin_checks.append(record.check_file)
    try:
        yield
    finally:
        files.origin_checks.remove(record.check_file)
        files.finishers.remove(finish)
        del files.origin[MADE_FROM]


def check_job(output_dir: str | Path) -> None:
    """Raise `SupersededError` if another run has started since this job was submitted."""
    record = Record.read(output_dir)
    if record is not None and os.environ.get(VARIABLE, record.run) != record.run:
        raise SupersededError(f"{output_dir}: another run has started there since this job was submitted")


def _write_digest(partial: Path, suffix: str, own: str) -> None:
    """Write the hash into a complete file that does not have it yet."""
    if suffix == ".json":
        content = json.loads(partial.read_text())
        if MADE_FROM not in content:
            partial.write_text(json.dumps({MADE_FROM: own, **content}, indent=1))
    elif suffix == ".h5":
        import h5py

        with h5py.File(partial, "r+") as file:
            # A file that joins parts has the attributes of the first part.
            if file.attrs.get(MADE_FROM) != own:
                file.attrs[MADE_FROM] = own
    elif suffix == ".root":
        import uproot

        with uproot.update(partial) as file:
            file[MADE_FROM] = own
    elif suffix == ".pt":
        with zipfile.ZipFile(partial, "a") as archive:
            archive.comment = f"{MADE_FROM} {own}".encode()


def digest_in(path: str | Path) -> str | None:
    """Return the hash that a file carries, "" if it carries none; None if it is not there or cannot be read."""
    path = Path(path)
    try:
        return _read_digest(path)
    except (KeyError, TypeError):
        return ""
    except (OSError, ValueError, zipfile.BadZipFile):
        return None


def _read_digest(path: Path) -> str:
    digest = ""
    match path.suffix:
        case ".h5":
            import h5py

            with h5py.File(path, "r") as file:
                digest = file.attrs[MADE_FROM]
        case ".root":
            import uproot

            with uproot.open(path) as file:
                digest = str(file[MADE_FROM])
        case ".json":
            digest = json.loads(path.read_text())[MADE_FROM]
        case ".parquet":
            import pyarrow.parquet as pq

            digest = pq.read_schema(path).metadata[MADE_FROM.encode()].decode()
        case ".pt":
            with zipfile.ZipFile(path) as archive:
                digest = archive.comment.decode().removeprefix(f"{MADE_FROM} ")
    return digest


def _carries(path: str | Path) -> bool:
    """Say whether a file carries a hash: not figures, nor files in the form of other programs."""
    path = Path(path)
    return path.name != "scale_dict.json" and path.suffix in (".h5", ".json", ".parquet", ".pt", ".root")
