"""What `jetmill run` prints while jobs run."""

import io
import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from jetmill.workflow.progress import Progress, duration, replace_lines_of_jobs


def event(kind, **fields):
    return logging.makeLogRecord({"msg": None, "levelno": logging.INFO, "event": kind, **fields})


def test_jets_of_batches_and_the_time_left(tmp_path):
    (tmp_path / "0.log").write_text("x INFO a.root: 3000 jets read, 2934 kept\nx INFO b.root: 10 jets read, 6 kept\n")
    now, out = [0.0], io.StringIO()
    progress = Progress(out, clock=lambda: now[0])
    for number in (0, 1):
        wildcards, log = {"variation": "", "sample": "tt", "batch": f"000{number}"}, [str(tmp_path / f"{number}.log")]
        progress.emit(event(LogEvent.JOB_INFO, rule_name="clean", jobid=number, wildcards=wildcards, log=log))
    progress.emit(event(LogEvent.JOB_INFO, rule_name="write", jobid=2, wildcards={}, log=[]))
    progress.emit(event(None))

    def finish(jobid, seconds, done):
        now[0] = seconds
        progress.emit(event(LogEvent.JOB_FINISHED, job_id=jobid))
        progress.emit(event(LogEvent.PROGRESS, done=done, total=10))

    finish(0, 30, 1)
    finish(2, 31, 2)  # nothing new within ten seconds
    finish(1, 32, 3)
    finish(2, 50, 5)
    finish(2, 51, 10)
    assert out.getvalue().splitlines() == [
        "1 of 10 jobs, about 4 min left: tt 0000, 2,940 of 3,010 jets kept",
        "3 of 10 jobs, about 75 s left: tt 0001 cleaned",
        "5 of 10 jobs, about 50 s left",
        "10 of 10 jobs in 51 s",
    ]


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (120, "2 min"), (9000, "2.5 h")])
def test_times(seconds, text):
    assert duration(seconds) == text


def test_the_terminal_keeps_errors_and_messages():
    out = io.StringIO()
    logger, handler = logging.Logger("own"), logging.StreamHandler(out)
    handler.name = "DefaultStreamHandler"
    logger.addHandler(handler)
    replace_lines_of_jobs(logger)
    for kind in (LogEvent.JOB_INFO, LogEvent.JOB_FINISHED):
        logger.info("rule", extra={"event": kind, "rule_name": "write", "job_id": 1, "jobid": 1})
    logger.info("Execute 2 jobs...")
    logger.error("it failed", extra={"event": LogEvent.JOB_ERROR})
    logger.info("Done.")
    assert out.getvalue() == "it failed\nDone.\n"
