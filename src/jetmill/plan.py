"""What there is to do: files, batches, ranges of variables and parts, known before anything runs."""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property, lru_cache
from os.path import exists, getsize
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetmill.balancing.table_size import table_numbers
from jetmill.config.load import load, readable_samples
from jetmill.config.sizes import excesses
from jetmill.errors import JetmillError
from jetmill.formats.registry import FORMATS
from jetmill.inputs.checksum_lists import Checksums, find_checksums
from jetmill.inputs.files import find_files, remote_files
from jetmill.packages import COMPRESSION, NETWORKS, PROTOCOLS, Package
from jetmill.settings.clean import Batch, CleanSettings
from jetmill.settings.config import Config
from jetmill.settings.stages import BalanceSettings, BinSettings, FitSettings, MergeSettings
from jetmill.sources.remote import is_remote, protocol_of
from jetmill.splitting import SPLITS, VAL_RESAMPLED, split_of

if TYPE_CHECKING:
    from jetmill.columns.batch_list import CleanedBatch

# A job that counts a few small batches takes longer to start than to run.
FILES_PER_BIN_JOB = 50


class Plan:
    """The work that a configuration asks for.

    Parameters
    ----------
    config
        The configuration.
    jobs_run_here
        Whether jobs have the packages that are installed here, which are then looked for.

    Raises
    ------
    JetmillError
        With one line per problem: a glob without files, a file that is not there, listed twice or without a checksum,
        a package that is not installed.
    """

    def __init__(self, config: Config, *, jobs_run_here: bool = False):
        self.config = config
        ending = "h5" if config.input.format == "hdf5" else "root"
        self.files, problems = find_files(config.samples, f"{config.output_dir}/toy/{{}}_{{:04d}}.{ending}")
        if config.input.format == "hdf5":
            problems += remote_files(self.files)
        self.checksums, more = find_checksums(config.samples, self.files)
        problems += more
        if jobs_run_here:
            problems += [str(package) for package in self._packages() if not package.installed]
        if problems:
            raise JetmillError("\n".join(problems))

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any], *, jobs_run_here: bool = False) -> "Plan":
        """Check a configuration and its files together, so that all mistakes are told at once.

        Raises
        ------
        JetmillError
            With one line per mistake.
        """
        try:
            config = load(raw)
        except JetmillError as error:
            # What has too much in it is not looked at any more.
            samples = {} if excesses(raw) else readable_samples(raw)
            files, problems = find_files(samples, "{}_{:04d}")
            problems = [str(error), *problems, *find_checksums(samples, files)[1]]
            raise JetmillError("\n".join(problems)) from None
        return cls(config, jobs_run_here=jobs_run_here)

    def _packages(self) -> Iterator[Package]:
        """Yield the packages that jobs need and that not every configuration does."""
        write = self.config.write
        yield from (package for name in write.formats if (package := FORMATS[name].package) is not None)
        for found, names in (
            (COMPRESSION, [write.compression]),
            (PROTOCOLS, {protocol_of(path) for paths in self.files.values() for path in paths if is_remote(path)}),
        ):
            yield from (found[name] for name in names if name in found)
        if self.config.jets.networks:
            yield NETWORKS

    @cached_property
    def batches(self) -> list[Batch]:
        """All batches, sample by sample."""
        size = self.config.input.files_per_batch
        return [
            Batch(sample, f"{start // size:04d}", files, start, self._checksums_of(sample, files))
            for sample, of_sample in self.files.items()
            for start in range(0, len(of_sample), size)
            for files in [tuple(of_sample[start : start + size])]
        ]

    def _checksums_of(self, sample: str, files: tuple[str, ...]) -> dict[str, Checksums]:
        return {path: self.checksums[sample].of[path] for path in files} if sample in self.checksums else {}

    @cached_property
    def _batch(self) -> dict[tuple[str, str], Batch]:
        return {(b.sample, b.number): b for b in self.batches}

    def batch(self, sample: str, number: str) -> Batch:
        """Return one batch."""
        return self._batch[sample, number]

    def local_files(self, sample: str, number: str) -> list[str]:
        """Return the files of a batch that are not read from a server."""
        return [path for path in self.batch(sample, number).files if not is_remote(path)]

    @cache  # noqa: B019
    def input_megabytes(self, sample: str, number: str) -> float:
        """Return the size of the local files of a batch that are there."""
        return sum(getsize(path) for path in self.local_files(sample, number) if exists(path)) / 1e6  # noqa: PTH110, PTH202

    @cached_property
    def ranges(self) -> list[tuple[str, tuple[str, ...]]]:
        """What each fit_scalers job computes: jets or a collection of constituents, and variables of it."""
        size = self.config.scaling.variables_per_range
        return [
            (of, variables[start : start + size])
            for of, variables in self.variables.items()
            for start in range(0, len(variables), size)
        ]

    @property
    def variables(self) -> dict[str, tuple[str, ...]]:
        """Inputs of jets and of each collection of constituents."""
        of_constituents = {name: c.variables for name, c in self.config.constituents.items()}
        return {"jets": self.config.jets.variables} | of_constituents

    @property
    def scalers_need_balance(self) -> bool:
        """Whether scalers are fitted to jets that are not all training jets, each once, which balance decides."""
        balance = self.config.balance
        all_once = not balance.resampling.resamples and balance.outside == "error"
        return self.config.scaling.fit_on == "written" and not all_once

    @property
    def outputs(self) -> tuple[str, ...]:
        """The finished files: one per split, and resampled validation jets, as far as they are asked for."""
        splits = (split for split in SPLITS if split in self.config.write.outputs)
        return (*splits, VAL_RESAMPLED) if self.config.balance.resampling.validation else (*splits,)

    @cached_property
    def range_numbers(self) -> list[str]:
        """Numbers of the ranges, with leading zeros."""
        return [f"{number:02d}" for number in range(len(self.ranges))]

    @property
    def resampled(self) -> tuple[str, ...]:
        """The outputs whose jets are resampled."""
        resampling = self.config.balance.resampling
        if not resampling.resamples:
            return ()
        return ("train", VAL_RESAMPLED) if resampling.validation else ("train",)

    def parts(self, output: str) -> list[str]:
        """Return the numbers of the parts of an output, with leading zeros."""
        by_batch = self.config.write.shuffle == "batch"
        n = len(self.batches) if by_batch else getattr(self.config.write.parts, split_of(output))
        return [f"{number:04d}" for number in range(n)]

    @property
    def variations(self) -> list[str]:
        """Directories of the variations, below that of the results: ``variations/<name>/``."""
        systematics = self.config.systematics
        return [] if systematics is None else [f"variations/{name}/" for name in systematics.variations]

    @cached_property
    def cleaning(self) -> dict[str, CleanSettings]:
        """Settings of the clean jobs by variation, of the nominal ones under "".

        Made once: they hold hashes of files, and every clean job asks for them.
        """
        varied = {v: self.config.varied(v.split("/")[1]) for v in self.variations}
        return {"": self.config.cleaning} | varied

    def outputs_of(self, variation: str) -> tuple[str, ...]:
        """Return the finished files of a variation, or the nominal ones."""
        systematics = self.config.systematics
        return tuple(systematics.outputs) if variation and systematics is not None else self.outputs

    def part_files(self, format_name: str, *outputs: str, variation: str = "") -> list[str]:
        """Return the files of all parts of some outputs, or of all, in a format; directories if it has no parts."""
        found = FORMATS[format_name]
        paths = [
            found.part_path(output, part)
            for output in outputs or self.outputs_of(variation)
            for part in self.parts(output)
        ]
        return [f"<results>/{variation}{path}" for path in dict.fromkeys(paths)]

    def joined_files(self, format_name: str, variation: str = "") -> list[str]:
        """Return the files that join the parts of each output; none if the format does not join them."""
        found = FORMATS[format_name]
        outputs = () if found.joined is None else self.outputs_of(variation)
        return [f"<results>/{variation}{found.joined_path(output)}" for output in outputs]

    @property
    def weighted_labels(self) -> dict[str, dict[str, int]]:
        """Collection to label of constituents that gets class weights, to its number of values."""
        of_all = {name: c.label_classes for name, c in self.config.constituents.items() if c.label_classes}
        return {name: {label: len(values) for label, values in labels.items()} for name, labels in of_all.items()}

    def batch_files(self, variation: str = "") -> list[str]:
        """Return the column files of all batches."""
        return [f"<results>/{variation}clean/{b.sample}/batch_{b.number}.h5" for b in self.batches]

    def sources(self, part: str) -> slice:
        """Return which batches a part is drawn from: all of them, or its own."""
        number = int(part)
        return slice(number, number + 1) if self.config.write.shuffle == "batch" else slice(None)

    def cleaned_megabytes(self, output: str = "", part: str = "", variation: str = "") -> float:
        """Return how large the cleaned columns are, or those that a part reads; 0 before they are listed."""
        path = Path(self.config.output_dir, variation, "clean", "batches.json")
        if not path.exists():
            return 0.0
        changed = path.stat().st_mtime_ns
        if not part:
            return _megabytes(path, changed)
        split, batches = SPLITS.index(split_of(output)), self.sources(part)
        return _megabytes(path, changed, split, batches.start, batches.stop) / self.slice_of_keys(output, part)[1]

    @cached_property
    def bin_groups(self) -> dict[str, slice]:
        """The batches whose jets one bin_jets job counts, about as many files as a large batch has."""
        size = max(1, FILES_PER_BIN_JOB // self.config.input.files_per_batch)
        starts = range(0, len(self.batches), size)
        return {f"{number:04d}": slice(start, start + size) for number, start in enumerate(starts)}

    def slice_of_keys(self, output: str, part: str) -> tuple[int, int]:
        """Return which range of keys a part takes of its batches: its number, of how many."""
        return (0, 1) if self.config.write.shuffle == "batch" else (int(part), len(self.parts(output)))

    @property
    def table_numbers(self) -> int:
        """How many numbers a table of the bins has."""
        return table_numbers(self.config.balance.bins, len(self.config.classes))

    @cached_property
    def fit_settings(self) -> list[FitSettings]:
        """Settings of the fit_scalers job of each range."""
        rules = self.config.scaling_rules
        return [FitSettings.from_rules(of, variables, rules[of]) for of, variables in self.ranges]

    @cached_property
    def bin_settings(self) -> dict[str, BinSettings]:
        """Settings of the bin_jets job of each group of batches."""
        return {name: BinSettings.from_config(self.config, batches) for name, batches in self.bin_groups.items()}

    @cached_property
    def balance_settings(self) -> BalanceSettings:
        """Settings of the balance job."""
        return BalanceSettings.from_config(self.config)

    @cached_property
    def merge_settings(self) -> MergeSettings:
        """Settings of the merge_scalers job."""
        return MergeSettings(rules=self.config.scaling_rules, strict=self.config.strict)

    def summary(self) -> str:
        """Say in a few lines what there is to do."""
        lines = [
            f"{name}: {len(files)} files in {sum(b.sample == name for b in self.batches)} batches"
            f"{f', {self.checksums[name]}' if name in self.checksums else ''}"
            for name, files in self.files.items()
        ]
        variables = ", ".join(f"{len(names)} of {of}" for of, names in self.variables.items())
        parts = ", ".join(f"{output} {len(self.parts(output))}" for output in self.outputs)
        names = ", ".join(variation.split("/")[1] for variation in self.variations)
        return "\n".join(
            [
                *lines,
                f"variables: {variables}, in {len(self.ranges)} ranges; {len(self.config.classes)} classes"
                f" ({', '.join(self.config.classes)})",
                *([f"variations: {names}"] if names else []),
                f"parts: {parts} -> {self.config.output_dir}/",
            ]
        )

    def closing_message(self) -> str:
        """Say where the result is and how to load it, if all of it was asked for."""
        results, formats = self.config.output_dir, self.config.write.formats
        if not Path(results, "manifest.json").exists():
            return f"Done. What was asked for is in {results}/."
        names = ", ".join(self.outputs)
        how = [
            f"{f.title} ({names}):\n    {f.loading.format(results=results, output=self.outputs[0])}"
            for f in (FORMATS[name] for name in formats)
        ]
        plots = (
            f"The plots are in {results}/report/; the same command with `--report report.html` makes one page of them."
        )
        check = f"`python -m jetmill.verify {results}` checks at any time that the files are as the manifest says."
        return "\n\n".join(["Done.", *how, *([plots] if self.config.report.plots else []), check])


# Snakemake asks anew for each job whenever it looks for some to start, and there may be thousands of batches.
@cache
def _megabytes(
    path: Path, changed: int, split: int | None = None, start: int | None = None, stop: int | None = None
) -> float:
    """Return the size of listed batches, or of a split of some of them."""
    batches = _read_once(path, changed)[start:stop]
    shares = (1 if split is None else b.splits[split] / max(1, sum(b.splits)) for b in batches)
    return sum(b.bytes * share for b, share in zip(batches, shares, strict=True)) / 1e6


@lru_cache(maxsize=100)
def _read_once(path: Path, changed: int) -> "list[CleanedBatch]":  # noqa: ARG001
    from jetmill.columns.batch_list import read_batch_list  # and with it h5py, which no plan needs

    try:
        return read_batch_list(path)
    except JetmillError:
        # The job that needs it says what is wrong.
        return []
