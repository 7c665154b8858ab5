"""Section ``constituents``: collections such as tracks or particle-flow candidates."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MinLen

from jetmill.settings.labels import Labels, sources
from jetmill.settings.scaling import ScalingRules
from jetmill.settings.steps import MissingValues, Steps
from jetmill.settings.types import Expr, Factor, Name, Names, Optional, Text, no_repeats, section
from jetmill.variables.expressions import Expression
from jetmill.variables.transforms import TRANSFORMS


@section
class Origin:
    """Where the constituents are in a tree. Without links, their branches are nested by jet."""

    branches: Text | None = None
    """Prefix of the branches of the constituents, such as PFCands for PFCands_pt. By default the name of the
    collection."""
    links: Text | None = None
    """Prefix of a table that links jets to constituents by index, such as JetPFCands in NanoAOD."""
    jet_index: Text = "jetIdx"
    """Branch of the table of links that holds the index of the jet."""
    index: Text | None = None
    """Branch of the table of links that holds the index of the constituent, such as pFCandsIdx."""
    element_links: Text | None = None
    """Variable of jets that holds ATLAS ElementLinks to the constituents."""

    def __post_init__(self) -> None:
        if self.links is not None and self.element_links is not None:
            raise ValueError("give links or element_links, not both")
        if self.links is None and self.index is not None:
            raise ValueError("index is a branch of links, which are not given")


@section
class Objects:
    """Truth objects that constituents come from, such as hadrons, for networks that are to find them (MaskFormer)."""

    of: Name
    """Collection of these constituents."""
    id: Name = "barcode"
    """Label of the objects that is different for each of a jet."""
    parent: Name = "ftagTruthParentBarcode"
    """Label of the constituents: the id of the object that each comes from."""


@section
class Constituents:
    """Constituents of a jet, such as tracks. The key above is the name of the collection."""

    tree: Origin = Origin()
    """Where the constituents are in the tree (format root)."""
    aliases: dict[Name, Text] = field(default_factory=dict)
    """Names for variables that have other names in the file, as input.aliases: {pt: constPt}."""
    optional: Optional = field(default_factory=dict)
    """Variables that some files lack, and their value there, as input.optional: {lostHits: 0}, or missing."""
    units: dict[Name, Factor] = field(default_factory=dict)
    """Factors that variables are multiplied by when they are read."""
    define: dict[Name, Expr] = field(default_factory=dict)
    """New variables by expression, computed in this order, float32. jet_<name> is a variable of the jet."""
    missing: MissingValues = MissingValues()
    """Values that mean "missing"."""
    select: tuple[Expr, ...] = ()
    """Expressions that are all true for the constituents to keep."""
    sort_by: Expr | None = None
    """Expression by which constituents are sorted, the largest first, before they are truncated. Without it they keep
    the order of the file."""
    transforms: Steps = ()
    """Further new variables of the selected constituents, from named transforms and plug-ins."""
    select_after_transforms: tuple[Expr, ...] = ()
    """Further cuts, applied after the transforms, which see the constituents that fail them too."""
    max: Annotated[int, Ge(1), Le(65_535)] = 40
    """Number of slots in the output; further constituents are truncated."""
    variables: Annotated[Names, MinLen(1)]
    """Inputs of the tagger, in this order; of objects what the tagger is to predict."""
    labels: Labels = ()
    """Truth of each constituent: names, or {name, variable, values} as for jets. Integers and booleans are int32, -1 in
    empty slots; floats are float32, NaN in empty slots. A computed label must be an integer."""
    label_classes: dict[Name, Annotated[tuple[Text, ...], MinLen(1), MaxLen(127)]] = field(default_factory=dict)
    """Names of the values of a label, counted from 0. Such a label is stored as int8 and gets class weights."""
    scaling: ScalingRules = ScalingRules()
    """Scalers of the constituents."""
    objects: Objects | None = None
    """Makes the collection truth objects, which are no inputs: {of: tracks}. Their class is their only label with
    label_classes; select those that have one."""

    def __post_init__(self) -> None:
        no_repeats("variables", self.variables)
        no_repeats("labels", [label.name for label in self.labels])

    @property
    def label_sources(self) -> Mapping[str, str]:
        """Label to the variable that it is made from."""
        return sources(self.labels)

    @property
    def used(self) -> list[str]:
        """Names that expressions and transforms use."""
        cuts = [*self.select, *self.select_after_transforms]
        texts = [*self.define.values(), *cuts, *([self.sort_by] if self.sort_by else [])]
        in_expressions = [name for text in texts for name in sorted(Expression(text).names)]
        return list(dict.fromkeys([*in_expressions, *(n for step in self.transforms for n in step.inputs(TRANSFORMS))]))

    @property
    def made(self) -> list[str]:
        """Names of the variables that are computed."""
        return [*self.define, *(name for step in self.transforms for name in step.outputs(TRANSFORMS))]

    @property
    def read(self) -> list[str]:
        """Names of the variables to read from the files; ``jet_<name>`` is a variable of the jets."""
        return self.read_for([*self.variables, *self.label_sources.values(), *self.used])

    @property
    def of_jets(self) -> list[str]:
        """Names of the variables of jets that are used."""
        in_expressions = self.of_jets_for([*self.variables, *self.used])
        return list(dict.fromkeys([*in_expressions, *(n for step in self.transforms for n in step.jet_inputs())]))

    def read_for(self, names: Iterable[str]) -> list[str]:
        """Return which of some variables are read from the files."""
        return [n for n in dict.fromkeys(names) if n not in self.made and not n.startswith("jet_")]

    def of_jets_for(self, names: Iterable[str]) -> list[str]:
        """Return the variables of jets that some variables are."""
        return [n.removeprefix("jet_") for n in dict.fromkeys(names) if n.startswith("jet_") and n not in self.made]
