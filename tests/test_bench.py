"""The table of `make bench`."""

import importlib.util
import sys

import pytest
import workflow_runs as runs


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(runs.ROOT / "benchmarks")
        spec = importlib.util.spec_from_file_location("bench_table", runs.ROOT / "benchmarks/bench.py")
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize(
    ("of_peer", "recorded", "value", "words", "worse"),
    [
        (False, 2.0, 1.4, "ok", False),
        (False, 2.0, 2.1, "short", False),
        (False, 2.0, 2.5, "short, worse than recorded (2)", True),
        (False, None, 9.0, "short", False),
        (True, 2.0, 8.0, "ok", False),
        (True, 2.0, 1.7, "ok", False),
        (True, 2.0, 1.5, "short, worse than recorded (2)", True),
    ],
)
def test_a_line_for_each_goal(bench, tmp_path, of_peer, recorded, value, words, worse):
    found = bench.Figure(3.0, 2.0, value, 150.2)
    goal = bench.Goal("S0 nothing", lambda directory: found, 1.6, recorded, of_peer=of_peer)
    (line,) = bench.lines(tmp_path, [goal])
    assert line == (f"S0 nothing | 3.0 | 2.0 | {value:.2f} | 1.6 | 150.2 | {words}", worse)


def test_what_another_benchmark_prints_is_read(bench, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("print('jetmill    5.0 s   (min 5)\\nstudy     26.0 s   (min 25)')")
    found = bench.of_program(str(program), pattern=bench.STUDY)(tmp_path)
    assert (found.ours, found.other, found.value) == (5.0, 26.0, 5.2)
    with pytest.raises(SystemExit, match="printed no figures"):
        bench.of_program(str(program), pattern="nothing ([0-9])")(tmp_path)
