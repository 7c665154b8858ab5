"""The formats: all modules beside this one with a `FORMAT`."""

import re
from collections.abc import Iterable

from jetmill import formats
from jetmill.discovery import found_in
from jetmill.formats.format import Format

FORMATS: dict[str, Format] = found_in(formats, "FORMAT")
# Card by path, with the format that it is of.
CARDS = {card.path: (name, card) for name, found in FORMATS.items() for card in found.cards}


def format_of(path: str) -> Format | None:
    """Return the format of a file of jets, None for any other file; the path is relative to the results."""
    below = re.sub(r"^variations/[^/]+/", "", path)
    return next((f for f in FORMATS.values() if f.holds(below)), None)


def loading(names: Iterable[str], results: object, output: str) -> list[tuple[str, str]]:
    """Return the title of each format, and how to load an output below the results."""
    found = (FORMATS[name] for name in names)
    return [(f.title, f.loading.format(results=results, output=output)) for f in found]
