"""What a run shows on the terminal while jobs run."""

import io
import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from jetmill.workflow.terminal import Terminal, duration, take_over


class Screen(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def event(kind, **fields):
    return logging.makeLogRecord({"msg": None, "levelno": logging.INFO, "event": kind, **fields})


def start(terminal, jobid, rule, log=(), **wildcards):
    terminal.handle(event(LogEvent.JOB_INFO, rule_name=rule, jobid=jobid, wildcards=wildcards, log=list(log)))


def finish(terminal, jobid, done, total):
    terminal.handle(event(LogEvent.JOB_FINISHED, job_id=jobid))
    terminal.handle(event(LogEvent.PROGRESS, done=done, total=total))


def run_of_two_batches(out, directory):
    """Clean three files in two batches, the second without a log, and do eight other jobs."""
    log, clock = directory / "0.log", Clock()
    terminal = Terminal(out, clock)
    terminal.begin({"tt 0000": 2, "tt 0001": 1})
    start(terminal, 0, "clean", [log], sample="tt", batch="0000", variation="")
    start(terminal, 1, "clean", [], sample="tt", batch="0001", variation="")
    start(terminal, 2, "write")
    finish(terminal, 2, 1, 10)
    log.write_text("x INFO a.root: 3000 jets read, 2934 kept\n")
    clock.now = 70
    terminal.tick()
    log.write_text("x INFO a.root: 3000 jets read, 2934 kept\nx INFO b.root: 10 jets read, 6 kept\n")
    finish(terminal, 0, 2, 10)
    finish(terminal, 2, 3, 10)
    finish(terminal, 1, 5, 10)
    clock.now = 140
    terminal.tick()
    finish(terminal, 3, 10, 10)
    terminal.close()


def test_jets_of_batches_and_the_time_left(tmp_path):
    run_of_two_batches(out := io.StringIO(), tmp_path)
    assert out.getvalue().splitlines() == [
        "1 of 10 jobs, 1 of 3 files cleaned, about 10 min left",
        "tt 0000: 2,940 of 3,010 jets kept",
        "tt 0001: cleaned",
        "5 of 10 jobs, about 2 min left",
        "10 jobs in 2 min",
    ]


def test_a_terminal_keeps_the_progress_on_its_last_line(tmp_path):
    run_of_two_batches(out := Screen(), tmp_path)
    lines = out.getvalue().replace("\r\x1b[K", "\r").splitlines(keepends=True)
    assert [line for line in lines if line.endswith("\n")] == [
        "tt 0000: 2,940 of 3,010 jets kept\n",
        "tt 0001: cleaned\n",
        "10 jobs in 2 min\n",
    ]
    assert "1 of 10 jobs, 1 of 3 files cleaned, about 10 min left\r" in lines


def test_nothing_is_left_on_the_last_line_of_a_run_that_fails(tmp_path):
    terminal = Terminal(out := Screen(), clock := Clock())
    terminal.begin({})
    clock.now = 5
    finish(terminal, 0, 1, 2)
    assert out.getvalue().endswith("1 of 2 jobs, about 5 s left")
    terminal.close()
    assert out.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (9000, "2.5 h")])
def test_times(seconds, text):
    assert duration(seconds) == text


def test_the_terminal_keeps_errors_and_messages():
    out = io.StringIO()
    logger, handler = logging.Logger("own"), logging.StreamHandler(out)
    handler.name = "DefaultStreamHandler"
    logger.addHandler(handler)
    take_over(logger)
    for kind in (LogEvent.RUN_INFO, LogEvent.JOB_INFO, LogEvent.JOB_FINISHED):
        logger.info("rule", extra={"event": kind, "rule_name": "write", "job_id": 1, "jobid": 1})
    logger.info("Execute 2 jobs...")
    logger.error("it failed", extra={"event": LogEvent.JOB_ERROR})
    logger.info("Done.")
    assert out.getvalue() == "it failed\nDone.\n"
