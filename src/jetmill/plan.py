"""What there is to do: files, batches, ranges of variables and parts, known before anything runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from glob import glob, has_magic
from os.path import normpath
from pathlib import Path
from typing import Any

from jetmill.config import Config, Sample, load, readable_samples, weight_name
from jetmill.errors import JetmillError
from jetmill.splitting import SPLITS


@dataclass(frozen=True)
class Batch:
    """The input files that one clean job reads.

    Attributes
    ----------
    sample, number
        Name of the sample, and number of the batch in it, with leading zeros.
    files
        Paths, in the order of the sample.
    first_file
        Position of the first file in the list of the sample.
    """

    sample: str
    number: str
    files: tuple[str, ...]
    first_file: int


class Plan:
    """The work that a configuration asks for.

    Parameters
    ----------
    config
        The configuration.
    toy_dir
        Directory where the files of toy samples are made.

    Raises
    ------
    JetmillError
        With one line per problem: a glob without files, a file that is not there or listed twice.
    """

    def __init__(self, config: Config, toy_dir: str):
        self.config = config
        self.files, problems = _all_files(config.samples, toy_dir)
        if problems:
            raise JetmillError("\n".join(problems))

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> "Plan":
        """Check a configuration and its files together, so that all mistakes are told at once.

        Raises
        ------
        JetmillError
            With one line per mistake.
        """
        try:
            config = load(raw)
        except JetmillError as error:
            problems = [str(error), *_all_files(readable_samples(raw), "")[1]]
            raise JetmillError("\n".join(problems)) from None
        return cls(config, toy_dir=f"{config.output_dir}/toy")

    @cached_property
    def batches(self) -> list[Batch]:
        """All batches, sample by sample."""
        size = self.config.input.files_per_batch
        return [
            Batch(sample, f"{start // size:04d}", tuple(files[start : start + size]), start)
            for sample, files in self.files.items()
            for start in range(0, len(files), size)
        ]

    @cached_property
    def _batch(self) -> dict[tuple[str, str], Batch]:
        return {(b.sample, b.number): b for b in self.batches}

    def batch(self, sample: str, number: str) -> Batch:
        """Return one batch."""
        return self._batch[sample, number]

    @cached_property
    def ranges(self) -> list[list[str]]:
        """Variables that each fit_scalers job computes."""
        variables, size = self.config.jets.variables, self.config.scaling.variables_per_range
        return [variables[start : start + size] for start in range(0, len(variables), size)]

    @cached_property
    def range_numbers(self) -> list[str]:
        """Numbers of the ranges, with leading zeros."""
        return [f"{number:02d}" for number in range(len(self.ranges))]

    def parts(self, split: str) -> list[str]:
        """Return the numbers of the parts of a split, with leading zeros."""
        n = len(self.batches) if self.config.write.shuffle == "batch" else getattr(self.config.write.parts, split)
        return [f"{number:04d}" for number in range(n)]

    @property
    def all_parts(self) -> Iterator[tuple[str, str]]:
        """Split and number of every part."""
        return ((split, part) for split in SPLITS for part in self.parts(split))

    def part_files(self, *splits: str, ending: str = "h5") -> list[str]:
        """Return the files of all parts of some splits, or of all."""
        wanted = splits or SPLITS
        return [f"<results>/parts/{split}/part_{part}.{ending}" for split, part in self.all_parts if split in wanted]

    def sources(self, part: str) -> list[Batch]:
        """Return the batches that a part is drawn from: all of them, or its own."""
        return [self.batches[int(part)]] if self.config.write.shuffle == "batch" else self.batches

    def batch_files(self, stage: str, part: str | None = None) -> list[str]:
        """Return the files that a stage (clean, bins) makes of all batches, or of those of a part."""
        batches = self.batches if part is None else self.sources(part)
        return [f"<results>/{stage}/{b.sample}/batch_{b.number}.h5" for b in batches]

    def batch_names(self, part: str | None = None) -> list[str]:
        """Return the names of all batches, or of those of a part, in the order of `batch_files`."""
        return [f"{b.sample}/{b.number}" for b in (self.batches if part is None else self.sources(part))]

    def slice_of_keys(self, split: str, part: str) -> tuple[int, int]:
        """Return which range of keys a part takes of its batches: its number, of how many."""
        return (0, 1) if self.config.write.shuffle == "batch" else (int(part), len(self.parts(split)))

    @property
    def weights(self) -> dict[str, dict[str, str]]:
        """Name of each weight table to its method (and reference class)."""
        return {
            weight_name(w): {"method": w} if isinstance(w, str) else {"method": "reference"} | {**w}
            for w in self.config.balance.weights
        }

    def summary(self) -> str:
        """Say in a few lines what there is to do."""
        lines = [
            f"{name}: {len(files)} files in {sum(b.sample == name for b in self.batches)} batches"
            for name, files in self.files.items()
        ]
        n_variables = len(self.config.jets.variables)
        parts = ", ".join(f"{split} {len(self.parts(split))}" for split in SPLITS)
        return "\n".join(
            [
                *lines,
                f"{n_variables} variables in {len(self.ranges)} ranges, {len(self.config.classes)} classes"
                f" ({', '.join(self.config.classes)})",
                f"parts: {parts} -> {self.config.output_dir}/",
            ]
        )

    def farewell(self) -> str:
        """Say where the result is and how to load it, if all of it was asked for."""
        output = self.config.output_dir
        if not all(Path(output, f"{split}.h5").exists() for split in SPLITS):
            return f"Done. What was asked for is in {output}/."
        return f"""
Done. The jets are in {output}/train.h5, val.h5 and test.h5. To load them:

    import jetmill
    train = jetmill.load("{output}/train.h5")  # train.inputs, train.labels, train.weight, ...

The plots are in {output}/report/; the same command with `--report report.html` makes one page of them."""


def _all_files(samples: Mapping[str, Sample], toy_dir: str) -> tuple[dict[str, list[str]], list[str]]:
    """Return the input files of each sample, and what is wrong with those of the others."""
    files, problems = {}, []
    for name, sample in samples.items():
        try:
            files[name] = _files(name, sample, toy_dir)
        except JetmillError as error:
            problems.append(str(error))
    return files, problems


def _files(name: str, sample: Sample, toy_dir: str) -> list[str]:
    """Return the input files of a sample, globs sorted, lists in their order."""
    if sample.toy is not None:
        return [f"{toy_dir}/{name}_{number:04d}.root" for number in range(sample.toy.files)]
    entries = [sample.files] if isinstance(sample.files, str) else list(sample.files or [])
    if isinstance(sample.files, str) and sample.files.endswith(".txt"):
        try:
            lines = Path(sample.files).read_text().splitlines()
        except OSError as error:
            raise JetmillError(f"samples.{name}.files: {sample.files}: {error.strerror}") from None
        entries = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    found: list[str] = []
    for entry in entries:
        matches = sorted(glob(entry, recursive=True)) if has_magic(entry) else [entry]
        if not matches:
            raise JetmillError(f"samples.{name}.files: no file matches '{entry}'")
        found += matches
    if not found:
        raise JetmillError(f"samples.{name}.files: no files are named")
    if gone := [path for path in found if "://" not in path and not Path(path).exists()]:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise JetmillError(f"samples.{name}.files: {gone[0]}{more}: no such file")
    paths = [normpath(path) for path in found]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise JetmillError(f"samples.{name}.files: {twice} is listed more than once")
    return found
