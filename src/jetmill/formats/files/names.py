"""What is named after the jets in finished files: ``jets``, or what ``jets.name`` calls them."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py

# Attribute of a file whose jets are called otherwise: how, under salt's name for it.
GLOBAL_OBJECT, JETS = "global_object", "jets"
WORD = re.compile(r"(?<![.\w])[Jj]ets?(?![.\w])")


class Names:
    """What is named after the jets: ``jets``, or what ``jets.name`` calls them.

    Attributes
    ----------
    jets, jet
        What they are called, and one of them: ``taus``, ``tau``.
    inputs, is_default, ...
        Datasets and groups.
    variables
        Attribute with the names of the columns.
    attributes
        Of a file, from which `names_of` knows them again; none for jets.
    """

    def __init__(self, jets_name: str = JETS):
        self.jets, self.jet = jets_name, jets_name.removesuffix("s")
        self.inputs, self.is_default, self.conditional = map(self.at, ("inputs", "is_default", "conditional"))
        self.labels, self.one_hot = self.at("labels"), self.at("labels_one_hot")
        self.additional_labels, self.targets = self.at("add_labels"), self.at("targets")
        self.weight, self.bins, self.sample = map(self.at, ("weight", "bins", "sample"))
        self.spectators, self.event, self.fields = map(self.at, ("spectators", "event", "fields"))
        self.variables = f"{self.jet}_variables"
        self.attributes = {} if jets_name == JETS else {GLOBAL_OBJECT: jets_name}

    def at(self, name: str) -> str:
        """Return the dataset of a name."""
        return f"{self.jets}/{name}"

    def variable(self, name: str) -> str:
        """Return the name of a variable of jets among those of their constituents."""
        return f"{self.jet}_{name}"

    def say(self, text: str) -> str:
        """Return a text about jets with this name for them; keys of the configuration, such as jets.select, stay."""

        def other(word: re.Match[str]) -> str:
            name = self.jets if word[0].endswith("s") else self.jet
            return name.capitalize() if word[0][0] == "J" else name

        return text if self.jets == JETS else WORD.sub(other, text)


def names_of(file: "h5py.File") -> Names:
    """Return the names in a finished file."""
    return Names(file.attrs.get(GLOBAL_OBJECT, JETS))


def names_in(config: Mapping[str, Any]) -> Names:
    """Return the names in the results of a configuration as in a manifest."""
    return Names(config.get("jets", {}).get("name", JETS))
