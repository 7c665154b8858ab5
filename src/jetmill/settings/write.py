"""Section ``write``: the finished files."""

from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from jetmill.settings.types import Name, Names, NumberOfFiles, NumberOfJets, OneOf, no_repeats, section


@section
class Parts:
    """Number of files per split, at most 99,999, as each is written by a job of its own."""

    train: NumberOfFiles = 1
    """Number of training files."""
    val: NumberOfFiles = 1
    """Number of validation files."""
    test: NumberOfFiles = 1
    """Number of test files."""


@section
class Write:
    """What is written, and how."""

    shuffle: Literal["global", "batch"] = "global"
    """global: every part is drawn from all batches, so consecutive rows are a fair sample. batch: one part per batch,
    mixed within it only, so train.h5 is one batch after the other."""
    outputs: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
    """Splits to write, train among them."""
    test_per_sample: bool = False
    """Whether to write the test jets of each sample to a file of its own, test_<sample>, instead of test."""
    max_jets_test: NumberOfJets | dict[Name, NumberOfJets | dict[Name, NumberOfJets]] | None = None
    """Largest number of test jets to write (of each sample with test_per_sample), chosen at random; or that of single
    samples and classes: {ttbar: {bjets: 2_000_000, cjets: 2_000_000}, zprime: 500_000}."""
    parts: Parts = Parts()
    """Number of files per split (shuffle: global)."""
    precision: Literal["float16", "float32"] = "float32"
    """Type of the scaled inputs."""
    compression: Literal["none", "gzip", "lzf", "lz4", "zstd"] = "none"
    """Compression of HDF5 files. lz4 and zstd need hdf5plugin, for reading too."""
    concat_jet_tracks: bool | Names = False
    """Variables of the jet to put in front of those of each constituent: true for all inputs, or a list of names."""
    native_types: bool = False
    """Whether records (format structured) keep variables that are booleans or integers of 8 or 16 bits in all files and
    never missing, in the types of the files instead of float32."""
    keep_all: bool = False
    """Whether test files also hold all numbers that the input files have for each jet and each of its constituents, in
    the types of the files (docs/output.md)."""
    conditional: Names = ()
    """Inputs of jets that a model is conditioned on, as a dataset of their own."""
    merge: bool = False
    """Whether to copy the parts into one file per split. By default that file only points to them,
    and must not be copied without them, as salt's move_files_temp does."""
    formats: Annotated[tuple[Annotated[str, OneOf("jetmill.formats.registry", "FORMATS")], ...], MinLen(1)] = ("hdf5",)
    """Formats of the finished files."""
    records_per_file: Annotated[int, Ge(1), Le(10**9)] = 100_000
    """Number of jets in a TFRecord file."""

    def __post_init__(self) -> None:
        no_repeats("outputs", self.outputs)
        no_repeats("conditional", self.conditional)
        if not isinstance(self.concat_jet_tracks, bool):
            no_repeats("concat_jet_tracks", self.concat_jet_tracks)
        if self.shuffle == "batch" and self.parts != Parts():
            raise ValueError("parts is for shuffle: global; with shuffle: batch there is one part per batch")
