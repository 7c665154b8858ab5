"""The configuration: one tree of typed models. What stands here is what is allowed.

Every key has a description, from which ``docs/config.md`` and ``config/schema.json`` are made.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from jetmill.config_errors import sentences
from jetmill.errors import JetmillError, nearest
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


class Model(BaseModel):
    """A section: unknown keys are errors, and it does not change after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Toy(Model):
    """Generated ntuples in place of files."""

    process: Literal["ttbar", "qcd"] = Field(description="spectrum and flavour content of the jets")
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

    format: Literal["root"] = Field("root", description="format of the files")
    tree: str = Field("Events", description="name of the tree")
    level: Literal["event", "jet"] = Field(
        "event", description="what an entry is: event (branches of jets are jagged) or jet"
    )
    jets: str = Field("Jet", description="prefix of the branches of jets: Jet_pt is the variable pt; may be empty")
    event_id: list[Name] = Field(
        ["run", "luminosityBlock", "event"],
        description="integer variables that identify an event; the event number is the last; may be empty",
    )
    files_per_batch: int = Field(50, ge=1, description="files that one clean job reads")
    checksum: bool = Field(
        True,
        description="record the SHA-256 of each input file, which reads all of it; size and UUID are recorded anyway",
    )


class Cut(Model):
    """A cut with a rule for jets that miss one of its variables."""

    cut: Expr = Field(description="keep jets for which this is true")
    missing: Literal["drop", "keep"] = Field("drop", description="what becomes of a jet that misses a variable of it")


class Missing(Model):
    """Which values mean that there is none. NaN and infinities always do."""

    values: list[float] = Field([], description="numbers that mean missing in every variable")
    values_of: dict[Name, list[float]] = Field({}, description="further such numbers of single variables")
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

    @model_validator(mode="after")
    def _consistent(self) -> "Jets":
        _no_repeats("variables", self.variables)
        _no_repeats("reference", self.reference)
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


class Scaling(Model):
    """Scalers: (x - mean) / standard deviation, from training jets that have the variable."""

    variables_per_range: int = Field(24, ge=1, description="variables that one fit_scalers job computes")
    default_offset: float = Field(0.001, description="a missing value becomes the variable's minimum minus this")
    defaults: dict[Name, float] = Field({}, description="or becomes this, for single variables")


class Resampling(Model):
    """How often each training jet is kept."""

    method: Literal["none", "count"] = Field(
        "none", description="none: once; count: in each cell as many of each class as of the rarest (undersampling)"
    )


class Balance(Model):
    """How classes of unlike spectra are made comparable."""

    bins: dict[Name, Segments] = Field(
        min_length=1,
        description="variable: [low, high, number of bins], or a list of such segments that join",
    )
    weights: list[Literal["average", "flat"] | dict[Literal["reference"], Name]] = Field(
        [], description="weight tables: average, flat, {reference: class}; the first one becomes jets/weight"
    )
    resampling: Resampling = Field(Resampling(), description="resampling of the training split")

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
    merge: bool = Field(False, description="copy the parts into one file per split; else it only points to them")
    formats: list[Literal["torch"]] = Field([], description="formats beside HDF5; torch: each part as a .pt file too")

    @model_validator(mode="after")
    def _consistent(self) -> "Write":
        if self.shuffle == "batch" and "parts" in self.model_fields_set:
            raise ValueError("parts is for shuffle: global; with shuffle: batch there is one part per batch")
        return self


class Report(Model):
    """Plots."""

    jets: int = Field(100_000, ge=1, description="jets that the plots of variables use, at most")


class Cleaning(Model):
    """What the cleaned columns depend on, and nothing else: a change elsewhere does not read ROOT again."""

    seed: int
    input: Input
    jets: Jets
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
            classes=self.classes,
            split=self.split,
            stored_variables=list(dict.fromkeys([*self.jets.variables, *self.balance.bins])),
        )

    def problems(self) -> Iterator[str]:
        """Yield what is wrong between sections, as ``key: sentence``."""
        jets, known = self.jets, self.cleaning.used_variables
        for key, names in {
            "jets.reference": jets.reference,
            "jets.missing.slots": jets.missing.slots,
            "input.event_id": self.input.event_id,
        }.items():
            for name in names:
                if name in jets.define:
                    yield f"{key}: '{name}' is one of jets.define; it must be a variable of the files"
        later = list(jets.define)
        for name, text in jets.define.items():
            for used in sorted(Expression(text).names.intersection(later)):
                yield f"jets.define.{name}: uses '{used}', which is not defined before it"
            later.remove(name)
        for name in self.scaling.defaults:
            if name not in jets.variables:
                yield f"scaling.defaults: '{name}' is not in jets.variables.{nearest(name, jets.variables)}"
        for count, prefixes in jets.missing.slots.items():
            for prefix in prefixes:
                if not any(v.rpartition("_")[0] == prefix for v in known):
                    hint = nearest(prefix, known)
                    yield f"jets.missing.slots.{count}: no variable is named '{prefix}_0' or so.{hint}"
        for name in jets.missing.values_of:
            if name not in known:
                yield f"jets.missing.values_of: nothing uses a variable '{name}'.{nearest(name, known)}"
        for weight in self.balance.weights:
            if isinstance(weight, dict) and (name := weight["reference"]) not in self.classes:
                yield f"balance.weights: there is no class '{name}'.{nearest(name, self.classes)}"
        if self.split.by == "modulo" and not self.input.event_id:
            yield "split: by modulo needs input.event_id, whose last variable is the event number"
        if self.split.by == "event" and not self.input.event_id:
            yield "split: by event needs input.event_id; without it, use by: jet"
        if REST in list(self.classes.values())[:-1]:
            yield "classes: only the last class can be 'rest'"


def load(raw: Mapping[str, Any]) -> Config:
    """Check a configuration and return it typed.

    Raises
    ------
    JetmillError
        With one line per problem: the key, what was found, what is allowed, the nearest right name.
    """
    try:
        config = Config.model_validate(dict(raw))
    except ValidationError as error:
        raise JetmillError("\n".join(sentences(error, Config))) from None
    if mismatches := list(config.problems()):
        raise JetmillError("\n".join(mismatches))
    return config


def readable_samples(raw: Mapping[str, Any]) -> dict[str, Sample]:
    """Return the samples of a configuration that are right in themselves, whatever else is wrong in it."""
    samples = raw.get("samples")
    readable = {}
    for name, sample in samples.items() if isinstance(samples, Mapping) else ():
        with suppress(ValidationError):
            readable[str(name)] = Sample.model_validate(sample)
    return readable


def weight_name(weight: str | dict) -> str:
    """Return the name of a weight table: ``average``, ``flat``, ``reference_b``."""
    return weight if isinstance(weight, str) else f"reference_{weight['reference']}"


def _no_repeats(key: str, names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{key} names {', '.join(repeated)} more than once")
