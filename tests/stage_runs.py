"""A whole run without Snakemake."""

from pathlib import Path

from written_files import write_format

from jetmill.balancing.selection import PartSpec
from jetmill.columns.batch_list import read_batch_list, write_batch_list
from jetmill.plan import Plan
from jetmill.stages.balance import balance
from jetmill.stages.bin_jets import bin_jets
from jetmill.stages.clean import clean_batch
from jetmill.stages.export import export
from jetmill.stages.fit_scalers import fit_scalers
from jetmill.stages.merge_scalers import merge_scalers

STAGES = ("clean", "list_batches", "bin_jets", "balance", "fit_scalers", "merge_scalers", "write")


def run_stages(raw, formats=(), *, start="clean"):
    """Run all stages from `start` on, as the workflow does, in this process; return the directory of the results."""
    plan = Plan.from_raw(raw)
    c, out = plan.config, plan.config.output_dir
    to_run = STAGES[STAGES.index(start) :]

    def at(path):
        return str(path).replace("<results>", out)

    if "clean" in to_run:
        for b in plan.batches:
            cleaned = at(f"<results>/clean/{b.sample}/batch_{b.number}.h5")
            options = {"sample": b.sample, "first_file": b.first_file, "checksums": b.checksums}
            clean_batch(b.files, cleaned, settings=c.cleaning, **options)
    listed, binned = at("<results>/clean/batches.json"), at("<results>/bins/0000.h5")
    if "list_batches" in to_run:
        write_batch_list([at(p) for p in plan.batch_files()], listed)
    in_list = read_batch_list(listed)
    sources, types = [(b.sample, b.path) for b in in_list], in_list[0].types
    if "bin_jets" in to_run:
        bin_jets(sources, binned, plan.bin_settings["0000"], types=types)
    scalers, balanced = at("<results>/scalers.json"), at("<results>/balance.h5")
    if "balance" in to_run:
        balance(sources, [binned], balanced, plan.balance_settings, types=types)
    ranges = [at(f"<results>/scalers/range_{k}.json") for k in plan.range_numbers]
    if "fit_scalers" in to_run:
        for path, settings in zip(ranges, plan.fit_settings, strict=True):
            tables = balanced if plan.scalers_need_balance else None
            fit_scalers(sources, path, settings, balance_path=tables, types=types)
    if "merge_scalers" in to_run:
        merge_scalers(ranges, scalers, plan.merge_settings)
    for name in ("hdf5", *(name for name in formats if name != "hdf5")):
        write_format(plan, name, at)
    exported = [at(f"<results>/{n}") for n in ("scale_dict.json", "norm_dict.yaml", "class_dict.yaml")]
    export(
        PartSpec.from_batch_list(listed, "train", (0, 1)),
        ranges,
        scalers,
        balanced,
        *exported,
        labels=plan.weighted_labels,
    )
    return Path(out)
