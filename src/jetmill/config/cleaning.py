"""The part of the configuration that cleaning depends on."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from jetmill.config.types import (
    REST,
    Expr,
    Factor,
    Fraction,
    Model,
    Name,
    Names,
    Numbers,
    PathText,
    Prefix,
    Text,
    Value,
    no_repeats,
)
from jetmill.variables.expressions import Expression, count_of
from jetmill.variables.transforms import JET_TRANSFORMS, TRANSFORMS, Transform


def _plain_cut(cut: Any) -> Any:
    """Read an expression as a cut that drops jets which miss a variable of it."""
    return {"cut": cut} if isinstance(cut, str) else cut


class Matched(Model):
    """Objects that jets are matched to, generated jets for instance. The key above is the prefix of their variables."""

    branches: Text = Field(description="prefix of their branches, GenJet for GenJet_pt")
    index: Name = Field(description="variable of jets that holds the index, genJetIdx for Jet_genJetIdx")
    beyond: Literal["error", "missing"] = Field(
        "error",
        description="what an index beyond the last of them is; NanoAOD before version 12 has some, of generated jets"
        " below 10 GeV, which are not in the file: missing",
    )


class Input(Model):
    """How the files are read."""

    format: Literal["root", "hdf5"] = Field(
        "root",
        description="root: trees; hdf5: structured datasets of jets (n,) and constituents (n, slots), as ATLAS dumps",
    )
    tree: Text = Field("Events", min_length=1, description="root: name of the tree")
    level: Literal["event", "jet"] = Field(
        "event", description="root: what an entry is, event (branches of jets are jagged) or jet"
    )
    jets: Text = Field(
        "Jet",
        description="root: prefix of the branches of jets, Jet_pt is the variable pt, may be empty;"
        " hdf5: dataset of jets, by default jets",
    )
    event: Text = Field("", description="root: prefix of the branches of events, if they have one, as EventInfoAuxDyn")
    matched: dict[Name, Matched] = Field(
        {},
        description="trees of events: objects that jets are matched to; {gen: {branches: GenJet, index: genJetIdx}}"
        " makes GenJet_pt the variable gen_pt of jets, missing where the index is negative; integers become floats,"
        " float64 from 32 bits on, exact up to 2**53",
    )
    event_id: list[Name] = Field(
        ["run", "luminosityBlock", "event"],
        description="integer variables that identify an event; the event number is the last; may be empty;"
        " hdf5: by default eventNumber",
    )
    files_per_batch: int = Field(50, ge=1, description="files that one clean job reads")
    checksum: bool = Field(
        True,
        description="record the SHA-256 of each input file, which reads all of it; not of remote ones;"
        " size and UUID are recorded anyway",
    )
    unreadable: Literal["error", "skip"] = Field(
        "error",
        description="what a file is that is damaged, cut short or out of reach: error, or skip to go on without any of"
        " its jets, with a warning and a note in the manifest. A branch, tree or dataset that is not there is an error",
    )
    timeout: int = Field(
        120, ge=1, le=86_400, description="remote files: seconds to wait for the answer to a request, a day at most"
    )

    @model_validator(mode="before")
    @classmethod
    def _names_of_format(cls, raw: Any) -> Any:
        """Fill in the names that are usual in HDF5 dumps."""
        if isinstance(raw, dict) and raw.get("format") == "hdf5":
            return {"jets": "jets", "event_id": ["eventNumber"], **raw}
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> "Input":
        if self.format == "hdf5" and (self.tree, self.level) != ("Events", "event"):
            raise ValueError("tree and level are for format: root")
        if self.matched and (self.format, self.level) != ("root", "event"):
            raise ValueError("matched is for trees of events")
        return self


class Cut(Model):
    """A cut with a rule for jets that miss one of its variables."""

    cut: Expr = Field(description="keep jets for which this is true")
    missing: Literal["drop", "keep"] = Field("drop", description="what becomes of a jet that misses a variable of it")


class Sentinels(Model):
    """Which values mean that there is none. NaN, infinities and what single precision does not hold always do."""

    values: Numbers = Field([], description="numbers that mean missing in every variable")
    values_of: dict[Name, Numbers] = Field({}, description="further such numbers of single variables")


class Missing(Sentinels):
    """Which values mean that there is none. NaN, infinities and what single precision does not hold always do."""

    slots: dict[Name, list[Name]] = Field(
        {},
        description="count: [prefixes]; <prefix>_<k> belongs to track k (from 0) and is missing where k >= count",
    )


class Step(Model):
    """A transform by its name, or a function of a plug-in; its results are new variables, float32."""

    name: Text | None = Field(None, description="a transform, see docs/transforms.md; its name alone does as well")
    roles: dict[str, Name] = Field(
        {}, description="role of the transform: the variable that plays it, if named otherwise"
    )
    prefix: Prefix | None = Field(None, description="of the names of the results, in place of that of the transform")
    options: dict[str, Value] = Field({}, description="options of the transform")
    plugin: PathText | None = Field(None, description="a Python file of yours")
    function: Text | None = Field(None, description="function of the plug-in")
    reads: Names = Field([], description="plug-in: variables that it is given")
    reads_jets: Names = Field([], description="plug-in of constituents: variables of jets that it is given")
    makes: Names = Field([], description="plug-in: variables that it makes")

    @model_validator(mode="after")
    def _consistent(self) -> "Step":
        if (self.name is None) == (self.plugin is None):
            raise ValueError("give either the name of a transform or a plugin")
        for_plugins = [key for key in ("function", "reads", "reads_jets", "makes") if getattr(self, key)]
        if self.name is not None and for_plugins:
            raise ValueError(f"{for_plugins[0]} is for a plugin")
        of_transforms = [key for key in ("roles", "prefix", "options") if getattr(self, key)]
        if self.plugin is not None and of_transforms:
            raise ValueError(f"{of_transforms[0]} is for a transform")
        if self.plugin is not None and not (self.function and self.makes):
            raise ValueError("a plugin needs function, and makes: the variables that it makes")
        return self


def _plain_step(step: Any) -> Any:
    """Read a name as a transform without roles."""
    return {"name": step} if isinstance(step, str) else step


Steps = list[Annotated[Step, BeforeValidator(_plain_step, json_schema_input_type=str | Step)]]


class NeuralNetwork(Model):
    """A network in ONNX format whose output becomes a variable of jets."""

    name: Name = Field(description="of the variable")
    file: PathText = Field(description="the .onnx file")
    constituents: Name | None = Field(
        None,
        description="a collection whose constituents, as they are stored, are its inputs: (jets, slots, variables), and"
        " a mask (jets, slots) if it has a second input; its output can be an input of the tagger, a weight column"
        " or a variable of balance.bins, but not in cuts, classes and expressions; if not given, variables of jets",
    )
    variables: Names = Field(
        min_length=1, description="its inputs, in this order, as they are; of constituents, 0 where missing"
    )
    slots: int | None = Field(
        None, ge=1, le=65535, description="constituents: how many of each jet it is given; by default their max"
    )
    column: int = Field(0, ge=0, le=65535, description="which of its outputs, from 0")
    odds: bool = Field(
        False, description="make p / (1 - p) of the output p, the weight that turns one class into another"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "NeuralNetwork":
        if self.slots is not None and self.constituents is None:
            raise ValueError("slots is for a network of constituents")
        return self


class Jets(Model):
    """Which jets, and what of them."""

    units: dict[Name, Factor] = Field(
        {},
        description="variable: number to multiply it by when it is read, as 0.001, whatever it is used for: inputs,"
        " cuts, classes, weights, reference, additional_labels (these become floats; numbers that mean missing stay)",
    )
    rank_by: Expr | None = Field(
        None, description="makes the variable rank: 0 for the jet of the event with the largest value, 1 for the next"
    )
    define: dict[Name, Expr] = Field({}, description="new variables by expression, in this order; float32")
    transforms: Steps = Field([], description="further new variables, from named transforms and plug-ins")
    networks: list[NeuralNetwork] = Field([], description="further new variables, from neural networks")
    missing: Missing = Field(Missing(), description="which values are missing")
    select: list[Annotated[Cut, BeforeValidator(_plain_cut, json_schema_input_type=Expr | Cut)]] = Field(
        [], description="cuts in this order: expressions, or {cut, missing: drop | keep}"
    )
    variables: Names = Field(
        min_length=1, description="inputs of the tagger, in this order; track_{0..5} stands for track_0 to track_5"
    )
    reference: Names = Field([], description="outputs of existing taggers, carried along as they are")
    additional_labels: Names = Field(
        [],
        description="further truth, as targets of a regression, of the files or computed (float32): not scaled, in its"
        " own type unless units change it; 0 where missing in arrays, NaN in records and Parquet",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Jets":
        for key in ("variables", "reference", "additional_labels"):
            no_repeats(key, getattr(self, key))
        return self


class Split(Model):
    """Training, validation and test."""

    by: Literal["event", "jet", "modulo"] = Field(
        "event",
        description="event: a hash of the seed and the values of input.event_id, so that the jets of an event stay"
        " together in all files and samples; jet: scikit-learn's train_test_split twice on each batch, which may put"
        " jets of an event, and jets that two files hold, into different splits; modulo: remainder of the event"
        " number, 0 to modulo - 1 for negative numbers too",
    )
    test: Fraction | list[int] = Field(0.2, description="share for testing; by modulo: the remainders")
    val: Fraction | list[int] = Field(0.1, description="share of the rest for validation; by modulo: the remainders")
    modulo: Annotated[int, Field(ge=2, le=10_000)] | None = Field(
        None, description="by modulo: the divisor, 10,000 at most"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Split":
        lists = [isinstance(x, list) for x in (self.test, self.val)]
        if self.by != "modulo":
            if any(lists) or self.modulo is not None:
                raise ValueError(f"by: {self.by} takes two shares, test and val, and no modulo")
            return self
        if self.modulo is None or not all(lists):
            raise ValueError("by: modulo takes modulo, and test and val as lists of remainders")
        remainders = [*self.test, *self.val]  # type: ignore[misc]
        if len(set(remainders)) < len(remainders) or not all(0 <= r < self.modulo for r in remainders):
            raise ValueError(f"test and val take different remainders from 0 to {self.modulo - 1}")
        return self


class ScalingOf(Model):
    """Scalers: (x - shift) / scale, from the values of training jets that are not missing."""

    method: Literal["standard", "robust"] = Field(
        "standard",
        description="standard: mean and standard deviation; robust: median and distance of the quartiles",
    )
    log: Names = Field([], description="variables of which the logarithm is scaled; not above 0 is missing")
    unscaled: list[Text] = Field(
        ["*isDefaults*"], description="variables that stay as they are (shift 0, scale 1), names or patterns"
    )
    default: Literal["below_minimum", "mean"] = Field(
        "below_minimum", description="what a missing value becomes: the minimum minus default_offset, or the mean"
    )
    default_offset: Value = Field(0.001, description="of below_minimum; 1e30 at most")
    defaults: dict[Name, Value] = Field({}, description="what it becomes in single variables, in their own unit")
    clip: Annotated[Value, Field(ge=0.001)] | None = Field(
        None, description="limit scaled values to minus and plus this, 0.001 at least"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "ScalingOf":
        if wrong := [name for name in self.log if self.defaults.get(name, 1.0) <= 0]:
            raise ValueError(f"defaults.{wrong[0]}: must be above 0, as the logarithm of {wrong[0]} is scaled")
        return self


class Origin(Model):
    """Where the constituents are in a tree: nested by jet, unless links are given."""

    branches: Text | None = Field(
        None, description="prefix of their branches, PFCands for PFCands_pt; by default the name of the collection"
    )
    links: Text | None = Field(None, description="prefix of a table of index lists, as JetPFCands in NanoAOD")
    jet_index: Text = Field("jetIdx", description="branch of that table: index of the jet")
    index: Text | None = Field(None, description="branch of that table: index in branches, as pFCandsIdx")
    element_links: Text | None = Field(None, description="variable of jets that holds ATLAS ElementLinks to branches")

    @model_validator(mode="after")
    def _consistent(self) -> "Origin":
        if self.links is not None and self.element_links is not None:
            raise ValueError("give links or element_links, not both")
        if self.links is None and self.index is not None:
            raise ValueError("index is a branch of links, which are not given")
        return self


class Constituents(Model):
    """Constituents of a jet: tracks, for instance. The key above is the name of the collection."""

    tree: Origin = Field(Origin(), description="root: where they are in the tree")
    units: dict[Name, Factor] = Field({}, description="variable: number to multiply it by when it is read")
    define: dict[Name, Expr] = Field({}, description="new variables by expression, in this order; float32")
    missing: Sentinels = Field(Sentinels(), description="which values are missing")
    select: list[Expr] = Field([], description="keep constituents for which all of these are true")
    sort_by: Expr | None = Field(
        None, description="largest first, before the rest is cut off; if not given, as in the file"
    )
    transforms: Steps = Field(
        [], description="further new variables of the selected constituents, from named transforms and plug-ins"
    )
    max: int = Field(40, ge=1, le=65535, description="slots of the output; further constituents are cut off")
    variables: Names = Field(min_length=1, description="inputs of the tagger, in this order")
    labels: Names = Field([], description="truth of each constituent: integers, -1 in empty slots")
    label_classes: dict[Name, Annotated[list[Text], Field(min_length=1, max_length=127)]] = Field(
        {}, description="label: names of its values from 0 on; such labels are int8 and get class weights"
    )
    scaling: ScalingOf = Field(ScalingOf(), description="scalers")

    @model_validator(mode="after")
    def _consistent(self) -> "Constituents":
        no_repeats("variables", self.variables)
        no_repeats("labels", self.labels)
        return self

    @property
    def used(self) -> list[str]:
        """Names that expressions and transforms use."""
        texts = [*self.define.values(), *self.select, *([self.sort_by] if self.sort_by else [])]
        in_expressions = [name for text in texts for name in sorted(Expression(text).names)]
        return list(
            dict.fromkeys([*in_expressions, *(n for step in self.transforms for n in inputs_of(step, TRANSFORMS))])
        )

    @property
    def made(self) -> list[str]:
        """Names of the variables that are computed."""
        return [*self.define, *(name for step in self.transforms for name in made_by(step, TRANSFORMS))]

    @property
    def read(self) -> list[str]:
        """Names of the variables to read from the files; ``jet_<name>`` is a variable of the jets."""
        return self.read_for([*self.variables, *self.labels, *self.used])

    @property
    def of_jets(self) -> list[str]:
        """Names of the variables of jets that are used."""
        in_expressions = self.of_jets_for([*self.variables, *self.used])
        return list(dict.fromkeys([*in_expressions, *(n for s in self.transforms for n in jet_inputs_of(s))]))

    def read_for(self, names: Iterable[str]) -> list[str]:
        """Return which of some variables are read from the files."""
        return [n for n in dict.fromkeys(names) if n not in self.made and not n.startswith("jet_")]

    def of_jets_for(self, names: Iterable[str]) -> list[str]:
        """Return the variables of jets that some variables are."""
        return [n.removeprefix("jet_") for n in dict.fromkeys(names) if n.startswith("jet_") and n not in self.made]


class ClassOf(Model):
    """A class: an expression, or {samples, cut}."""

    samples: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="samples whose jets can be of this class; all if not given"
    )
    cut: Expr = Field(REST, description="if this is true; rest: all other jets")


def plain_class(value: Any) -> Any:
    """Read an expression as a class of all samples."""
    return {"cut": value} if isinstance(value, str) else value


Classes = dict[Name, Annotated[ClassOf, BeforeValidator(plain_class, json_schema_input_type=Expr | ClassOf)]]


class Systematics(Model):
    """Variations of constituents, each written to an output of its own with the nominal scalers and tables."""

    collection: Name = Field(description="constituents that vary")
    roles: dict[Literal["pt", "energy", "eta", "phi", "taste"], Name] = Field(
        description="pt, energy, eta, phi, taste (0 charged, 1 neutral, 2 both): their variables"
    )
    variations: list[
        Literal["reconstruction_efficiency", "energy_scale_up", "energy_scale_down", "energy_resolution", "position"]
    ] = Field(min_length=1, description="which ones")
    maps: PathText | None = Field(
        None,
        description="ROOT file with TH2 in GeV and |eta|: Scale of E, Mean and RMS of p = E / Scale",
    )
    unit: Annotated[Factor, Field(gt=0)] = Field(1, description="energies times this are in GeV: 0.001 for MeV")
    empty: Literal["fallback", "error"] = Field("fallback", description="what an empty bin of a map is")
    jets: dict[Literal["pt", "eta", "phi", "mass"], Name] = Field(
        {}, description="variables of jets to compute anew from the varied constituents: pt, eta, phi, mass"
    )
    outputs: list[Literal["train", "val", "test"]] = Field(
        ["test"], min_length=1, description="what is written of them"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Systematics":
        no_repeats("variations", list(self.variations))
        no_repeats("outputs", list(self.outputs))
        return self


class Variation(Model):
    """One variation, for a clean job."""

    name: str
    systematics: Systematics


class Cleaning(Model):
    """What the cleaned columns depend on, and nothing else: a change elsewhere does not read ROOT again."""

    seed: int
    input: Input
    jets: Jets
    constituents: dict[Name, Constituents]
    classes: Classes
    split: Split
    stored_variables: list[Name]
    weight_columns: list[Name]
    # Hashes of plug-ins and networks: what they hold decides, not their names.
    files: dict[str, str] = Field({})
    variation: Variation | None = None

    @property
    def made(self) -> list[str]:
        """Names of the variables of jets that are computed."""
        jets = self.jets
        made = [*(["rank"] if jets.rank_by else []), *map(count_of, self.constituents), *jets.define]
        return [
            *made,
            *(n for s in jets.transforms for n in made_by(s, JET_TRANSFORMS)),
            *(n.name for n in jets.networks),
        ]

    @property
    def used_variables(self) -> list[str]:
        """Names of all variables that cleaning works with: stored, defined, in expressions, counts of slots."""
        jets = self.jets
        cuts, classes = [c.cut for c in jets.select], [c.cut for c in self.classes.values() if c.cut != REST]
        texts = [*([jets.rank_by] if jets.rank_by else []), *jets.define.values(), *cuts, *classes]
        used = [n for text in texts for n in sorted(Expression(text).names)]
        used += [n for step in jets.transforms for n in inputs_of(step, JET_TRANSFORMS)]
        used += [n for network in self.networks_of(None) for n in network.variables]
        used += [n for name in self.constituents for n in self.jet_variables_of(name)]
        if self.variation is not None:
            used += self.variation.systematics.jets.values()
        return list(
            dict.fromkeys([*self.stored_variables, *self.weight_columns, *jets.define, *used, *jets.missing.slots])
        )

    def networks_of(self, collection: str | None) -> list[NeuralNetwork]:
        """Return the networks whose inputs are constituents of a collection; None: variables of jets."""
        return [network for network in self.jets.networks if network.constituents == collection]

    @property
    def made_of_constituents(self) -> list[str]:
        """Names of the variables of jets that networks make of constituents, after the cuts."""
        return [network.name for network in self.jets.networks if network.constituents is not None]

    def constituents_read(self, collection: str) -> list[str]:
        """Return the names of the variables of a collection to read from the files."""
        of = self.constituents[collection]
        return list(dict.fromkeys([*of.read, *of.read_for(self._inputs_of_networks(collection))]))

    def jet_variables_of(self, collection: str) -> list[str]:
        """Return the names of the variables of jets that a collection and its networks use."""
        of = self.constituents[collection]
        return list(dict.fromkeys([*of.of_jets, *of.of_jets_for(self._inputs_of_networks(collection))]))

    def _inputs_of_networks(self, collection: str) -> list[str]:
        return [name for network in self.networks_of(collection) for name in network.variables]


def inputs_of(step: Step, transforms: Mapping[str, Transform]) -> list[str]:
    """Return the variables that a step uses; none for a transform that does not exist."""
    if step.name is None:
        return step.reads
    return list(transforms[step.name].variables(step.roles)[0]) if step.name in transforms else []


def jet_inputs_of(step: Step) -> list[str]:
    """Return the variables of jets that a step of constituents uses."""
    if step.name is None:
        return step.reads_jets
    return list(TRANSFORMS[step.name].variables(step.roles)[1]) if step.name in TRANSFORMS else []


def made_by(step: Step, transforms: Mapping[str, Transform]) -> list[str]:
    """Return the variables that a step makes."""
    if step.name is None:
        return step.makes
    return transforms[step.name].names(step.prefix) if step.name in transforms else []
