import json

import pytest

from jetmill.workflow.warning_summary import warning_summary


@pytest.fixture
def summary(tmp_path):
    def of(*warnings):
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps({"warnings": warnings}))
        return warning_summary(path).replace(str(path), "manifest.json")

    return of


def test_nothing_is_said_without_warnings(summary):
    assert summary() == ""


def test_warnings_that_differ_in_names_and_numbers_share_a_line(summary):
    names = [f"'v_{i}' is -999 for {i} jets" for i in range(9)]
    assert summary("no jets in test", *names[:2], "b is 0", "b is 1") == (
        "5 warnings, also in manifest.json:\n"
        "- no jets in test\n"
        "- 'v_0' is -999 for 0 jets (and 'v_1')\n"
        "- b is 0 (and 1 more)"
    )
    assert summary(*names).endswith("jets (and 'v_1', 'v_2', 'v_3', 'v_4', 'v_5' and 3 more)")
    assert summary("no jets in test").startswith("1 warning, also")


def test_a_flood_is_cut(summary):
    names = [chr(97 + i // 26) + chr(97 + i % 26) for i in range(30)]
    *_, before, last = summary(*names).splitlines()
    assert (before, last) == (f"- {names[19]}", "- and 10 more kinds")
