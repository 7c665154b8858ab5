"""What defines a card."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jetmill.formats.content.scaled import Tables
    from jetmill.scaling.scalers import Scaler


@dataclass(frozen=True)
class Results:
    """The finished results that a card describes.

    Attributes
    ----------
    directory
        Their directory, as the configuration gives it.
    outputs
        Names of the outputs.
    config
        The configuration with all defaults, as in the manifest.
    tables, scalers
        Weight tables; scalers by collection and variable.
    """

    directory: str
    outputs: Sequence[str]
    config: Mapping[str, Any]
    tables: "Tables"
    scalers: "Mapping[str, Mapping[str, Scaler]]"

    @property
    def inputs(self) -> dict[str, Any]:
        """Sections of the collections of constituents that are inputs, by name."""
        return {name: c for name, c in self.config["constituents"].items() if c["objects"] is None}

    @property
    def objects(self) -> dict[str, Any]:
        """Sections of the collections that are truth."""
        return {name: c for name, c in self.config["constituents"].items() if c["objects"] is not None}

    @property
    def weighted(self) -> bool:
        """Whether ``weight`` is more than a column of ones."""
        balance = self.config["balance"]
        return bool(balance["weights"] or balance["event_weights"])


@dataclass(frozen=True)
class Card:
    """A card.

    Attributes
    ----------
    path
        Where it is, below the directory of the results.
    text
        Returns its text.
    wanted
        Whether a configuration with all defaults has it; what a training reads has no place in results without one.
    """

    path: str
    text: Callable[[Results], str]
    wanted: Callable[[Mapping[str, Any]], bool] = lambda config: not config["apply"]
