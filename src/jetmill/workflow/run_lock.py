"""One run at a time in an output directory, wherever Snakemake was started.

Snakemake locks the directory that it is started in. Two runs that are started in different ones may still have
the same output directory.
"""

import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from jetmill.errors import JetmillError
from jetmill.files import unwritable_named


class RunLock:
    """A file that says which run uses an output directory.

    The system's lock on the file ends with the process that holds it, however that ends. The content of the file is for
    other machines, and for file systems without locks.
    """

    def __init__(self, output_dir: str | Path):
        self.path = Path(output_dir, ".jetmill", "lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, or that of a dead process of this machine.

        Raises
        ------
        JetmillError
            If another run has it, or it cannot be written.
        """
        with unwritable_named(self.path):
            self._acquire()

    def _acquire(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                held = _locked(file)
                if _is_same(file, self.path):
                    self._check(file, held)
                    self._file = file
                    break
            except BaseException:
                os.close(file)
                raise
            # The previous holder has just removed it.
            os.close(file)
        os.ftruncate(file, 0)
        holder = {"host": socket.gethostname(), "process": os.getpid(), "directory": str(Path.cwd())}
        os.pwrite(file, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._file is not None:
            with suppress(OSError):
                if _is_same(self._file, self.path):
                    self.path.unlink()
            os.close(self._file)
            self._file = None

    def _check(self, file: int, held: bool | None) -> None:
        """Raise if another run has the lock; `held` is what the system says, None if it cannot tell."""
        try:
            holder: dict[str, Any] = json.loads(os.pread(file, 10_000, 0) or b"{}")
        except ValueError:
            holder = {}
        here = holder.get("host", socket.gethostname()) == socket.gethostname()
        if held or (holder and (not here or (held is None and _runs(holder.get("process", 0))))):
            who = (
                f"process {holder.get('process', '?')} on {holder.get('host', '?')}, in {holder.get('directory', '?')}"
            )
            advice = "wait for it to end, or choose another output_dir"
            if not here:
                advice += f". If there is no such process on that machine any more, remove {self.path}"
            raise JetmillError(f"{self.path.parent.parent}: another run is in progress there ({who}); {advice}")


def _locked(file: int) -> bool | None:
    """Lock a file; return whether another process has it, None if the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _is_same(file: int, path: Path) -> bool:
    """Say whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _runs(process: int) -> bool:
    """Say whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
