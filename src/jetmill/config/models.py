"""The configuration: one tree of typed models. What stands here is what is allowed.

Every key has a description, from which ``docs/config.md`` and ``config/schema.json`` are made.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from jetmill.config.cleaning import (
    Classes,
    Cleaning,
    Constituents,
    Input,
    Jets,
    ScalingOf,
    Split,
    Systematics,
    Variation,
)
from jetmill.config.types import (
    MAX_AXES,
    MAX_BINS,
    FileText,
    Model,
    Name,
    Names,
    NumberOfFiles,
    NumberOfJets,
    OutputPath,
    PathText,
    Ratio,
    Segments,
    Value,
    Weight,
    no_repeats,
)
from jetmill.files import sha256
from jetmill.variables.systematics import VARIATIONS
from jetmill.writing.content import Content


class Toy(Model):
    """Generated ntuples in place of files."""

    process: Literal["ttbar", "qcd", "zprime"] = Field(
        description="spectrum and flavour content of the jets: ttbar; qcd with root, zprime with hdf5"
    )
    files: NumberOfFiles = Field(4, description="number of files, 99,999 at most")
    jets: int = Field(25_000, ge=1, le=1_000_000, description="jets per file, about; 1,000,000 at most")


class Sample(Model):
    """One physics process: either `files` or `toy`."""

    files: FileText | list[FileText] | None = Field(
        None,
        description="paths or globs, or the name of a .txt file with one of them per line; a file may be listed only"
        " once in all samples, also through links; copies are a warning",
    )
    checksums: PathText | None = Field(
        None,
        description="a file with a checksum of each of the files, which are checked when they are read: output of"
        " sha256sum or md5sum, or lines of a path and an adler32, md5 or sha256, as from Rucio and DAS; local"
        " files only; see docs/reliability.md",
    )
    toy: Toy | None = Field(None, description="make the files instead: process, files, jets")

    @model_validator(mode="after")
    def _one_origin(self) -> "Sample":
        if (self.files is None) == (self.toy is None):
            raise ValueError("give either files or toy")
        if self.checksums is not None and self.toy is not None:
            raise ValueError("checksums are for files; those of a toy are made by the run")
        return self


class Scaling(ScalingOf):
    """Scalers of jets: (x - shift) / scale, from the values of training jets that are not missing."""

    fit_on: Literal["written", "cleaned"] = Field(
        "written",
        description="jets that scalers of jets and constituents are fitted to; written: the training jets as they are"
        " written, each as often as resampling takes it, so that the inputs have mean 0 and deviation 1; cleaned: every"
        " training jet once, as cleaned, whether it is written or not",
    )
    variables_per_range: int = Field(24, ge=1, description="variables that one fit_scalers job computes")


class Component(Model):
    """Some samples in some cells: low pT from one process, high pT from another."""

    samples: list[Name] = Field(min_length=1, description="samples that give the jets")
    bins: dict[Name, tuple[Value, Value]] = Field(
        {}, description="variable of balance.bins: [low, high], both edges of bins; other variables in full"
    )
    fraction: Ratio | None = Field(None, description="share of this component of all jets, for all components or none")
    max_jets: NumberOfJets | None = Field(None, description="jets of this component, at most")


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
    shares: dict[Name, Ratio] = Field(
        {}, description="class: number of its jets relative to other classes; 1 if not given"
    )
    max_upsampling: Ratio | None = Field(
        None,
        description="pdf (default 1), countup (default: any): how often the jets of a class are written on average, at"
        " most; single jets are written more often, where the target is above the spectrum of the class; of all classes"
        " together 100 at most",
    )
    max_repeats: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="pdf, countup: how often each single jet is written, at most; where the target wants more of a bin,"
        " all classes get fewer jets, so that shapes and shares stay as they are",
    )
    num_jets: NumberOfJets | Literal["auto"] = Field(
        "auto", description="training jets to write, all classes together; auto: as many as possible"
    )
    components: list[Component] = Field([], description="if given, only their samples and cells are used")
    validation: bool = Field(
        False, description="whether to write validation jets that are resampled in the same way, val_resampled.h5, too"
    )
    num_jets_validation: NumberOfJets | Literal["auto"] = Field(
        "auto", description="resampled validation jets to write"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Resampling":
        if self.method in ("importance", "pdf", "countup") and self.target is None:
            raise ValueError(f"method: {self.method} needs a target")
        if self.method in ("none", "count") and self.target is not None:
            raise ValueError(f"method: {self.method} has no target")
        for key in ("max_upsampling", "max_repeats"):
            if getattr(self, key) is not None and self.method not in ("pdf", "countup"):
                raise ValueError(f"{key}: method: {self.method} repeats no jets; pdf and countup do")
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

    @property
    def pools(self) -> int:
        """Number of the components that jets are taken from; all of them are one if none are given."""
        return max(1, len(self.components)) if self.resamples else 0


class Balance(Model):
    """How classes of unlike spectra are made comparable."""

    bins: dict[Name, Segments] = Field(
        min_length=1,
        max_length=MAX_AXES,
        description="variable: [low, high, number of bins], or a list of such segments that join; 100,000 bins of a"
        " variable at most, and bins x classes x (samples + components) of 100,000,000",
    )
    outside: Literal["error", "drop"] = Field(
        "error",
        description="training jets outside the bins, or that miss a variable of bins; error: they stop the run; drop:"
        " they are not written. Such validation and test jets are always written, with weight 0 and bin -1",
    )
    weights: list[Weight] = Field(
        [], description="weight tables: average, flat, {reference: class}; the first one becomes jets/weight"
    )
    weight_columns: Names = Field(
        [],
        description="variables of jets whose product is the event weight, as generator weights or outputs of networks;"
        " every weight is multiplied by it, and weight tables are made of its sums in place of numbers of jets",
    )
    resampling: Resampling = Field(Resampling(), description="resampling of the training split; test jets never are")

    @model_validator(mode="after")
    def _consistent(self) -> "Balance":
        for name, segments in self.bins.items():
            if any(low >= high for low, high, _ in segments):
                raise ValueError(f"bins.{name}: low must be below high")
            if sum(n for _, _, n in segments) > MAX_BINS:
                raise ValueError(f"bins.{name}: has more than {MAX_BINS:,} bins")
            if any(a[1] != b[0] for a, b in pairwise(segments)):
                raise ValueError(f"bins.{name}: each segment must start where the one before ends")
        no_repeats("weights", [weight_name(w) for w in self.weights])
        no_repeats("weight_columns", self.weight_columns)
        return self


class Parts(Model):
    """Number of files of each split: 99,999 at most, as each is made by a job."""

    train: NumberOfFiles = Field(1, description="of the training split")
    val: NumberOfFiles = Field(1, description="of the validation split")
    test: NumberOfFiles = Field(1, description="of the test split")


class Write(Model):
    """The files at the end."""

    shuffle: Literal["global", "batch"] = Field(
        "global",
        description="global: every part is drawn from all batches, so consecutive rows are a fair sample; batch: one"
        " part per batch, mixed within it only, so train.h5 is one batch after the other",
    )
    outputs: list[Literal["train", "val", "test"]] = Field(
        ["train", "val", "test"], description="splits to write, train among them; resampled validation jets are apart"
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
    records_per_file: int = Field(100_000, ge=1, le=10**9, description="tfrecords: jets in a file")

    @model_validator(mode="after")
    def _consistent(self) -> "Write":
        no_repeats("outputs", list(self.outputs))
        if "train" not in self.outputs:
            raise ValueError("outputs: train must be among them; it is what the others are scaled and compared with")
        no_repeats("conditional", self.conditional)
        if isinstance(self.concat_jet_tracks, list):
            no_repeats("concat_jet_tracks", self.concat_jet_tracks)
        if self.shuffle == "batch" and self.parts != Parts():
            raise ValueError("parts is for shuffle: global; with shuffle: batch there is one part per batch")
        return self


class Report(Model):
    """Plots."""

    plots: bool = Field(True, description="whether to make any")
    jets: int = Field(
        100_000, ge=1, le=10_000_000, description="jets that the plots of variables use, at most; up to 10,000,000"
    )


class Config(Model):
    """Everything."""

    output_dir: OutputPath = Field("results", description="where everything is written; without { } < >")
    replace: bool = Field(
        False,
        exclude=True,
        description="whether results of other samples in `output_dir` may be replaced; for the command line, once:"
        " `--config replace=true`",
    )
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
    classes: Classes = Field(
        min_length=1,
        max_length=255,
        description="class: expression, or {samples: [...], cut: expression}, in the order of the labels;"
        " the first that is true counts;"
        " rest is every other jet; jets of no class are dropped",
    )
    split: Split = Field(Split(), description="training, validation and test")
    scaling: Scaling = Field(Scaling(), description="scalers")
    balance: Balance = Field(description="weights and resampling")
    write: Write = Field(Write(), description="the files at the end")
    systematics: Systematics | None = Field(None, description="variations of constituents")
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
            weight_columns=self.balance.weight_columns,
            files={path: sha256(path) for path in self.user_files if Path(path).is_file()},
        )

    def varied(self, name: str) -> Cleaning:
        """Return the settings of the clean jobs of a variation: what it depends on, and nothing else."""
        cleaning, systematics = self.cleaning, self.systematics
        if systematics is None:
            return cleaning
        maps = systematics.maps if VARIATIONS[name].maps else None
        files = cleaning.files | ({maps: sha256(maps)} if maps is not None and Path(maps).is_file() else {})
        alone = systematics.model_copy(update={"variations": [name], "outputs": ["test"], "maps": maps})
        return cleaning.model_copy(update={"variation": Variation(name=name, systematics=alone), "files": files})

    @property
    def user_files(self) -> list[str]:
        """Plug-ins and networks."""
        steps = [*self.jets.transforms, *(step for c in self.constituents.values() for step in c.transforms)]
        return [*(s.plugin for s in steps if s.plugin is not None), *(n.file for n in self.jets.networks)]

    @property
    def content(self) -> Content:
        """What the parts hold."""
        concat = self.write.concat_jet_tracks
        return Content(
            samples=list(self.samples),
            weight_columns=self.balance.weight_columns,
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
