"""Section ``balance``: weights and resampling."""

from collections.abc import Mapping
from dataclasses import field
from itertools import pairwise
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from jetmill.settings.types import (
    MAX_AXES,
    MAX_BINS,
    Before,
    Name,
    Names,
    NumberOfJets,
    OneOf,
    PathText,
    Ratio,
    Value,
    no_repeats,
    section,
)

# Segments of an axis.
MAX_SEGMENTS = 10_000
Segment = tuple[Value, Value, Annotated[int, Ge(1), Le(MAX_BINS)]]


def _segments(bins: Any) -> Any:
    """Read ``[low, high, n]`` as the only segment, and the bins between given edges as one segment each."""
    if isinstance(bins, Mapping):
        edges = bins.get("edges")
        if set(bins) != {"edges"} or not isinstance(edges, list) or len(edges) < 2:
            raise ValueError("must be [low, high, number of bins], a list of these, or {edges: [two or more numbers]}")
        return [[low, high, 1] for low, high in pairwise(edges)]
    return [bins] if isinstance(bins, list) and bins and not isinstance(bins[0], list) else bins


Segments = Annotated[
    tuple[Segment, ...],
    MinLen(1),
    MaxLen(MAX_SEGMENTS),
    Before(_segments, also=Segment | dict[Literal["edges"], list[Value]]),
]


def _is_weight(weight: Any) -> Any:
    if isinstance(weight, dict) and list(weight) not in (["reference"], ["table"]):
        raise ValueError(
            "must be average, flat, flat_per_unit, mean, min, max, uniform, {reference: class}, {table: file.npy}"
            " or {table: file.root:histogram}"
        )
    return weight


Weight = Annotated[
    Literal["average", "flat", "flat_per_unit", "mean", "min", "max", "uniform"]
    | dict[Literal["reference", "table"], PathText],
    Before(_is_weight),
]


# Of all classes together, or of each.
JetsOfClasses = NumberOfJets | Annotated[dict[Name, NumberOfJets], MinLen(1)]


def weight_name(weight: str | Mapping[Any, str]) -> str:
    """Return the name of a weight table: ``average``, ``flat``, ``reference_b``, ``table``."""
    if isinstance(weight, str):
        return weight
    return f"reference_{weight['reference']}" if "reference" in weight else "table"


# In the name of a histogram, it stands for each class.
CLASS = "{class}"


def table_file(table: str) -> tuple[str, str | None]:
    """Return the file of a given weight table, and the histogram in ``file.root:histogram``."""
    path, colon, name = table.partition(".root:")
    return (f"{path}.root", name) if colon else (table, None)


@section
class Component:
    """Some samples in some bins, such as low pT from one process and high pT from another."""

    samples: Annotated[tuple[Name, ...], MinLen(1)]
    """Samples that the jets come from."""
    bins: dict[Name, tuple[Value, Value]] = field(default_factory=dict)
    """Range [low, high] of variables of balance.bins, both of them edges of bins. Other variables are not
    restricted."""
    fraction: Ratio | None = None
    """Share of this component among all jets, to be given for all components or for none."""
    max_jets: NumberOfJets | None = None
    """Largest number of jets of this component."""
    num_jets: JetsOfClasses | None = None
    """Number of training jets of this component, to be given for all components or for none: of all classes together,
    in their shares, or {class: number} for each. Jets of classes that are not named are left out of the component."""
    num_jets_validation: JetsOfClasses | None = None
    """The same for resampled validation jets."""
    equal_samples: tuple[Annotated[tuple[Name, ...], MinLen(2)], ...] = ()
    """Groups of the samples; each sample of a group gives as many jets as its smallest one in the bins of the
    component, so that none of them, such as a slice of jet pT with many events, outnumbers the others."""

    def __post_init__(self) -> None:
        if self.num_jets is not None and (self.fraction is not None or self.max_jets is not None):
            raise ValueError("num_jets: is the size of the component, which then has no fraction and no max_jets")
        if self.num_jets_validation is not None and self.num_jets is None:
            raise ValueError("num_jets_validation: give num_jets too")
        no_repeats("equal_samples", [sample for group in self.equal_samples for sample in group])


