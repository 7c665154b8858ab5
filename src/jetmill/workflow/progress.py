"""What a quiet run prints while it runs: jets of each batch as it is cleaned, and how much is left."""

import logging
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from snakemake_interface_logger_plugins.common import LogEvent

# Seconds between two lines, unless there are jets to report.
INTERVAL = 10.0
# Snakemake's lines that these replace; errors of jobs stay.
REPLACED = {LogEvent.JOB_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.PROGRESS}
_SCHEDULING = re.compile(r"Select jobs to execute|Execute \d+ jobs")
_JETS = re.compile(r" (\d+) jets read, (\d+) kept$", re.MULTILINE)


class Progress(logging.Handler):
    """Turns Snakemake's events into one plain line for each cleaned batch, and one now and then for other jobs."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic):
        super().__init__(logging.INFO)
        self._stream, self._clock = stream or sys.stderr, clock
        self._start = self._printed = clock()
        self._cleaning: dict[int, tuple[str, str]] = {}
        self._news: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember what happened, and print it when Snakemake reports its progress."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO and record.__dict__["rule_name"] == "clean":
            w, logs = record.__dict__["wildcards"], record.__dict__["log"]
            title = f"{w.get('variation', '')}{w['sample']} {w['batch']}"
            self._cleaning[record.__dict__["jobid"]] = (title, next(iter(logs), ""))
        elif event == LogEvent.JOB_FINISHED and record.__dict__["job_id"] in self._cleaning:
            self._news.append(cleaned(*self._cleaning.pop(record.__dict__["job_id"])))
        elif event == LogEvent.PROGRESS:
            self._print(record.__dict__["done"], record.__dict__["total"])

    def _print(self, done: int, total: int) -> None:
        now = self._clock()
        if not self._news and done < total and now - self._printed < INTERVAL:
            return
        left = (now - self._start) / max(done, 1) * (total - done)
        rest = f", about {duration(left)} left" if done < total else f" in {duration(now - self._start)}"
        lines = [*self._news[:-1], ": ".join([f"{done} of {total} jobs{rest}", *self._news[-1:]])]
        self._news, self._printed = [], now
        print("\n".join(lines), file=self._stream, flush=True)


def cleaned(title: str, log: str) -> str:
    """Return what became of the jets of a batch, from the log of its clean job."""
    try:
        found = _JETS.findall(Path(log).read_text(errors="replace"))
    except OSError:
        found = []
    read, kept = (sum(int(of_file[i]) for of_file in found) for i in (0, 1))
    return f"{title}, {kept:,} of {read:,} jets kept" if found else f"{title} cleaned"


def duration(seconds: float) -> str:
    """Return a time in its natural unit: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def replace_lines_of_jobs(logger: logging.Logger) -> None:
    """Print `Progress` on the terminal instead of what Snakemake says of each job; its log file stays as it is."""

    def kept(record: logging.LogRecord) -> bool:
        return getattr(record, "event", None) not in REPLACED and not _SCHEDULING.match(str(record.msg))

    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(kept)
    logger.addHandler(Progress())
