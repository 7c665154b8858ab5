"""The formats that there are: all modules beside this one that have a `FORMAT`."""

import re
from importlib import import_module
from pkgutil import iter_modules

from jetmill import formats
from jetmill.formats.format import Format


def _formats() -> dict[str, Format]:
    others = [found for found in iter_modules(formats.__path__) if found.name != "registry"]
    modules = [import_module(f"{formats.__name__}.{found.name}") for found in others if not found.ispkg]
    return {module.FORMAT.name: module.FORMAT for module in modules if hasattr(module, "FORMAT")}


FORMATS = _formats()


def format_of(path: str) -> Format | None:
    """Return the format of a file of jets, None for any other file; the path is relative to the results."""
    below = re.sub(r"^variations/[^/]+/", "", path)
    return next((f for f in FORMATS.values() if f.holds(below)), None)
