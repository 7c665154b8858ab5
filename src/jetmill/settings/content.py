"""What the configuration wants in a part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Content:
    """What the configuration wants in a part.

    Attributes
    ----------
    jets_name
        What the jets are called.
    samples
        All samples; the position of a jet's sample is written.
    event_weights
        Variables of jets that multiply every weight.
    slots
        Collection of constituents to the slots of a row.
    labels
        Collection to its labels, each with the names of its values (or none).
    concat_jets
        Variables of jets to put before those of constituents.
    conditional
        Variables of jets to repeat in a dataset of their own.
    targets
        Additional labels to write as one array too.
    objects
        Collections that are truth, no inputs.
    precision
        ``float32`` or ``float16``, the type of scaled inputs.
    """

    jets_name: str
    samples: Sequence[str]
    event_weights: Sequence[str]
    slots: Mapping[str, int]
    labels: Mapping[str, Mapping[str, Sequence[str]]]
    concat_jets: Sequence[str]
    conditional: Sequence[str]
    targets: Sequence[str]
    objects: Sequence[str]
    precision: str

    def without_truth(self) -> "Content":
        """Return what a part of a sample without truth holds."""
        return replace(self, event_weights=(), targets=(), labels={name: {} for name in self.labels})
