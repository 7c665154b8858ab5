"""What defines an output format."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from jetmill.formats.cards.card import Card
from jetmill.packages import Package
from jetmill.splitting import SPLITS, TEST_OF, VAL_RESAMPLED

if TYPE_CHECKING:
    import h5py

    from jetmill.settings.config import Config


@dataclass(frozen=True)
class Hdf5Check:
    """What is checked in finished HDF5 files besides their hash.

    Attributes
    ----------
    dataset, field
        Where the class of each jet is: the dataset, in the group of the jets, or a field of their records.
    finite
        From a file and the configuration to the datasets that must be finite, each with its fields that must be finite,
        or None if it has no fields.
    """

    dataset: str | None
    field: str | None
    finite: "Callable[[h5py.File, Mapping[str, Any]], dict[str, list[str] | None]]"


@dataclass(frozen=True)
class Format:
    """An output format.

    Attributes
    ----------
    name
        Its name in ``write.formats`` and its directory, below that of the results and of each variation.
    description
        What it is, for the key ``write.formats``.
    write
        Called with what it is made from (a `jetmill.formats.content.part.Part`, or the path of a file of the format in
        `made_from`), the path to write, and the `options` by keyword.
    title, loading
        Shown at the end of a run and in its report: what it is, and in a line or more how to load ``{output}`` below
        ``{results}``.
    suffix
        Of the file of a part; "" if an output is one directory.
    main
        If an output is a directory: from its name to that of a file that is always in it. Snakemake knows the directory
        by this file, and puts nothing into it.
    made_from
        Another format that it is made from: part from part, a directory from a joined output. "" for cleaned columns.
    options
        Keys of ``write`` that its files depend on.
    joined
        Where outputs are joined into one file: a directory below that of the results, which may be ""; None if they
        are not.
    keeps_config
        Whether joined files hold the configuration.
    cards
        Text files from which other programs know how to read it.
    package
        What writing needs besides the packages that jetmill always needs.
    environment
        The conda environment of its jobs, in ``envs/``.
    memory
        How many times the size of what a part is made from a job holds in memory.
    check
        What is checked in finished files; None for those of which the hash is enough.
    mistakes
        Yields the keys of a configuration that the format cannot work with, and why.
    """

    name: str
    description: str
    write: Callable[..., None]
    title: str
    loading: str
    suffix: str = ""
    main: Callable[[str], str] = lambda output: "metadata.json"  # noqa: ARG005
    made_from: str = ""
    options: tuple[str, ...] = ()
    joined: str | None = None
    keeps_config: bool = False
    cards: tuple[Card, ...] = ()
    package: Package | None = None
    environment: str = "jetmill"
    memory: float = 3
    check: Hdf5Check | None = None
    mistakes: "Callable[[Config], Iterator[tuple[str, str]]]" = lambda config: iter(())  # noqa: ARG005

    def part_path(self, output: str, part: str) -> str:
        """Return the path of a part, or of the main file in the directory of an output."""
        return f"{self.name}/{output}/{f'part_{part}.{self.suffix}' if self.suffix else self.main(output)}"

    def joined_path(self, output: str) -> str:
        """Return the path of the file that joins the parts of an output."""
        return str(PurePosixPath(self.joined or "", f"{output}.h5"))

    @property
    def patterns(self) -> list[str]:
        """Globs of all its files of jets."""
        parts = f"{self.name}/*/part_*.{self.suffix}" if self.suffix else f"{self.name}/*/[!.]*"
        outputs = () if self.joined is None else (*SPLITS, VAL_RESAMPLED, f"{TEST_OF}*")
        return [parts, *map(self.joined_path, outputs)]

    def holds(self, path: str) -> bool:
        """Say whether a path is that of one of its files of jets."""
        return any(PurePosixPath("/", path).match(f"/{pattern}") for pattern in self.patterns)
