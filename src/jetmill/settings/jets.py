"""Section ``jets``: which jets are kept, and which of their variables are used."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen

from jetmill.settings.labels import Labels, sources
from jetmill.settings.steps import MissingValues, Steps
from jetmill.settings.types import Before, Expr, Factor, Name, Names, PathText, no_repeats, section


@section
class Cut:
    """A cut, with a rule for jets that miss one of its variables."""

    cut: Expr
    """Expression that is true for the jets to keep."""
    missing: Literal["drop", "keep"] = "drop"
    """What to do with a jet that misses a variable of the expression."""


@section
class MissingValuesOfJets(MissingValues):
    """Numbers that mean "no value". NaN, infinities and numbers beyond single precision always do."""

    slots: dict[Name, tuple[Name, ...]] = field(default_factory=dict)
    """Count of tracks: prefixes of variables of single tracks. <prefix>_<k> belongs to track k, counted from 0, and is
    missing where the jet has no such track."""


@section
class NeuralNetwork:
    """A network in ONNX format whose output becomes a variable of jets."""

    name: Name
    """Name of the new variable."""
    file: PathText
    """Path of the .onnx file."""
    constituents: Name | None = None
    """Collection whose constituents, as they are stored, are the inputs: (jets, slots, variables), and a mask (jets,
    slots) if the network has a second input. The output can be an input of the tagger, an event weight or a variable of
    balance.bins, but not part of cuts, classes or expressions. Without it, the inputs are variables of jets."""
    variables: Annotated[Names, MinLen(1)]
    """Inputs of the network in this order, unscaled. Missing values of constituents are 0."""
    slots: Annotated[int, Ge(1), Le(65_535)] | None = None
    """Number of constituents of each jet that the network gets, by default max of the collection."""
    column: Annotated[int, Ge(0), Le(65_535)] = 0
    """Which output of the network to take, counted from 0."""
    odds: bool = False
    """Whether to turn the output p into p / (1 - p), the weight that makes one class look like the other."""

    def __post_init__(self) -> None:
        if self.slots is not None and self.constituents is None:
            raise ValueError("slots is for a network of constituents")


def _from_expression(cut: Any) -> Any:
    """Read an expression as a cut that drops jets which miss a variable of it."""
    return {"cut": cut} if isinstance(cut, str) else cut


@section
class Jets:
    """Which jets are kept, and which of their variables are used."""

    name: Name = "jets"
    """What the objects are called in the output, if they are no jets: taus, leptons, events. Datasets, attributes and
    columns that have jets, or jet, in their names have this instead, or this without its last s: taus/inputs,
    tau_variables."""
    units: dict[Name, Factor] = field(default_factory=dict)
    """Factors that variables are multiplied by when they are read, such as pt: 0.001 for MeV to GeV. They hold wherever
    the variable is used: inputs, cuts, classes, weights, spectators and additional labels, which become floats. Numbers
    that mean "missing" stay as they are."""
    rank_by: Expr | None = None
    """Expression that orders the jets of an event. It makes the variable rank: 0 for the jet with the largest value, 1
    for the next."""
    define: dict[Name, Expr] = field(default_factory=dict)
    """New variables by expression, computed in this order, float32."""
    transforms: Steps = ()
    """Further new variables from named transforms and plug-ins, computed after define."""
    networks: tuple[NeuralNetwork, ...] = ()
    """Further new variables from neural networks, computed after transforms."""
    missing: MissingValuesOfJets = MissingValuesOfJets()
    """Values that mean "missing"."""
    select: tuple[Annotated[Cut, Before(_from_expression, also=Expr)], ...] = ()
    """Cuts, applied in this order: expressions, or {cut: expression, missing: drop or keep}."""
    variables: Annotated[Names, MinLen(1)]
    """Inputs of the tagger, in this order. track_{0..5} stands for track_0 to track_5."""
    spectators: Names = ()
    """Variables that are written but not scaled, float32, such as the outputs of existing taggers."""
    additional_labels: Labels = ()
    """Further truth, from the files or computed (float32): names, or {name, variable, values} for another name or other
    values, such as {name: flavour, variable: hadronFlavour, values: {0: 0, 4: 1, 5: 2}}. Labels are not scaled and
    keep their type unless units changes it. A missing one is 0 in arrays, NaN in records and Parquet."""
    targets: Names = ()
    """Targets of a regression, among additional_labels: in arrays also together as jets/targets, float32 (n_jets,
    n_targets), NaN where missing."""

    def __post_init__(self) -> None:
        for key in ("variables", "spectators", "targets"):
            no_repeats(key, getattr(self, key))
        no_repeats("additional_labels", [label.name for label in self.additional_labels])

    @property
    def label_sources(self) -> Mapping[str, str]:
        """Additional label to the variable that it is made from."""
        return sources(self.additional_labels)