@section
class Resampling:
    """How often each training jet is taken."""

    method: Annotated[str, OneOf("jetmill.balancing.resampling", "METHODS")] = "none"
    """How jets are taken."""
    target: str | None = None
    """Target of importance, pdf and countup: a class, or (not for countup) average, flat or flat_per_unit, as for
    weights."""
    shares: dict[Name, Ratio] = field(default_factory=dict)
    """Relative number of jets of each class, 1 by default."""
    max_upsampling: Ratio | None = None
    """How often the jets of a class are written on average, at most (pdf: by default 1; countup: by default no limit).
    Single jets are written more often where the target lies above the spectrum of the class. At most 100 for all
    classes together."""
    max_repeats: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    """How often each single jet is written, at most (pdf and countup). Where the target wants more from a bin, all
    classes get fewer jets, so that shapes and shares stay as they are."""
    num_jets: NumberOfJets | Literal["auto"] | Annotated[dict[Name, NumberOfJets], MinLen(1)] = "auto"
    """Number of training jets to write, all classes together, or {class: number} for each; auto means as many as
    possible. Classes that are not named are left out."""
    components: tuple[Component, ...] = ()
    """Components that the jets are taken from; by default one of all samples and bins."""
    validation: bool = False
    """Whether to write validation jets that are resampled in the same way as well, as val_resampled.h5."""
    num_jets_validation: NumberOfJets | Literal["auto"] | Annotated[dict[Name, NumberOfJets], MinLen(1)] = "auto"
    """Number of resampled validation jets to write, as num_jets."""

    def __post_init__(self) -> None:
        if self.num_jets_validation != "auto" and not self.validation:
            raise ValueError("num_jets_validation is for validation: true")
        if self.validation and not self.resamples:
            raise ValueError("validation: there is no resampling to do")
        given = [component.fraction is not None for component in self.components]
        if any(given) and not all(given):
            raise ValueError("components: give all of them a fraction or none")
        sized = [component.num_jets is not None for component in self.components]
        if any(sized) and not all(sized):
            raise ValueError("components: give all of them num_jets or none")
        if any(sized) and (self.num_jets, self.num_jets_validation) != ("auto", "auto"):
            raise ValueError("components: their num_jets add up to all jets, so that num_jets is not given beside them")
        if any(sized) and self.validation != all(c.num_jets_validation is not None for c in self.components):
            raise ValueError("components: num_jets_validation goes with num_jets and validation: true")
        if self.components and not isinstance(self.num_jets, int | str):
            raise ValueError("num_jets: with components, give each of them its number of jets of each class")
        if self.validation and isinstance(self.num_jets, int | str) != isinstance(self.num_jets_validation, int | str):
            raise ValueError("num_jets_validation: give it for each class too, or for none")

    @property
    def resamples(self) -> bool:
        """Whether any jets are repeated or left out."""
        return self.method != "none" or bool(self.components) or self.num_jets != "auto"

    @property
    def pools(self) -> int:
        """Number of the components that jets are taken from; all of them are one if none are given."""
        of_each = [len(c.samples) if c.equal_samples else 1 for c in self.components]
        return max(1, sum(of_each)) if self.resamples else 0


@section
class Balance:
    """How classes with different spectra are made comparable."""

    bins: Annotated[dict[Name, Segments], MaxLen(MAX_AXES)] = field(default_factory=dict)
    """Bins of each variable: [low, high, number of bins], a list of such segments that join, or {edges: [...]}. At most
    100,000 bins of a variable, and 100,000,000 for bins x classes x (samples + components). Without them, all jets are
    in one bin: weights and resampling, if any, regard the totals of the classes alone."""
    outside: Literal["error", "drop"] = "error"
    """What to do with training jets outside the bins, or that miss a variable of them: stop with an error, or drop
    them. Validation and test jets outside the bins are always written, with weight 0 and bin -1."""
    weights: tuple[Weight, ...] = ()
    """Weight tables, of which the first one becomes jets/weight; without any, all weights are 1. average and
    {reference: class} give all classes the mean spectrum or that of a class; flat the same sum of weights in each bin,
    however wide; flat_per_unit the same per unit of the variables, such as per GeV: in proportion to the width of the
    bin, the area of two variables. In each bin, mean, min and max give them the mean, smallest or
    largest number of jets of all classes, uniform the same number; bins in which a class has no jets get weight 0.
    {table: file.npy} takes the weights in a file, (classes, *bins), as they are; {table: "file.root:histogram"} those
    of a TH1, TH2 or TH3 in these bins, for all classes, or of one for each if {class} is in its name: h_{class}."""
    max_weight: Annotated[Value, Ge(1)] | None = None
    """Largest weight in a table. The mean weight of the training jets is 1 before larger ones are cut to it, and less
    afterwards. Event weights multiply the limited ones."""
    event_weights: Names = ()
    """Variables of jets whose product is the event weight, such as generator weights or outputs of networks. Every
    weight is multiplied by it, and weight tables are made from sums of event weights instead of numbers of jets."""
    resampling: Resampling = Resampling()
    """Resampling of the training split. Test jets are never resampled."""

    def __post_init__(self) -> None:
        for name, segments in self.bins.items():
            if any(low >= high for low, high, _ in segments):
                raise ValueError(f"bins.{name}: low must be below high")
            if sum(n for _, _, n in segments) > MAX_BINS:
                raise ValueError(f"bins.{name}: has more than {MAX_BINS:,} bins")
            if any(a[1] != b[0] for a, b in pairwise(segments)):
                raise ValueError(f"bins.{name}: each segment must start where the one before ends")
        no_repeats("weights", [weight_name(w) for w in self.weights])
        no_repeats("event_weights", self.event_weights)
