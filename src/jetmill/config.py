"""The configuration: one tree of typed models. What stands here is what is allowed.

Every key has a description, from which ``docs/config.md`` and ``config/schema.json`` are made.
"""

import re
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from jetmill.content import Content
from jetmill.errors import JetmillError
from jetmill.expressions import Expression

REST = "rest"


def _parses(text: str) -> str:
    try:
        Expression(text)
    except JetmillError as error:
        raise ValueError(str(error)) from None
    return text


def _expand(names: Any) -> Any:
    """Read ``track_{0..5}`` in a list of names as ``track_0`` to ``track_5``."""
    if not isinstance(names, list):
        return names
    expanded: list[Any] = []
    for name in names:
        found = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", name) if isinstance(name, str) else None
        if found and int(found[2]) <= int(found[3]):
            expanded += [f"{found[1]}{k}{found[4]}" for k in range(int(found[2]), int(found[3]) + 1)]
        else:
            expanded.append(name)
    return expanded


Fraction = Annotated[float, Field(ge=0, lt=1)]
Expr = Annotated[str, AfterValidator(_parses)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Names = Annotated[list[Name], BeforeValidator(_expand, json_schema_input_type=list[str])]
Segment = tuple[float, float, Annotated[int, Field(ge=1)]]


def _one_segment(bins: Any) -> Any:
    """Read ``[low, high, n]`` as the only segment."""
    return [bins] if isinstance(bins, list) and bins and not isinstance(bins[0], list) else bins


def _plain_cut(cut: Any) -> Any:
    """Read an expression as a cut that drops jets which miss a variable of it."""
    return {"cut": cut} if isinstance(cut, str) else cut


Segments = Annotated[
    list[Segment], Field(min_length=1), BeforeValidator(_one_segment, json_schema_input_type=Segment | list[Segment])
]


def _no_repeats(key: str, names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{key} names {', '.join(repeated)} more than once")


class Model(BaseModel):
    """A section: unknown keys are errors, and it does not change after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Toy(Model):
    """Generated ntuples in place of files."""

    process: Literal["ttbar", "qcd", "zprime"] = Field(
        description="spectrum and flavour content of the jets: ttbar; qcd with root, zprime with hdf5"
    )
    files: int = Field(4, ge=1, description="number of files")
    jets: int = Field(25_000, ge=1, description="jets per file, about")


class Sample(Model):
    """One physics process: either `files` or `toy`."""

    files: str | list[str] | None = Field(
        None, description="paths or globs, or the name of a .txt file with one of them per line"
    )
    toy: Toy | None = Field(None, description="make the files instead: process, files, jets")

    @model_validator(mode="after")
    def _one_origin(self) -> "Sample":
        if (self.files is None) == (self.toy is None):
            raise ValueError("give either files or toy")
        return self


class Input(Model):
    """How the files are read."""

    format: Literal["root", "hdf5"] = Field(
        "root",
        description="root: trees; hdf5: structured datasets of jets (n,) and constituents (n, slots), as ATLAS dumps",
    )
    tree: str = Field("Events", description="root: name of the tree")
    level: Literal["event", "jet"] = Field(
        "event", description="root: what an entry is, event (branches of jets are jagged) or jet"
    )
    jets: str = Field(
        "Jet",
        description="root: prefix of the branches of jets, Jet_pt is the variable pt, may be empty;"
        " hdf5: dataset of jets, by default jets",
    )
    event: str = Field("", description="root: prefix of the branches of events, if they have one, as EventInfoAuxDyn")
    event_id: list[Name] = Field(
        ["run", "luminosityBlock", "event"],
        description="integer variables that identify an event; the event number is the last; may be empty;"
        " hdf5: by default eventNumber",
    )
    files_per_batch: int = Field(50, ge=1, description="files that one clean job reads")
    checksum: bool = Field(
        True,
        description="record the SHA-256 of each input file, which reads all of it; size and UUID are recorded anyway",
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
        return self


class Cut(Model):
    """A cut with a rule for jets that miss one of its variables."""

    cut: Expr = Field(description="keep jets for which this is true")
    missing: Literal["drop", "keep"] = Field("drop", description="what becomes of a jet that misses a variable of it")


class Sentinels(Model):
    """Which values mean that there is none. NaN and infinities always do."""

    values: list[float] = Field([], description="numbers that mean missing in every variable")
    values_of: dict[Name, list[float]] = Field({}, description="further such numbers of single variables")


class Missing(Sentinels):
    """Which values mean that there is none. NaN and infinities always do."""

    slots: dict[Name, list[Name]] = Field(
        {},
        description="count: [prefixes]; <prefix>_<k> belongs to track k (from 0) and is missing where k >= count",
    )


class Jets(Model):
    """Which jets, and what of them."""

    define: dict[Name, Expr] = Field({}, description="new variables by expression, in this order; float32")
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
        description="further truth, as targets of a regression: not scaled, in its own type; 0 where missing in arrays,"
        " NaN in records and Parquet",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Jets":
        for key in ("variables", "reference", "additional_labels"):
            _no_repeats(key, getattr(self, key))
        return self


class Split(Model):
    """Training, validation and test."""

    by: Literal["event", "jet", "modulo"] = Field(
        "event",
        description="event: a hash of the event, jets of an event stay together; jet: scikit-learn's"
        " train_test_split twice on each batch; modulo: remainder of the event number",
    )
    test: Fraction | list[int] = Field(0.2, description="share for testing; by modulo: the remainders")
    val: Fraction | list[int] = Field(0.1, description="share of the rest for validation; by modulo: the remainders")
    modulo: Annotated[int, Field(ge=2)] | None = Field(None, description="by modulo: the divisor")

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
    unscaled: list[str] = Field(
        ["*isDefaults*"], description="variables that stay as they are (shift 0, scale 1), names or patterns"
    )
    default: Literal["below_minimum", "mean"] = Field(
        "below_minimum", description="what a missing value becomes: the minimum minus default_offset, or the mean"
    )
    default_offset: float = Field(0.001, description="of below_minimum")
    defaults: dict[Name, float] = Field({}, description="what it becomes in single variables, in their own unit")
    clip: Annotated[float, Field(gt=0)] | None = Field(None, description="limit scaled values to minus and plus this")

    @model_validator(mode="after")
    def _consistent(self) -> "ScalingOf":
        if wrong := [name for name in self.log if self.defaults.get(name, 1.0) <= 0]:
            raise ValueError(f"defaults.{wrong[0]}: must be above 0, as the logarithm of {wrong[0]} is scaled")
        return self

    def is_scaled(self, name: str) -> bool:
        """Tell whether a variable gets a scaler of its own."""
        return not any(fnmatchcase(name, pattern) for pattern in self.unscaled)


class Scaling(ScalingOf):
    """Scalers of jets: (x - shift) / scale, from the values of training jets that are not missing."""

    variables_per_range: int = Field(24, ge=1, description="variables that one fit_scalers job computes")


class Origin(Model):
    """Where the constituents are in a tree: nested by jet, unless links are given."""

    branches: str | None = Field(
        None, description="prefix of their branches, PFCands for PFCands_pt; by default the name of the collection"
    )
    links: str | None = Field(None, description="prefix of a table of index lists, as JetPFCands in NanoAOD")
    jet_index: str = Field("jetIdx", description="branch of that table: index of the jet")
    index: str | None = Field(None, description="branch of that table: index in branches, as pFCandsIdx")
    element_links: str | None = Field(None, description="variable of jets that holds ATLAS ElementLinks to branches")

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
    define: dict[Name, Expr] = Field({}, description="new variables by expression, in this order; float32")
    missing: Sentinels = Field(Sentinels(), description="which values are missing")
    select: list[Expr] = Field([], description="keep constituents for which all of these are true")
    sort_by: Expr | None = Field(
        None, description="largest first, before the rest is cut off; if not given, as in the file"
    )
    max: int = Field(40, ge=1, le=65535, description="slots of the output; further constituents are cut off")
    variables: Names = Field(min_length=1, description="inputs of the tagger, in this order")
    labels: Names = Field([], description="truth of each constituent: integers, -1 in empty slots")
    label_classes: dict[Name, Annotated[list[str], Field(min_length=1, max_length=127)]] = Field(
        {}, description="label: names of its values from 0 on; such labels are int8 and get class weights"
    )
    scaling: ScalingOf = Field(ScalingOf(), description="scalers")

    @model_validator(mode="after")
    def _consistent(self) -> "Constituents":
        _no_repeats("variables", self.variables)
        _no_repeats("labels", self.labels)
        return self

    @property
    def read(self) -> list[str]:
        """Names of the variables to read from the files."""
        texts = [*self.define.values(), *self.select, *([self.sort_by] if self.sort_by else [])]
        used = [name for text in texts for name in sorted(Expression(text).names)]
        return [name for name in dict.fromkeys([*self.variables, *self.labels, *used]) if name not in self.define]


class Component(Model):
    """Some samples in some cells: low pT from one process, high pT from another."""

    samples: list[Name] = Field(min_length=1, description="samples that give the jets")
    bins: dict[Name, tuple[float, float]] = Field(
        {}, description="variable of balance.bins: [low, high], both edges of bins; other variables in full"
    )
    fraction: Annotated[float, Field(gt=0)] | None = Field(
        None, description="share of this component of all jets, for all components or none"
    )


class Resampling(Model):
    """How often each training jet is taken."""

    method: Literal["none", "count", "importance", "pdf", "countup"] = Field(
        "none",
        description="none: once; count: in each cell as many of each class as of the rarest; importance: the shape"
        " of the target, no jet twice; pdf: the shape of the target, jets may repeat; countup: every jet of the"
        " target class once, other classes as many in each cell",
    )
    target: str | None = Field(
        None, description="of importance, pdf, countup: a class, or (not countup) average or flat"
    )
    shares: dict[Name, Annotated[float, Field(gt=0)]] = Field(
        {}, description="class: number of its jets relative to other classes; 1 if not given"
    )
    max_upsampling: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="pdf (default 1), countup (default: any): jets written of a class, at most, for each one there is",
    )
    num_jets: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="training jets to write, all classes together; auto: as many as possible"
    )
    components: list[Component] = Field([], description="if given, only their samples and cells are used")
    validation: bool = Field(
        False, description="whether to write validation jets that are resampled in the same way, val_resampled.h5, too"
    )
    num_jets_validation: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="resampled validation jets to write"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Resampling":
        if self.method in ("importance", "pdf", "countup") and self.target is None:
            raise ValueError(f"method: {self.method} needs a target")
        if self.method in ("none", "count") and self.target is not None:
            raise ValueError(f"method: {self.method} has no target")
        if self.max_upsampling is not None and self.method not in ("pdf", "countup"):
            raise ValueError(f"max_upsampling: method: {self.method} repeats no jets; pdf and countup do")
        if self.method == "none" and self.shares:
            raise ValueError("shares: method: none takes classes as they are")
        if self.num_jets_validation != "auto" and not self.validation:
            raise ValueError("num_jets_validation is for validation: true")
        if self.validation and not self.resamples:
            raise ValueError("validation: there is no resampling to do")
        given = [component.fraction is not None for component in self.components]
        if any(given) and not all(given):
            raise ValueError("components: give all of them a fraction or none")
        return self

    @property
    def resamples(self) -> bool:
        """Whether any jets are repeated or left out."""
        return self.method != "none" or bool(self.components) or self.num_jets != "auto"


class Balance(Model):
    """How classes of unlike spectra are made comparable."""

    bins: dict[Name, Segments] = Field(
        min_length=1,
        description="variable: [low, high, number of bins], or a list of such segments that join",
    )
    weights: list[Literal["average", "flat"] | dict[Literal["reference"], Name]] = Field(
        [], description="weight tables: average, flat, {reference: class}; the first one becomes jets/weight"
    )
    resampling: Resampling = Field(Resampling(), description="resampling of the training split; test jets never are")

    @model_validator(mode="after")
    def _consistent(self) -> "Balance":
        for name, segments in self.bins.items():
            if any(low >= high for low, high, _ in segments):
                raise ValueError(f"bins.{name}: low must be below high")
            if any(a[1] != b[0] for a, b in pairwise(segments)):
                raise ValueError(f"bins.{name}: each segment must start where the one before ends")
        _no_repeats("weights", [weight_name(w) for w in self.weights])
        return self


class Parts(Model):
    """Number of files of each split."""

    train: int = Field(1, ge=1, description="of the training split")
    val: int = Field(1, ge=1, description="of the validation split")
    test: int = Field(1, ge=1, description="of the test split")


class Write(Model):
    """The files at the end."""

    shuffle: Literal["global", "batch"] = Field(
        "global", description="global: every part is drawn from all batches; batch: one part per batch"
    )
    parts: Parts = Field(Parts(), description="files per split, with shuffle: global")
    precision: Literal["float16", "float32"] = Field("float32", description="type of the scaled inputs")
    compression: Literal["none", "gzip", "lzf", "lz4", "zstd"] = Field(
        "none", description="of the HDF5 files; lz4 and zstd need hdf5plugin, for reading too"
    )
    concat_jet_tracks: bool | Names = Field(
        False, description="put variables of the jet before those of each constituent: all inputs, or those named"
    )
    conditional: Names = Field(
        [], description="inputs of jets that a model is conditioned on, as a dataset of their own"
    )
    merge: bool = Field(False, description="copy the parts into one file per split; else it only points to them")
    formats: Annotated[list[Literal["hdf5", "structured", "tfrecords", "parquet", "torch"]], Field(min_length=1)] = (
        Field(
            ["hdf5"],
            description="hdf5: scaled arrays, as umami writes them; structured: HDF5 of records, not scaled, for salt;"
            " tfrecords: the arrays for TensorFlow; torch: the arrays of each part as a .pt file; parquet: not scaled,"
            " for weaver",
        )
    )
    records_per_file: int = Field(100_000, ge=1, description="tfrecords: jets in a file")

    @model_validator(mode="after")
    def _consistent(self) -> "Write":
        _no_repeats("conditional", self.conditional)
        if isinstance(self.concat_jet_tracks, list):
            _no_repeats("concat_jet_tracks", self.concat_jet_tracks)
        if self.shuffle == "batch" and "parts" in self.model_fields_set:
            raise ValueError("parts is for shuffle: global; with shuffle: batch there is one part per batch")
        return self


class Report(Model):
    """Plots."""

    plots: bool = Field(True, description="whether to make any")
    jets: int = Field(100_000, ge=1, description="jets that the plots of variables use, at most")


class Cleaning(Model):
    """What the cleaned columns depend on, and nothing else: a change elsewhere does not read ROOT again."""

    seed: int
    input: Input
    jets: Jets
    constituents: dict[Name, Constituents]
    classes: dict[Name, Expr]
    split: Split
    stored_variables: list[Name]

    @property
    def used_variables(self) -> list[str]:
        """Names of all variables that cleaning works with: stored, defined, in expressions, counts of slots."""
        jets = self.jets
        cuts, classes = [c.cut for c in jets.select], [c for c in self.classes.values() if c != REST]
        used = [n for text in [*jets.define.values(), *cuts, *classes] for n in sorted(Expression(text).names)]
        return list(dict.fromkeys([*self.stored_variables, *jets.define, *used, *jets.missing.slots]))


class Config(Model):
    """Everything."""

    output_dir: str = Field("results", description="where everything is written")
    seed: int = Field(1, ge=0, lt=2**32, description="of every random number")
    strict: bool = Field(
        True,
        description="whether a class without jets, or a variable that is constant or missing everywhere,"
        " is an error; if not, it is a warning",
    )
    samples: dict[Name, Sample] = Field(min_length=1, description="the processes: name: {files: ...}")
    input: Input = Field(Input(), description="how the files are read")
    jets: Jets = Field(description="which jets, and what of them")
    constituents: dict[Name, Constituents] = Field(
        {}, description="collections of constituents: name: {variables: ...}; hdf5: the name is that of the dataset"
    )
    classes: dict[Name, Expr] = Field(
        min_length=1,
        max_length=255,
        description="class: expression, in the order of the labels; the first that is true counts;"
        " rest is every other jet; jets of no class are dropped",
    )
    split: Split = Field(Split(), description="training, validation and test")
    scaling: Scaling = Field(Scaling(), description="scalers")
    balance: Balance = Field(description="weights and resampling")
    write: Write = Field(Write(), description="the files at the end")
    report: Report = Field(Report(), description="plots")

    @property
    def cleaning(self) -> Cleaning:
        """The settings of the clean jobs; they store the inputs, then what only the histogram uses."""
        return Cleaning(
            seed=self.seed,
            input=self.input,
            jets=self.jets,
            # Without what plays no part in cleaning.
            constituents={
                name: c.model_copy(update={"scaling": ScalingOf(), "label_classes": {}})
                for name, c in self.constituents.items()
            },
            classes=self.classes,
            split=self.split,
            stored_variables=list(dict.fromkeys([*self.jets.variables, *self.balance.bins])),
        )

    @property
    def content(self) -> Content:
        """What the parts hold."""
        concat = self.write.concat_jet_tracks
        return Content(
            samples=list(self.samples),
            slots={name: c.max for name, c in self.constituents.items()},
            labels={
                name: {label: c.label_classes.get(label, []) for label in c.labels}
                for name, c in self.constituents.items()
            },
            concat_jets=concat if isinstance(concat, list) else self.jets.variables if concat else [],
            conditional=self.write.conditional,
            precision=self.write.precision,
        )


def weight_name(weight: str | dict) -> str:
    """Return the name of a weight table: ``average``, ``flat``, ``reference_b``."""
    return weight if isinstance(weight, str) else f"reference_{weight['reference']}"
