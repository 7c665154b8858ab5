"""The jobs of a run before anything runs: files, batches, ranges of variables, parts and their settings."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import PurePath
from typing import Any

from jetmill.balancing.table_size import table_numbers
from jetmill.config.load import as_json, load, readable_samples
from jetmill.config.sizes import excesses
from jetmill.errors import JetmillError
from jetmill.formats.registry import FORMATS
from jetmill.inputs.checksum_lists import Checksums, find_checksums
from jetmill.inputs.files import find_files, remote_files
from jetmill.packages import COMPRESSION, NETWORKS, PROTOCOLS, Package
from jetmill.settings.balance import table_file
from jetmill.settings.clean import CleanSettings, InputBatch
from jetmill.settings.config import Config
from jetmill.settings.figures import FigureSettings
from jetmill.settings.scaling import TARGETS
from jetmill.settings.stages import (
    BalanceSettings,
    BinSettings,
    CardSettings,
    FitSettings,
    JoinSettings,
    ManifestSettings,
    MergeSettings,
)
from jetmill.sources.registry import INPUT_FORMATS
from jetmill.sources.remote import is_remote, protocol_of
from jetmill.splitting import EACH_ITS_OWN, SPLITS, TEST_OF, VAL_RESAMPLED, Groups, groups_of_role, samples_of, split_of

# A job that counts a few small batches takes longer to start than to run.
FILES_PER_BIN_JOB = 50


class Plan:
    """The work that a configuration asks for.

    With `jobs_run_here`, jobs have the packages that are installed here, and missing ones are errors.

    Raises
    ------
    JetmillError
        With one line per problem: input files, checksums, packages.
    """

    def __init__(self, config: Config, *, jobs_run_here: bool = False):
        self.config = config
        input_format = INPUT_FORMATS[config.input.format]
        self.toy_suffix = input_format.suffix
        self.files, problems = find_files(config.samples, f"{config.output_dir}/toy/{{}}_{{:04d}}.{self.toy_suffix}")
        self.files = {name: paths[: config.input.max_files] for name, paths in self.files.items()}
        if not input_format.remote:
            problems += remote_files(self.files, input_format.name)
        self.checksums, more = find_checksums(config.samples, self.files)
        problems += more
        if jobs_run_here:
            problems += [str(package) for package in self._packages() if not package.installed]
        if problems:
            raise JetmillError("\n".join(problems))

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any], *, jobs_run_here: bool = False) -> "Plan":
        """Check a configuration and its files together, so that one JetmillError reports all mistakes, one per line."""
        try:
            config = load(raw)
        except JetmillError as error:
            # Oversized configurations are not examined further.
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
    def results(self) -> dict[str, dict[str, Groups]]:
        """Directories of results, that of the run or one for each fold.

        With the groups of rows that the splits of samples are made of there, where these are not groups of their own.
        """
        found = {}
        for name, groups in self.config.split.results.items():
            of_samples = {
                sample: groups_of_role(groups, settings.splits) for sample, settings in self.config.samples.items()
            }
            directory = str(PurePath(self.config.output_dir, name))
            found[directory] = {sample: own for sample, own in of_samples.items() if own != EACH_ITS_OWN}
        return found

    @cached_property
    def batches(self) -> list[InputBatch]:
        """All batches, sample by sample."""
        size = self.config.input.files_per_batch
        return [
            InputBatch(
                sample,
                f"{start // size:04d}",
                files,
                start,
                self._checksums_of(sample, files),
                self.config.samples[sample].truth,
            )
            for sample, of_sample in self.files.items()
            for start in range(0, len(of_sample), size)
            for files in [tuple(of_sample[start : start + size])]
        ]

    def _checksums_of(self, sample: str, files: tuple[str, ...]) -> dict[str, Checksums]:
        return {path: self.checksums[sample].of[path] for path in files} if sample in self.checksums else {}

    @cached_property
    def _batch(self) -> dict[tuple[str, str], InputBatch]:
        return {(b.sample, b.number): b for b in self.batches}

    def batch(self, sample: str, number: str) -> InputBatch:
        """Return one batch."""
        return self._batch[sample, number]

    def local_files(self, sample: str, number: str) -> list[str]:
        """Return the files of a batch that are not read from a server."""
        return [path for path in self.batch(sample, number).files if not is_remote(path)]

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
        """Inputs of jets and of each collection of constituents, and targets."""
        jets, constituents = self.config.jets, self.config.constituents
        targets = {TARGETS: jets.targets} if jets.targets else {}
        return {jets.name: jets.variables} | {name: c.variables for name, c in constituents.items()} | targets

    @property
    def scalers_need_balance(self) -> bool:
        """Whether scalers are fitted to written jets, and these are not simply all training jets, each once."""
        balance = self.config.balance
        all_once = not balance.resampling.resamples and balance.outside == "error"
        return self.config.scaling.fit_on == "written" and not all_once

    @property
    def outputs(self) -> tuple[str, ...]:
        """The requested finished files: one per split, or sample for testing, and resampled validation jets."""
        outputs = self._per_sample([split for split in SPLITS if split in self.config.write.outputs])
        return (*outputs, VAL_RESAMPLED) if self.config.balance.resampling.validation else outputs

    def _per_sample(self, splits: Sequence[str]) -> tuple[str, ...]:
        """Return splits, with an output for each sample in place of test if so asked, or beside it without truth."""
        samples, per_sample = self.config.samples, self.config.write.test_per_sample
        test = [
            *(["test"] if not per_sample and any(self.samples_with_truth.values()) else []),
            *(TEST_OF + n for n, s in samples.items() if "test" in s.splits and (per_sample or not s.truth)),
        ]
        return tuple(o for split in splits for o in (test if split == "test" else [split]))

    @property
    def samples_with_truth(self) -> dict[str, bool]:
        """All samples, and whether their jets have classes."""
        return {name: sample.truth for name, sample in self.config.samples.items()}

    @cached_property
    def range_numbers(self) -> list[str]:
        """Numbers of the ranges, with leading zeros."""
        return [f"{number:02d}" for number in range(len(self.ranges))]

    def parts(self, output: str) -> list[str]:
        """Return the numbers of the parts of an output, with leading zeros."""
        by_batch = self.config.write.shuffle == "batch"
        samples = samples_of(output, self.samples_with_truth)
        n_batches = sum(batch.sample in samples for batch in self.batches)
        n = n_batches if by_batch else getattr(self.config.write.parts, split_of(output))
        return [f"{number:04d}" for number in range(n)]

    @property
    def variations(self) -> list[str]:
        """Directories of the variations, below that of the results: ``variations/<name>/``."""
        systematics = self.config.systematics
        return [] if systematics is None else [f"variations/{of.name}/" for of in systematics.variations]

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
        return self._per_sample(systematics.outputs) if variation and systematics is not None else self.outputs

    @property
    def weighted_labels(self) -> dict[str, dict[str, int]]:
        """Collection to the labels of constituents that get class weights, each with its number of values."""
        of_all = {name: c.label_classes for name, c in self.config.constituents.items() if c.label_classes}
        return {name: {label: len(values) for label, values in labels.items()} for name, labels in of_all.items()}

    def sources(self, part: str) -> slice:
        """Return which batches a part is drawn from: all of them, or its own."""
        number = int(part)
        return slice(number, number + 1) if self.config.write.shuffle == "batch" else slice(None)

    @cached_property
    def bin_groups(self) -> dict[str, slice]:
        """The batches whose jets one bin_jets job counts, about as many files as a large batch has."""
        size = max(1, FILES_PER_BIN_JOB // self.config.input.files_per_batch)
        starts = range(0, len(self.batches), size)
        return {f"{number:04d}": slice(start, start + size) for number, start in enumerate(starts)}

    def slice_of_keys(self, output: str, part: str) -> tuple[int, int]:
        """Return which range of keys a part takes from its batches: its number, of how many."""
        return (0, 1) if self.config.write.shuffle == "batch" else (int(part), len(self.parts(output)))

    @property
    def table_numbers(self) -> int:
        """How many numbers a table of the bins has."""
        return table_numbers(self.config.balance.bins, len(self.config.classes))

    def write_options(self, format_name: str) -> dict[str, Any]:
        """Return the keys of ``write`` that the files of a format depend on."""
        return {key: getattr(self.config.write, key) for key in FORMATS[format_name].options}

    @cached_property
    def join_settings(self) -> dict[str, JoinSettings]:
        """Settings of the join job of each format that joins its parts."""
        write, config = self.config.write, json.dumps(self.manifest_settings.config)
        return {
            name: JoinSettings(
                merge=write.merge,
                compression=write.compression,
                attributes={"config": config} if found.keeps_config else {},
            )
            for name, found in FORMATS.items()
            if found.joined is not None
        }

    @cached_property
    def manifest_settings(self) -> ManifestSettings:
        """Settings of the write_manifest job."""
        files = {path: digest for settings in self.cleaning.values() for path, digest in settings.files.items()}
        tables = {
            table_file(w["table"])[0]: w["sha256"] for w in self.balance_settings.weights.values() if "table" in w
        }
        return ManifestSettings(config=as_json(self.config), user_files=files | tables)

    @property
    def card_settings(self) -> CardSettings:
        """Settings of the write_card jobs."""
        return CardSettings(outputs=self.outputs, config=self.manifest_settings.config)

    @cached_property
    def figure_settings(self) -> FigureSettings:
        """Settings of all figures."""
        return FigureSettings.from_config(self.config)

    @cached_property
    def fit_settings(self) -> list[FitSettings]:
        """Settings of the fit_scalers job of each range."""
        rules = self.config.scaling_rules
        jets_name = self.config.jets.name
        return [FitSettings.from_rules(of, variables, rules[of], jets_name) for of, variables in self.ranges]

    @cached_property
    def bin_settings(self) -> dict[str, BinSettings]:
        """Settings of the bin_jets job of each group of batches."""
        return {name: BinSettings.from_config(self.config, batches) for name, batches in self.bin_groups.items()}

    @cached_property
    def balance_settings(self) -> BalanceSettings:
        """Settings of the balance job."""
        largest = self.config.write.max_jets_test
        outputs = dict.fromkeys(output for v in ("", *self.variations) for output in self.outputs_of(v))
        of_test = [output for output in outputs if split_of(output) == "test"]
        return BalanceSettings.from_config(self.config, {} if largest is None else dict.fromkeys(of_test, largest))

    @cached_property
    def merge_settings(self) -> MergeSettings:
        """Settings of the merge_scalers job."""
        return MergeSettings(
            rules=self.config.scaling_rules,
            strict=self.config.strict,
            applied=self.config.applied_run,
            jets_name=self.config.jets.name,
        )
