"""The lock of an output directory: one run at a time, and none that the dead keep."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from jetmill.errors import JetmillError
from jetmill.workflow.run_lock import RunLock

HOLD = """
import sys, time
from jetmill.workflow.run_lock import RunLock
RunLock(sys.argv[1]).acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that has the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def taken(path):
    lock = RunLock(path)
    lock.acquire()
    lock.release()
    return not lock.path.exists()


def test_it_is_taken_and_given_back(tmp_path):
    assert taken(tmp_path / "results")
    assert taken(tmp_path / "results")


def test_another_process_that_has_it_is_named(tmp_path, holder):
    with pytest.raises(JetmillError) as error:
        RunLock(tmp_path).acquire()
    who = f"process {holder.pid} on {socket.gethostname()}, in {tmp_path}"
    assert str(error.value) == (
        f"{tmp_path}: another run is in progress there ({who}); wait for it to end, or choose another output_dir"
    )


def test_a_process_of_this_machine_that_is_dead_has_it_no_longer(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".jetmill/lock").exists()
    assert taken(tmp_path)


def test_a_file_of_another_machine_stays_until_it_is_removed(tmp_path):
    """Whose processes cannot be seen from here."""
    path = tmp_path / ".jetmill/lock"
    path.parent.mkdir()
    path.write_text(json.dumps({"host": "elsewhere", "process": 12, "directory": "/there"}))
    for _ in range(2):
        with pytest.raises(
            JetmillError, match=r"process 12 on elsewhere, in /there.*remove .*/\.jetmill/lock"
        ) as error:
            RunLock(tmp_path).acquire()
        assert "If there is no such process on that machine any more" in str(error.value)
    path.unlink()
    assert taken(tmp_path)


@pytest.mark.parametrize("process", [os.getppid(), None], ids=["alive", "dead"])
def test_without_locks_of_the_file_system_the_text_counts(tmp_path, monkeypatch, process):
    if process is None:
        done = subprocess.Popen(["true"])
        done.wait()
        process = done.pid

    def unsupported(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unsupported)
    path = tmp_path / ".jetmill/lock"
    path.parent.mkdir()
    path.write_text(json.dumps({"host": socket.gethostname(), "process": process, "directory": "/here"}))
    if process == os.getppid():
        with pytest.raises(JetmillError, match=f"process {process} on "):
            RunLock(tmp_path).acquire()
    else:
        assert taken(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "no JSON"])
def test_an_unreadable_file_that_nobody_holds_is_taken(tmp_path, text):
    path = tmp_path / ".jetmill/lock"
    path.parent.mkdir()
    path.write_text(text)
    assert taken(tmp_path)
