"""What a run shows on the terminal while it runs: jets of each batch as it is cleaned, and how much is left."""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from snakemake_interface_logger_plugins.common import LogEvent

# Seconds between two lines without news: on a terminal, where the last line is written anew, and in a file.
INTERVAL, INTERVAL_IN_FILES = 2.0, 60.0
# Lines of Snakemake that these replace; errors and warnings stay.
REPLACED = {
    LogEvent.WORKFLOW_STARTED,
    LogEvent.RESOURCES_INFO,
    LogEvent.RUN_INFO,
    LogEvent.JOB_INFO,
    LogEvent.JOB_STARTED,
    LogEvent.JOB_FINISHED,
    LogEvent.PROGRESS,
}
_SCHEDULING = re.compile(r"Building DAG|Using shell|Conda environments: ignored|Select jobs|Execute \d+ jobs")
_JETS = re.compile(r" (\d+) jets read, (\d+) kept$", re.MULTILINE)


class Terminal(logging.Handler):
    """Turns Snakemake's events into a line for each cleaned batch, and one for the progress of the whole run.

    Parameters
    ----------
    stream
        Where the lines go. On a terminal, the line of the progress is written anew instead of repeated.
    clock
        Returns seconds.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic):
        super().__init__(logging.INFO)
        # The lock of the handler may be None for the type checker.
        self._lock = self.lock or threading.RLock()
        self._stream, self._clock = stream or sys.stderr, clock
        self._rewrites = self._stream.isatty()
        self._start = self._printed = clock()
        self._files: dict[str, int] = {}
        self._cleaning: dict[int, tuple[str, str]] = {}
        self._files_done = 0
        self._done, self._total = 0, 0
        self._status = False
        self._ended = threading.Event()

    def begin(self, files: Mapping[str, int]) -> None:
        """Start the clock.

        Parameters
        ----------
        files
            Number of files of each batch that is cleaned, by the title of its job.
        """
        self._files, self._start = dict(files), self._clock()
        threading.Thread(target=self._every_interval, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Follow an event."""
        event, fields = getattr(record, "event", None), record.__dict__
        if event == LogEvent.JOB_INFO and fields["rule_name"] == "clean":
            wildcards, logs = fields["wildcards"], fields["log"]
            self._cleaning[fields["jobid"]] = (title(**wildcards), next(iter(logs), ""))
        elif event == LogEvent.JOB_FINISHED and fields["job_id"] in self._cleaning:
            name, log = self._cleaning.pop(fields["job_id"])
            self._files_done += self._files.get(name, 0)
            self._print(cleaned(name, log))
        elif event == LogEvent.PROGRESS:
            self._done, self._total = fields["done"], fields["total"]
            self.tick(last=self._done == self._total)

    def tick(self, *, last: bool = False) -> None:
        """Print the progress of the run, if it is time for it."""
        interval = 0.0 if last else INTERVAL if self._rewrites else INTERVAL_IN_FILES
        if self._total and self._clock() - self._printed >= interval:
            self._print("" if self._rewrites and not last else self.progress())

    def progress(self) -> str:
        """Return jobs and files done, and about how long the rest takes."""
        seconds = self._clock() - self._start
        if self._done == self._total:
            return f"{self._total} jobs in {duration(seconds)}"
        parts = [f"{self._done} of {self._total} jobs"]
        if self._cleaning:
            running = sum(len(_JETS.findall(_text(log))) for _, log in self._cleaning.values())
            parts.append(f"{self._files_done + running} of {sum(self._files.values())} files cleaned")
        if self._done:
            parts.append(f"about {duration(seconds / self._done * (self._total - self._done))} left")
        return ", ".join(parts)

    def clear(self) -> None:
        """Take the line of the progress away, before something else is printed."""
        with self._lock:
            if self._status:
                self._stream.write("\r\x1b[K")
                self._status = False

    def close(self) -> None:
        """End with what is printed."""
        self._ended.set()
        self.clear()
        super().close()

    def _print(self, line: str) -> None:
        """Print a line, if it is not empty, and on a terminal the progress below."""
        self.clear()
        if line:
            self._stream.write(f"{line}\n")
        if self._rewrites and 0 < self._done < self._total:
            self._stream.write(self.progress())
            self._status = True
        self._stream.flush()
        self._printed = self._clock()

    def _every_interval(self) -> None:
        while not self._ended.wait(INTERVAL):
            with self._lock:
                self.tick()


def title(sample: str, batch: str, variation: str = "") -> str:
    """Return what a job that cleans is called."""
    return f"{variation}{sample} {batch}"


def cleaned(name: str, log: str) -> str:
    """Return what became of the jets of a batch, from the log of its job."""
    found = _JETS.findall(_text(log))
    read, kept = (sum(int(of_file[i]) for of_file in found) for i in (0, 1))
    return f"{name}: {kept:,} of {read:,} jets kept" if found else f"{name}: cleaned"


def _text(log: str) -> str:
    try:
        return Path(log).read_text(errors="replace")
    except OSError:
        return ""


def duration(seconds: float) -> str:
    """Return a time in its natural unit: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def take_over(logger: logging.Logger) -> Terminal:
    """Show a `Terminal` instead of what Snakemake says of each job; its log file stays as it is."""
    terminal = Terminal()

    def kept(record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) in REPLACED or _SCHEDULING.match(str(record.msg)):
            return False
        terminal.clear()
        return True

    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(kept)
    logger.addHandler(terminal)
    return terminal
