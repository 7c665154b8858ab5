import logging
import re

import pytest

from jetmill.errors import JetmillError
from jetmill.workflow.job_log import job_log


@pytest.fixture(autouse=True)
def _root_logger():
    """Take away the handlers that a job, which ends with its process, leaves on the root logger."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before, level


def test_a_log_holds_the_messages_and_what_the_job_took(tmp_path):
    with job_log(tmp_path / "logs" / "job.log"):
        logging.getLogger("jetmill.stages").info("%d jets read", 5)
    lines = (tmp_path / "logs" / "job.log").read_text().splitlines()
    assert lines[0].endswith("INFO 5 jets read")
    memory = re.search(r"done in [\d.]+ s, [\d.]+ s of CPU, peak memory (\d+) MB$", lines[-1])
    assert memory
    assert 10 < int(memory[1]) < 4000


def test_a_mistake_of_the_user_is_one_line_and_exit_code_1(tmp_path):
    with pytest.raises(SystemExit) as stopped, job_log(tmp_path / "job.log"):
        raise JetmillError("a.root: no tree 'Events'")
    assert stopped.value.code == 1
    (line,) = (tmp_path / "job.log").read_text().splitlines()
    assert line.endswith("ERROR a.root: no tree 'Events'")


def test_a_defect_leaves_its_traceback(tmp_path):
    with pytest.raises(SystemExit) as stopped, job_log(tmp_path / "job.log"):
        raise KeyError("surprise")
    assert stopped.value.code == 1
    text = (tmp_path / "job.log").read_text()
    assert "please report it" in text
    assert "Traceback" in text
    assert "KeyError: 'surprise'" in text
