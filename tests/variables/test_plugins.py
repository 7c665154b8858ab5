"""Plug-ins: what a user's file may do, and what is said when it does something else."""

import os
import pickle
import sys
import textwrap

import awkward as ak
import numpy as np
import pytest

from jetmill.errors import JetmillError
from jetmill.variables.plugins import apply_jet_plugin, apply_plugin, load_plugin

COUNTS = np.array([2, 0, 3], dtype=np.uint16)
TRACKS = {"pt": np.array([5.0, 3.0, 9.0, 2.0, 1.0], dtype=np.float32), "hits": np.array([1, 2, 3, 4, 5])}
JETS = {"pt": np.array([10.0, 20.0, 30.0])}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a plug-in and returns its path."""

    def to(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return to


@pytest.fixture
def run(write):
    """Return a function that writes a plug-in and applies its function ``make`` to constituents."""

    def of(text):
        return apply_plugin(load_plugin(write(text), "make"), TRACKS, COUNTS, JETS)

    return of


def test_constituents(run):
    found = run("""
        import numpy as np

        def make(constituents, jets):
            assert sorted(constituents) == ["hits", "jet", "pt"] and list(jets) == ["pt"]
            assert constituents["jet"].dtype == np.int64
            return {"share": constituents["pt"] / jets["pt"][constituents["jet"]], "many": constituents["hits"] > 2}
    """)
    assert list(found) == ["share", "many"]
    np.testing.assert_allclose(found["share"], [0.5, 0.3, 0.3, 2 / 30, 1 / 30], rtol=1e-6)
    assert found["many"].tolist() == [False, False, True, True, True]


def test_jets(write):
    plugin = load_plugin(write("def make(jets): return {'double': 2 * jets['pt']}"), "make")
    assert apply_jet_plugin(plugin, JETS)["double"].tolist() == [20, 40, 60]
    assert plugin(JETS)["double"].tolist() == [20, 40, 60]


def test_what_counts_as_an_array(run):
    found = run("""
        import awkward as ak
        import numpy as np

        def make(constituents, jets):
            return {
                "list": [1, 2, 3, 4, 5],
                "awkward": ak.Array(constituents["pt"]),
                "masked": np.ma.masked_less(constituents["hits"], 3),
                "option": ak.to_numpy(ak.Array([1.5, None, 2.5, None, 3.5])),
                "half": np.ones(5, dtype=np.float16),
                "itself": constituents["pt"],
            }
    """)
    assert all(type(column) is np.ndarray for column in found.values())
    assert found["list"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(found["masked"], [np.nan, np.nan, 3, 4, 5])
    np.testing.assert_array_equal(found["option"], [1.5, np.nan, 2.5, np.nan, 3.5])
    assert found["half"].dtype == np.float16
    np.testing.assert_array_equal(found["awkward"], found["itself"])


def test_no_constituents_at_all(write):
    plugin = load_plugin(write("def make(constituents, jets): return {'a': constituents['pt'] * 2}"), "make")
    none = np.zeros(3, dtype=np.int64)
    assert apply_plugin(plugin, {"pt": np.array([])}, none, JETS)["a"].shape == (0,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make(constituents, jets):\n    x = 1\n    return x / 0", "line 3: ZeroDivisionError: division by zero"),
        # Where the user's code stands, not where numpy raises.
        (
            "import numpy as np\n\ndef other(x):\n    return np.stack([])\n\ndef make(constituents, jets):\n"
            "    return other(constituents)",
            "line 4: ValueError: need at least one array to stack",
        ),
        (
            "def make(constituents, jets):\n    return {'a': jets['Pt']}",
            r"line 2: KeyError: 'Pt'. Did you mean 'pt'\?",
        ),
        (
            "def make(constituents, jets):\n    constituents['pt'][0] = 1",
            "line 2: ValueError: assignment destination is read-only",
        ),
        (
            "def make(constituents, jets):\n    constituents['pt'] *= 2",
            "line 2: ValueError: output array is read-only",
        ),
        ("def make(constituents, jets):\n    raise RuntimeError", r"line 2: RuntimeError$"),
        ("def make(constituents, jets):\n    raise ValueError('two\\n  lines')", r"line 2: ValueError: two lines$"),
        ("import sys\ndef make(constituents, jets):\n    sys.exit(0)", "line 3: SystemExit: 0"),
        (
            "\ndef make(jets):\n    return {}",
            r"line 2: TypeError: make\(\) takes 1 positional argument but 2 were given",
        ),
        ("def make(constituents, jets):\n    return eval('1 +')", "line 2: SyntaxError: invalid syntax"),
    ],
)
def test_a_function_that_fails(run, tmp_path, text, message):
    with pytest.raises(JetmillError, match=f"^plug-in {tmp_path}/mine.py, function 'make', {message}") as caught:
        run(text)
    assert caught.value.__cause__ is not None
    assert TRACKS["pt"][0] == 5


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "it must return a dict of arrays, and returned NoneType"),
        ("constituents['pt']", "it must return a dict of arrays, and returned ndarray"),
        ("{1: constituents['pt']}", "it returned a variable whose name is not text, 1"),
        ("{'a': jets['pt']}", r"'a' has shape \(3,\), not \(5,\): one number for each constituent"),
        ("{'a': 1.0}", r"'a' has shape \(\), not \(5,\)"),
        ("{'a': np.ones((5, 2))}", r"'a' has shape \(5, 2\), not \(5,\)"),
        ("{'a': ['x'] * 5}", "'a' is not an array of numbers, but of <U1"),
        ("{'a': [None] * 5}", "'a' is not an array of numbers, but of object"),
        ("{'a': np.ones(5) * 1j}", "'a' is not an array of numbers, but of complex128"),
        ("{'a': [[1], [2, 3], [], [], []]}", "'a' is not an array of numbers: ValueError: "),
        ("{'a': np.ma.array(['x'] * 5, mask=[1, 0, 0, 0, 0])}", "'a' is not an array of numbers, but of <U"),
    ],
)
def test_a_function_that_returns_something_else(run, returned, message):
    with pytest.raises(JetmillError, match=f"function 'make': {message}"):
        run(f"import numpy as np\ndef make(constituents, jets):\n    return {returned}")


def test_a_jet_function_that_returns_something_else(write):
    plugin = load_plugin(write("def make(jets): return {'a': [1, 2]}"), "make")
    with pytest.raises(JetmillError, match=r"'a' has shape \(2,\), not \(3,\): one number for each jet"):
        apply_jet_plugin(plugin, JETS)


def test_a_variable_called_jet_is_refused(write):
    plugin = load_plugin(write("def make(constituents, jets): return {}"), "make")
    with pytest.raises(JetmillError, match="the constituents have a variable 'jet'"):
        apply_plugin(plugin, {"jet": np.zeros(5)}, COUNTS, JETS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef make(:\n", ", line 2: SyntaxError: invalid syntax"),
        ("def make():\nreturn 1\n", ", line 2: IndentationError: expected an indented block"),
        ("x = 1\n\ny = z\n", ", line 3: NameError: name 'z' is not defined"),
        (
            "\nimport not_a_module_of_anyone\n",
            ", line 2: ModuleNotFoundError: No module named 'not_a_module_of_anyone'$",
        ),
        ("import neighbour\n", r", line 1: ModuleNotFoundError: .*'neighbour'\. A plug-in is one file"),
        ("import sys\n\n\nsys.exit()\n", ", line 4: SystemExit$"),
    ],
)
def test_a_file_that_does_not_run(write, tmp_path, text, message):
    write("", "neighbour.py")
    modules, path = set(sys.modules), list(sys.path)
    with pytest.raises(JetmillError, match=f"^plug-in {tmp_path}/mine.py{message}"):
        load_plugin(write(text), "make")
    assert not {m for m in set(sys.modules) - modules if "plugin" in m}
    assert sys.path == path


def test_a_file_that_is_not_there(write, tmp_path):
    write("")
    with pytest.raises(JetmillError, match=r"/mines.py: there is no such file\. Did you mean 'mine.py'\?"):
        load_plugin(tmp_path / "mines.py", "make")
    with pytest.raises(JetmillError, match=r"there is no such file\.$"):
        load_plugin(tmp_path / "nowhere/mine.py", "make")
    with pytest.raises(JetmillError, match=r"there is no such file\."):
        load_plugin(tmp_path, "make")


def test_a_function_that_is_not_there(write):
    path = write("from math import hypot\nmake_all = 3\ndef make_one(): pass\n")
    with pytest.raises(JetmillError, match=r"no function 'make_on'. Did you mean 'make_one'\? Known: make_one$"):
        load_plugin(path, "make_on")
    with pytest.raises(JetmillError, match=r"'make_all' is not a function"):
        load_plugin(path, "make_all")
    with pytest.raises(JetmillError, match=r"Known: none"):
        load_plugin(write("", "empty.py"), "make")


def test_nothing_is_left_behind(write, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = list(sys.path)
    sys.modules.pop("mine", None)
    load_plugin(write("def make(): pass"), "make")
    assert sys.path == path
    assert "mine" not in sys.modules
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.py"]


def test_files_of_one_name_do_not_mix(write, tmp_path):
    (tmp_path / "other").mkdir()
    one, other = (
        write("VALUE = 1\ndef make(): return VALUE"),
        write("VALUE = 2\ndef make(): return VALUE", "other/mine.py"),
    )
    first, second = load_plugin(one, "make"), load_plugin(other, "make")
    assert (first(), second()) == (1, 2)
    assert first.function.__module__ != second.function.__module__


def test_an_edit_counts_at_once(write, monkeypatch):
    """Even if size and time stamp stay: results must not come from a cache."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = write("def make(): return 1")
    assert load_plugin(path, "make")() == 1
    stamp = path.stat()
    write("def make(): return 2")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert load_plugin(path, "make")() == 2


