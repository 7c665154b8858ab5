"""Notes on a translated configuration."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from jetmill.errors import nearest


@dataclass
class Notes:
    """Keys of UPP, each with a sentence.

    Attributes
    ----------
    without_equal
        Keys that are left out, and what to do.
    different
        Keys whose translation is not quite the same.
    """

    without_equal: dict[str, str] = field(default_factory=dict)
    different: dict[str, str] = field(default_factory=dict)

    def missing(self, key: str, sentence: str) -> None:
        """Note a key without an equivalent."""
        self.without_equal.setdefault(key, sentence)

    def differs(self, key: str, sentence: str) -> None:
        """Note a key whose equivalent is not quite the same."""
        self.different.setdefault(key, sentence)

    def unknown(self, place: str, found: Mapping[str, Any], known: Collection[str]) -> None:
        """Note the keys that UPP does not know."""
        for key in found:
            if key not in known:
                text = f"is not a key of UPP 0.3.3.{nearest(str(key), known)}"
                self.missing(f"{place}.{key}" if place else str(key), text)

    @property
    def lines(self) -> list[str]:
        """One line for each."""
        groups = {"no equivalent": self.without_equal, "differs": self.different}
        return [f"{kind}: {key}: {text}" for kind, notes in groups.items() for key, text in notes.items()]
