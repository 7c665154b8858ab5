"""Output formats: each module here that has a `FORMAT` is one, and all that concerns it stands there.

Everything else goes by `FORMATS`. Heavy packages are imported by the functions that need them, as this is imported
wherever a configuration is read.
"""

import re
from importlib import import_module
from pkgutil import iter_modules

from jetmill.formats.format import Format, Hdf5Check

__all__ = ["FORMATS", "Format", "Hdf5Check", "format_of"]


def _formats() -> dict[str, Format]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__) if not found.ispkg]
    return {module.FORMAT.name: module.FORMAT for module in modules if hasattr(module, "FORMAT")}


FORMATS = _formats()


def format_of(path: str) -> Format | None:
    """Return the format of a file of jets, None for any other file; the path is relative to the results."""
    below = re.sub(r"^variations/[^/]+/", "", path)
    return next((f for f in FORMATS.values() if f.holds(below)), None)
