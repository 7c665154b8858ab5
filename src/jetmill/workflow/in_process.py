"""A whole run in one process, without Snakemake: for notebooks, and for tests."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jetmill.balancing.selection import PartSpec
from jetmill.columns.batch_list import read_batch_list
from jetmill.errors import JetmillError
from jetmill.formats.content.part import Part
from jetmill.formats.registry import FORMATS
from jetmill.plan import Plan
from jetmill.stages.balance import balance
from jetmill.stages.bin_jets import bin_jets
from jetmill.stages.clean import clean_batch
from jetmill.stages.export import export
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.stages.join import join_outputs
from jetmill.stages.list_batches import list_batches
from jetmill.stages.make_toy import write_toy_file
from jetmill.stages.merge_scalers import merge_scalers
from jetmill.stages.write import write
from jetmill.stages.write_card import write_card
from jetmill.stages.write_manifest import write_manifest
from jetmill.workflow import paths
from jetmill.workflow.earlier_results import check_samples


def run_in_process(raw: Mapping[str, Any], *, first: str = "make_toys", last: str = "write_manifest") -> Path:
    """Run all jobs except the plots, or those from `first` to `last` (`STAGES`); return the directory of the results.

    Finished files are written again. Snakemake does not know of them, so a run of it starts from the beginning. Raises
    JetmillError for a mistake in the configuration or in the input files, and for results of other samples.
    """
    plan = Plan.from_raw(raw, jobs_run_here=True)
    if unknown := [name for name in (first, last) if name not in STAGES]:
        raise JetmillError(f"no stage '{unknown[0]}'; there are {', '.join(STAGES)}")
    if not plan.config.replace:
        check_samples(plan.config.output_dir, plan.files)
    names = list(STAGES)
    for name in names[names.index(first) : names.index(last) + 1]:
        for results in plan.results if name not in ONCE else [plan.config.output_dir]:
            STAGES[name](plan, results)
    return Path(plan.config.output_dir)


def _at(plan: Plan, results: str, path: str, **wildcards: str) -> str:
    return paths.placed(plan, path.format(**wildcards) if wildcards else path, results)


def _all_at(plan: Plan, results: str, files: list[str]) -> list[str]:
    return [paths.placed(plan, path, results) for path in files]


def _make_toys(plan: Plan, _: str) -> None:
    for sample, settings in plan.config.samples.items():
        for number, path in enumerate(plan.files[sample] if settings.toy is not None else []):
            assert settings.toy is not None
            write_toy_file(
                path,
                plan.config.input.format,
                process=settings.toy.process,
                n_jets=settings.toy.jets,
                seed=plan.config.seed,
                sample=sample,
                number=number,
            )


def _clean(plan: Plan, results: str) -> None:
    for variation, settings in plan.cleaning.items():
        for batch in plan.batches:
            path = _at(plan, results, paths.CLEANED, variation=variation, sample=batch.sample, batch=batch.number)
            clean_batch(batch, path, settings)


def _list_batches(plan: Plan, results: str) -> None:
    for variation in plan.cleaning:
        batches = _all_at(plan, results, paths.batch_files(plan, variation))
        of_results = plan.results.items()
        list_batches(batches, {_at(plan, r, paths.BATCHES, variation=variation): groups for r, groups in of_results})


def _bin_jets(plan: Plan, results: str) -> None:
    batches = read_batch_list(_at(plan, results, paths.NOMINAL_BATCHES))
    for group, settings in plan.bin_settings.items():
        bin_jets(batches[slice(*settings.batches)], _at(plan, results, paths.BINS, group=group), settings)


def _balance(plan: Plan, results: str) -> None:
    batches, binned = (
        read_batch_list(_at(plan, results, paths.NOMINAL_BATCHES)),
        _all_at(plan, results, paths.bin_files(plan)),
    )
    applied = next(iter(paths.applied_balance(plan)), None)
    balance(batches, binned, _at(plan, results, paths.BALANCE), plan.balance_settings, applied=applied)


def _fit_scalers(plan: Plan, results: str) -> None:
    if plan.config.apply is not None:
        return
    batches = read_batch_list(_at(plan, results, paths.NOMINAL_BATCHES))
    tables = _at(plan, results, paths.BALANCE) if plan.scalers_need_balance else None
    for path, settings in zip(_all_at(plan, results, paths.range_files(plan)), plan.fit_settings, strict=True):
        fit_scalers(batches, path, settings, balance_path=tables)


def _merge_scalers(plan: Plan, results: str) -> None:
    merge_scalers(
        _all_at(plan, results, paths.range_files(plan)), _at(plan, results, paths.SCALERS), plan.merge_settings
    )


def _export(plan: Plan, results: str) -> None:
    if not paths.exports(plan):
        return
    export(
        PartSpec.from_batch_list(_at(plan, results, paths.NOMINAL_BATCHES), "train", (0, 1)),
        _all_at(plan, results, paths.range_files(plan)),
        *_all_at(plan, results, [paths.SCALERS, paths.BALANCE, *paths.EXPORTS.values()]),
        labels=plan.weighted_labels,
        jets_name=plan.config.jets.name,
    )


def _write(plan: Plan, results: str) -> None:
    formats = plan.config.write.formats
    # Formats that others are made from come first.
    wanted = dict.fromkeys([name for f in formats for name in (FORMATS[f].made_from, f) if name])
    for variation in plan.cleaning:
        for name in wanted:
            _write_format(plan, results, variation, name)
    scalers, tables = _at(plan, results, paths.SCALERS), _at(plan, results, paths.BALANCE)
    for path in paths.cards(plan):
        card = path.removeprefix("<results>/")
        write_card(card, _at(plan, results, path), scalers, tables, plan.card_settings, results)


def _write_format(plan: Plan, results: str, variation: str, name: str) -> None:
    found, options = FORMATS[name], plan.write_options(name)
    for output in plan.outputs_of(variation):
        for part in plan.parts(output) if found.suffix else [""]:
            target = _at(plan, results, f"<results>/{variation}{found.part_path(output, part)}")
            path = paths.source_file(name, output, part, variation)
            source = _part(plan, results, variation, output, part) if path is None else _at(plan, results, path)
            write(name, source, target, options)
    joined = {output: _at(plan, results, path) for output, path in paths.joined_files(plan, name, variation).items()}
    parts = {
        output: _all_at(plan, results, paths.part_files(plan, name, output, variation=variation)) for output in joined
    }
    if joined:
        join_outputs(parts, joined, plan.join_settings[name])


def _part(plan: Plan, results: str, variation: str, output: str, part: str) -> Part:
    batches = _at(plan, results, paths.BATCHES, variation=variation)
    spec = PartSpec.from_batch_list(batches, output, plan.slice_of_keys(output, part), plan.sources(part))
    return Part.read(spec, _at(plan, results, paths.BALANCE), _at(plan, results, paths.SCALERS), plan.config.content)


def _write_manifest(plan: Plan, results: str) -> None:
    scalers, tables = _at(plan, results, paths.SCALERS), _at(plan, results, paths.BALANCE)
    write_manifest(
        read_batch_list(_at(plan, results, paths.NOMINAL_BATCHES)),
        tables,
        _all_at(plan, results, paths.data_files(plan)),
        _at(plan, results, paths.MANIFEST),
        config=plan.manifest_settings.config,
        scalers=scalers,
        class_weights=next(iter(_all_at(plan, results, paths.class_weights(plan))), None),
        joined=_all_at(plan, results, paths.all_joined_files(plan)),
        tables=[scalers, *_all_at(plan, results, paths.exports(plan)), tables],
        user_files=plan.manifest_settings.user_files,
        fold=Path(results).name if plan.config.split.folds else "",
    )


# For all folds together.
ONCE = ("make_toys", "clean", "list_batches")


STAGES: dict[str, Callable[[Plan, str], None]] = {
    "make_toys": _make_toys,
    "clean": _clean,
    "list_batches": _list_batches,
    "bin_jets": _bin_jets,
    "balance": _balance,
    "fit_scalers": _fit_scalers,
    "merge_scalers": _merge_scalers,
    "export": _export,
    "write": _write,
    "write_manifest": _write_manifest,
}