def test_relative_paths_and_a_change_of_folder(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("def make(jets):\n    return {}['a']")
    plugin = load_plugin("mine.py", "make")
    monkeypatch.chdir("/")
    with pytest.raises(JetmillError, match=f"{tmp_path}/mine.py, function 'make', line 2: KeyError: 'a'"):
        apply_jet_plugin(plugin, JETS)


def test_dataclasses_decorators_and_pickle_work(write):
    path = write("""
        from __future__ import annotations

        import functools
        from dataclasses import dataclass, field

        @dataclass
        class Cut:
            low: float = 1
            names: list[str] = field(default_factory=list)

        @functools.cache
        def cut():
            return Cut()

        def logged(function):
            @functools.wraps(function)
            def inner(*arguments):
                return function(*arguments)
            return inner

        @logged
        def make(jets):
            return {"high": jets["pt"] > cut().low, "file": __file__ and jets["pt"]}
    """)
    plugin = load_plugin(path, "make")
    assert apply_jet_plugin(plugin, JETS)["high"].all()
    assert pickle.loads(pickle.dumps(plugin))(JETS)["high"].all()
    assert load_plugin(path, "Cut")().low == 1


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(b"x = 1\ny = '\xff'\n")
    with pytest.raises(JetmillError, match=r"mine.py.*: SyntaxError: \(unicode error\)"):
        load_plugin(path, "make")
    path.write_bytes("# -*- coding: latin-1 -*-\nNAME = 'é'\ndef make(): return NAME".encode("latin-1"))
    assert load_plugin(path, "make")() == "é"


def test_awkward_of_jets_inside(run):
    found = run("""
        import awkward as ak
        import numpy as np

        def make(constituents, jets):
            counts = np.bincount(constituents["jet"], minlength=len(jets["pt"]))
            order = ak.argsort(ak.unflatten(constituents["pt"], counts), ascending=False)
            return {"rank": ak.flatten(ak.argsort(order))}
    """)
    assert found["rank"].tolist() == [0, 1, 0, 1, 2]
    assert ak.sum(found["rank"]) == 4
