"""``jetmill verify``: check a finished run against its manifest."""

import argparse
import os
import sys
import time
from pathlib import Path
from threading import Lock

from jetmill.verify import MANIFEST, verify

NAME = "verify"
HELP = "check that the files of a finished run are as its manifest says"
EXIT_CODES = "exit code: 0 all is as it was, 1 files are damaged or the input changed, 2 there is no manifest"


class Progress:
    """Prints how much has been read: one line, updated in place, on a terminal; a line per `line_bytes` elsewhere."""

    def __init__(self, line_bytes: int = 10 * 10**9) -> None:
        self._line_bytes = line_bytes
        self._terminal, self._lock, self._line = sys.stderr.isatty(), Lock(), False
        self._done, self._shown = 0, time.monotonic() if self._terminal else 0.0

    def __call__(self, n_bytes: int, total: int) -> None:
        """Count bytes that were read, of a total."""
        with self._lock:
            self._done += n_bytes
            now, step = (time.monotonic(), 1) if self._terminal else (self._done, self._line_bytes)
            if now - self._shown >= step:
                self._shown, self._line = now, self._terminal
                end = "\r" if self._terminal else "\n"
                print(f"{self._done / 1e9:.1f} of {total / 1e9:.1f} GB read", end=end, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line that changes."""
        if self._line:
            print(file=sys.stderr)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, and what is read of it."""
    parser.epilog = EXIT_CODES
    parser.add_argument("results", type=Path, help="directory of the run (output_dir of its configuration)")
    parser.add_argument("--quick", action="store_true", help="look at presence and sizes only, read no file")
    parser.add_argument("--inputs", action="store_true", help="read the local input files too, for their hashes")
    threads = min(4, os.cpu_count() or 1)
    parser.add_argument("--threads", type=positive, default=threads, help="files read at the same time (%(default)s)")


def positive(text: str) -> int:
    """Return a whole number of an argument, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Check a finished run, fold by fold; return 0 if it is as its manifest says, 1 if not, 2 if there is none."""
    return max(_check(results, options) for results in all_results(options.results))


def all_results(output_dir: Path) -> list[Path]:
    """Return the directory of a run, if there are results in it, and those of its folds."""
    of_folds = sorted(path.parent for path in output_dir.glob(f"fold_*/{MANIFEST}"))
    whole = not of_folds or (output_dir / MANIFEST).exists()
    return [output_dir] * whole + of_folds


def _check(results: Path, options: argparse.Namespace) -> int:
    progress = Progress()
    how = {"threads": options.threads, "quick": options.quick, "input_hashes": options.inputs}
    findings = verify(results, **how, progress=progress)
    progress.end()
    for problem in (*findings.problems, *findings.changed_inputs):
        print(problem)
    for warning in findings.warnings:
        print(f"warning: {warning}")
    n, n_damaged = findings.n_files, len(findings.problems)
    name = f"{results}: " if results != options.results else ""
    last = f"{n_damaged} of {n} files are damaged" if n_damaged else f"{n} files are as the manifest says"
    print(name + last + (f"; inputs changed since: {len(findings.changed_inputs)}" if findings.changed_inputs else ""))
    return 0 if findings.good else 1
