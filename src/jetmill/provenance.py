"""Where results come from: which code made them."""

import ast
import hashlib
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "jetmill"


@cache
def code_digest(module: str) -> str:
    """Return a hash of the source of a module of jetmill and of all modules of jetmill it imports.

    As a parameter of a rule it makes a change of the library rerun the jobs it concerns, and only
    those; unlike a time stamp it is not fooled by ``git checkout``.

    Parameters
    ----------
    module
        Name below the package, as ``stages.clean``.
    """
    digest = hashlib.sha256()
    for path in sorted(_sources(f"{PACKAGE}.{module}")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def commit() -> str | None:
    """Return the git commit of the source tree that jetmill runs from, with ``-dirty`` if it was changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


@cache
def _path(module: str) -> Path | None:
    """Return the source file of a module, or None if it is not one."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _sources(module: str) -> set[Path]:
    """Return the source files of a module and of what it imports of the package, found without importing it."""
    found: set[Path] = set()
    open_modules = [module]
    while open_modules:
        path = _path(open_modules.pop())
        if path is None or path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                open_modules += [name for name in [str(node.module), *names] if name != PACKAGE]
    return found
