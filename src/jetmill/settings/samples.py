"""Section ``samples``: the physics processes and their input files."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen

from jetmill.settings.types import Before, FileText, Name, NumberOfFiles, OneOf, PathText, no_repeats, section


@section
class Toy:
    """Generated files in place of real ones."""

    process: Annotated[str, OneOf("jetmill.toys.processes.registry", "PROCESSES")]
    """Process whose spectra and flavours the jets have. Files of format root hold CMS jets, those of format hdf5 ATLAS
    jets."""
    files: NumberOfFiles = 4
    """Number of files, at most 99,999."""
    jets: Annotated[int, Ge(1), Le(1_000_000)] = 25_000
    """Approximate number of jets in each file, at most 1,000,000."""


@section
class Sample:
    """One physics process: either `files` or `toy`."""

    files: FileText | tuple[FileText, ...] | None = None
    """Paths or glob patterns of the input files, or the name of a .txt file with one of them per line. A file may be
    listed only once in all samples, also through links; two files with the same content cause a warning."""
    checksums: PathText | None = None
    """A file with a checksum of each of the files, which are checked when they are read: output of sha256sum or md5sum,
    or lines of a path and an adler32, md5 or sha256, as from Rucio and DAS. For local files only; see
    docs/reliability.md."""
    toy: Toy | None = None
    """Generates the input files instead."""
    splits: Annotated[tuple[Literal["train", "val", "test"], ...], MinLen(1)] = ("train", "val", "test")
    """Splits that jets of the sample may be in. Those that the section split puts elsewhere go to the first one listed:
    [test] uses the whole sample for testing, [train, val] its test jets for training. A change reads no input again."""

    truth: bool = True
    """Whether the jets have classes. Without truth, as in collision data, jets get label 255 and are written to
    test_<sample> alone, without additional_labels, labels of constituents and event weights; what only these and the
    classes need is not read. Scalers, weights and counts of classes do not know these jets."""

    def __post_init__(self) -> None:
        no_repeats("splits", self.splits)
        if not self.truth and self.splits != ("test",):
            raise ValueError("without truth (truth: false), jets are for testing only; leave out splits")
        if (self.files is None) == (self.toy is None):
            raise ValueError("give either files or toy")
        if self.checksums is not None and self.toy is not None:
            raise ValueError("checksums are for files; those of a toy are made by the run")


def test_alone(raw: Any) -> Any:
    """Fill in the splits of a sample without truth."""
    return {"splits": ["test"], **raw} if isinstance(raw, dict) and raw.get("truth") is False else raw


Samples = dict[Name, Annotated[Sample, Before(test_alone)]]
