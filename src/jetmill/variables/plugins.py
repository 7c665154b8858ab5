"""Plug-ins: functions in a user's own Python file that compute variables from arrays.

::

    import numpy as np

    def significance(constituents, jets):  # of constituents; one of jets takes the jets alone
        pt_of_jet = jets["pt"][constituents["jet"]]
        return {"sip": constituents["d0"] / constituents["d0_error"], "share": constituents["pt"] / pt_of_jet}

A plug-in sees the jets of one chunk of a file, so its result for a jet must depend on that jet alone.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from traceback import walk_tb
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from jetmill.errors import JetmillError, nearest
from jetmill.ragged import jet_of

# Name of the position of its jet among the variables of a constituent.
JET = "jet"


@dataclass(frozen=True)
class Plugin:
    """A function of a user's file (absolute path)."""

    path: Path
    name: str
    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self.function(*arguments)

    def __str__(self) -> str:
        return f"plug-in {self.path}, function '{self.name}'"


def load_plugin(path: str | Path, function: str) -> Plugin:
    """Run a Python file and return one of its functions.

    The file is a module under a name that cannot clash with others; its folder is not searched for what it imports, and
    nothing is cached next to it.

    Raises
    ------
    JetmillError
        If there is no such file or function, or running the file fails.
    """
    path = Path(path).absolute()
    if not path.is_file():
        others = [other.name for other in path.parent.glob("*.py")]
        raise JetmillError(f"plug-in {path}: there is no such file.{nearest(path.name, others)}")
    module = _run(path)
    found = getattr(module, function, None)
    if not callable(found):
        own = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]
        problem = f"there is no function '{function}'" if found is None else f"'{function}' is not a function"
        raise JetmillError(f"plug-in {path}: {problem}.{nearest(function, own)} Known: {', '.join(own) or 'none'}")
    return Plugin(path, function, found)


def apply_plugin(
    plugin: Plugin, columns: Mapping[str, np.ndarray], counts: np.ndarray, jets: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Call ``function(constituents, jets)`` and return the variables of constituents that it computes.

    Parameters
    ----------
    columns, jets
        Variables of the constituents, each (n_values,), and of the jets, each (n_jets,), read-only. The function also
        gets ``jet``, int64, the position of the jet of each constituent in `jets`.
    counts : ndarray of int, shape (n_jets,)

    Raises
    ------
    JetmillError
        If the function fails, or returns anything but a dict of arrays (n_values,) of numbers.
    """
    if JET in columns:
        raise JetmillError(f"{plugin}: the constituents have a variable '{JET}', the name of the number of the jet")
    number = jet_of(counts)
    found = _call(plugin, _read_only({**columns, JET: number}), _read_only(jets))
    return _checked(plugin, found, len(number), "constituent")


def apply_jet_plugin(plugin: Plugin, jets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Call ``function(jets)`` and return the variables of jets that it computes, as `apply_plugin` does."""
    n_jets = len(next(iter(jets.values())))
    return _checked(plugin, _call(plugin, _read_only(jets)), n_jets, "jet")


class _Loader(SourceFileLoader):
    """Compiles the file each time: a cache relies on time stamps, which miss a quick edit."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        return self.source_to_code(self.get_data(self.path), self.path)


def _run(path: Path) -> ModuleType:
    name = f"jetmill_plugin_{sha256(str(path).encode()).hexdigest()[:16]}"
    loader = _Loader(name, str(path))
    module = module_from_spec(ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    # Dataclasses and pickle look modules up.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        advice = ""
        if isinstance(error, ModuleNotFoundError) and path.with_name(f"{error.name}.py").exists():
            advice = ". A plug-in is one file: its folder is not searched"
        raise JetmillError(f"plug-in {path}{_line(error, path)}: {_reason(error)}{advice}") from error
    return module


def _call(plugin: Plugin, *arguments: dict[str, np.ndarray]) -> Any:
    try:
        return plugin(*arguments)
    except (Exception, SystemExit) as error:
        code = getattr(plugin.function, "__code__", None)
        # Called with wrong arguments, a function fails before its first line.
        defined = f", line {code.co_firstlineno}" if code and code.co_filename == str(plugin.path) else ""
        known = [name for columns in arguments for name in columns]
        advice = nearest(str(error.args[0]), known) if isinstance(error, KeyError) and error.args else ""
        line = _line(error, plugin.path) or defined
        raise JetmillError(f"{plugin}{line}: {_reason(error)}{advice and '.' + advice}") from error


def _line(error: BaseException, path: Path) -> str:
    """Return the line of the file where it happened, or nothing if unknown."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def _reason(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read_only(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    views = {name: column.view() for name, column in columns.items()}
    for view in views.values():
        view.flags.writeable = False
    return views


def _checked(plugin: Plugin, found: Any, length: int, what: str) -> dict[str, np.ndarray]:
    if not isinstance(found, Mapping):
        raise JetmillError(f"{plugin}: it must return a dict of arrays, and returned {type(found).__name__}")
    columns = {}
    for name, values in found.items():
        if not isinstance(name, str):
            raise JetmillError(f"{plugin}: it returned a variable whose name is not text, {name!r}")
        try:
            if isinstance(values, np.ma.MaskedArray):
                values = np.ma.filled(values.astype(np.result_type(values, np.float32)), np.nan)
            column = np.asarray(values)
        except (TypeError, ValueError) as error:
            raise JetmillError(f"{plugin}: '{name}' is not an array of numbers: {_reason(error)}") from error
        if column.dtype.kind not in "buif":
            raise JetmillError(f"{plugin}: '{name}' is not an array of numbers, but of {column.dtype}")
        if column.shape != (length,):
            raise JetmillError(
                f"{plugin}: '{name}' has shape {column.shape}, not ({length},): one number for each {what}"
            )
        columns[name] = column
    return columns
