"""The warnings of a run, those that differ only in names and numbers together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Names that a line shows besides the first one.
NAMES = 5
_NAME = re.compile(r"'[^']+'")


@dataclass(frozen=True)
class Kind:
    """Warnings that are alike."""

    texts: list[str]

    @property
    def line(self) -> str:
        """The first one, with names from the others."""
        others = self.texts[1:]
        if not others:
            return self.texts[0]
        names = list(dict.fromkeys(found[0] for text in others if (found := _NAME.search(text))))
        names = [name for name in names if name not in self.texts[0]]
        shown = names[:NAMES]
        more = f"{len(others) - len(shown)} more" if len(others) > len(shown) else ""
        return f"{self.texts[0]} (and {', '.join(shown)}{' and ' * bool(shown and more)}{more})"


def kinds_of(warnings: Sequence[str]) -> list[Kind]:
    """Return the kinds of warnings, in the order in which they first occur."""
    kinds: dict[str, list[str]] = {}
    for text in warnings:
        kinds.setdefault(re.sub(r"\d[\d,]*", "#", _NAME.sub("''", text)), []).append(text)
    return [Kind(texts) for texts in kinds.values()]
