"""Configurations on the command line: files, or examples of jetmill by their names."""

from collections.abc import Iterable
from pathlib import Path

from jetmill.errors import JetmillError, nearest
from jetmill.workflow import ROOT

EXAMPLES = {path.stem: path for path in sorted((ROOT / "config").glob("*.yaml"))}


def paths_of(given: Iterable[str]) -> list[str]:
    """Return the paths of configurations; a file of the working directory comes before an example of that name.

    Raises
    ------
    JetmillError
        If there is no such file or example.
    """
    return [_path(name) for name in given]


def _path(name: str) -> str:
    if Path(name).is_file():
        return name
    if name in EXAMPLES:
        return str(EXAMPLES[name])
    raise JetmillError(f"{name}: no such file, and no example: {', '.join(EXAMPLES)}.{nearest(name, EXAMPLES)}")
