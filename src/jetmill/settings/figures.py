"""Settings of the figures of the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jetmill.settings.report import ShownVariable

if TYPE_CHECKING:
    from jetmill.settings.config import Config

# Units of energies and lengths by input format or tree, where all files of a kind have the same.
UNITS = {
    "hdf5": ("MeV", "mm"),
    "Events": ("GeV", "cm"),
    "CollectionTree": ("MeV", "mm"),
    "Delphes": ("GeV", "mm"),
}


@dataclass(frozen=True, kw_only=True)
class FigureSettings:
    """Settings of all figures: the experiment's label, and what is known of the titles of axes.

    `factors` are those that variables are multiplied by, 0 for what the configuration computes: its unit is unknown.
    `class_labels` and `class_colours` are those of classes that have one.
    """

    label: str = ""
    variables: Mapping[str, ShownVariable] = field(default_factory=dict)
    energy: str = ""
    length: str = ""
    factors: Mapping[str, float] = field(default_factory=dict)
    class_labels: Mapping[str, str] = field(default_factory=dict)
    class_colours: Mapping[str, str] = field(default_factory=dict)
    # What captions call the jets.
    jets: str = "jets"

    @classmethod
    def from_config(cls, config: "Config") -> "FigureSettings":
        """Return those of a configuration."""
        from jetmill.variables.transforms import TRANSFORMS

        jets, collections = config.jets, config.constituents.values()
        of_all = (jets.units, *(c.units for c in collections))
        factors = {name: factor for units in of_all for name, factor in units.items()}
        made = [*jets.define, *(name for c in collections for name in c.made)]
        made += [name for step in jets.transforms for name in step.outputs(TRANSFORMS)]
        energy, length = UNITS.get(
            config.input.tree if config.input.format == "root" else config.input.format, ("", "")
        )
        return cls(
            label=config.report.label,
            variables=config.report.variables,
            energy=energy,
            length=length,
            class_labels={name: of.label for name, of in config.classes.items() if of.label},
            class_colours={name: of.colour for name, of in config.classes.items() if of.colour},
            jets=config.jets.name,
            factors=factors | dict.fromkeys(made, 0.0),
        )
