"""The README.md of the directory of a format."""

from collections.abc import Callable, Sequence
from pathlib import Path

from jetmill.files import atomic_write


def write_card(card: Callable[[Sequence[str]], str], outputs: Sequence[str], path: str | Path) -> None:
    """Write the card of a format (`jetmill.formats.Format.card`)."""
    with atomic_write(path) as partial:
        partial.write_text(card(outputs))
