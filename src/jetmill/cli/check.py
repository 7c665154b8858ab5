"""``jetmill check``: what can be known of a run in seconds."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jetmill.balancing.binning import Axis, axes_of
from jetmill.cli.configurations import paths_of
from jetmill.cli.verify import positive
from jetmill.config.user_code import user_code
from jetmill.config.yaml_files import read_merged
from jetmill.errors import JetmillError
from jetmill.formats.registry import FORMATS
from jetmill.inspection.tables import entries
from jetmill.labels import count_classes
from jetmill.plan import Plan
from jetmill.sources.remote import is_remote
from jetmill.trial import JETS, Trial, first_batches, try_batches

NAME = "check"
HELP = "check a configuration, and try it on the first jets of one file of each sample"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the configurations, and how much is tried."""
    text = "configuration, a file or the name of an example; later ones override keys of earlier ones"
    parser.add_argument("config", nargs="+", metavar="CONFIG", help=text)
    text = "how many jets of the file to try (%(default)s); more give better estimates"
    parser.add_argument("--jets", type=positive, default=JETS, metavar="N", help=text)


def run(options: argparse.Namespace) -> int:
    """Print what is wrong, and what a run will do; return 1 if something would stop it, 0 if not."""
    try:
        raw = read_merged(paths_of(options.config))
        if named := user_code(raw):
            print(f"Runs code that the configuration names: {', '.join(named)}")
        plan = Plan.from_raw(raw, jobs_run_here=True)
    except JetmillError as error:
        print(f"The configuration has mistakes:\n{error}")
        return 1
    toys = [name for name, sample in plan.config.samples.items() if sample.toy is not None]
    batches = [(v, batch) for v, batch in first_batches(plan) if batch.sample not in toys]
    trials = try_batches(plan, batches, n_jets=options.jets)
    mistakes = [*trials.mistakes, *(trials.unreadable if plan.config.input.unreadable == "error" else [])]
    if mistakes:
        print("\n".join(["The configuration does not fit the input files:", *mistakes]))
    nominal = [trial for trial in trials.done if not trial.variation]
    for trial in nominal:
        print("\n".join(_of_sample(plan, trial)))
    if toys:
        print(f"{', '.join(toys)}: toys, not tried")
    if nominal:
        if of_bins := list(_of_bins(nominal, axes_of(plan.config.balance.bins))):
            print("\n".join(["", *of_bins]))
        print()
    for warning in [*trials.warnings, *_warnings(plan, nominal)]:
        print(f"warning: {warning}")
    print("\n".join(_expected(plan, nominal)))
    print("The run would stop." if mistakes else "No mistakes found.")
    return 1 if mistakes else 0


def _of_sample(plan: Plan, trial: Trial) -> Iterator[str]:
    """Yield what became of the jets of a sample."""
    n_files, how = len(plan.files[trial.sample]), "all" if trial.read_all else "the first"
    of = f"{trial.path}, one of {n_files} file{'s' * (n_files > 1)}"
    yield f"{trial.sample}: {how} {trial.counts.flow[0]} jets of {of}"
    for title, left in zip(trial.cutflow, trial.counts.flow.tolist(), strict=True):
        yield f"{left:12d} jets  {title}"
    per_class = count_classes(trial.labels, list(plan.config.classes))
    yield " " * 14 + ", ".join(f"{name} {n}" for name, n in per_class.items())
    for name, (read, selected, kept) in trial.counts.constituents.items():
        yield f"{read:12d} {name}, {selected} selected, {selected - kept} truncated"


def _of_bins(trials: Sequence[Trial], axes: Sequence[Axis]) -> Iterator[str]:
    """Yield the bins against the jets of all samples."""
    for axis in axes:
        values = np.concatenate([trial.values[axis.variable] for trial in trials if trial.values])
        edges, there = axis.edges, values[np.isfinite(values)]
        span = f"jets {there.min():g} to {there.max():g}" if len(there) else "no jets"
        empty = int((np.histogram(there, edges)[0] == 0).sum())
        n_outside = int((~axis.holds(values)).sum())
        yield (
            f"bins of {axis.variable}: {edges[0]:g} to {edges[-1]:g}, {span}"
            + f"; {n_outside} of {len(values)} jets are outside" * (n_outside > 0)
            + f"; {empty} of {len(axis)} bins are empty" * (empty > 0)
        )


def _warnings(plan: Plan, trials: Sequence[Trial]) -> Iterator[str]:
    """Yield what may be wrong, though a few jets cannot tell."""
    classes: Counter[str] = Counter()
    for trial in trials:
        classes.update(count_classes(trial.labels, list(plan.config.classes)))
        if not len(trial.labels):
            yield f"no jet of {trial.path} passes the cuts"
    strict = ", unless strict is false" if plan.config.strict else ""
    if trials and (absent := [name for name in plan.config.classes if not classes[name]]):
        stops = f"; a run that has none stops{strict}" if strict else ""
        yield f"no jets of class {', '.join(absent)} among those tried{stops}"
    for name in plan.config.jets.variables:
        values = np.concatenate([trial.values[name] for trial in trials if trial.values] or [np.empty(0)])
        missing = ~np.isfinite(values)
        if len(values) and missing.all():
            stops = f"; a run where it always is stops{strict}" if strict else ""
            yield f"variable '{name}' is missing for all jets tried{stops}"
        elif 2 * missing.sum() > len(values):
            yield f"variable '{name}' is missing for {missing.sum():,} of {len(values):,} jets tried"
        elif len(values) > 1 and np.ptp(values[~missing]) == 0:
            yield f"variable '{name}' is {values[~missing][0]:g} for all jets tried"


def _expected(plan: Plan, trials: Sequence[Trial]) -> Iterator[str]:
    """Yield how many jobs a run has, and, if something of every sample could be tried, about how large it is."""
    variations, formats = ["", *plan.variations], plan.config.write.formats
    n_parts = sum(
        len(plan.parts(output)) if FORMATS[name].suffix else 1
        for v in variations
        for name in formats
        for output in plan.outputs_of(v)
    )
    jobs = {
        "clean": len(plan.batches) * len(variations),
        "bin_jets": len(plan.bin_groups),
        "fit_scalers": len(plan.ranges),
        "write": n_parts,
    }
    n_files = sum(map(len, plan.files.values()))
    n_remote = sum(map(is_remote, (path for paths in plan.files.values() for path in paths)))
    yield (
        f"A run: {n_files} file{'s' * (n_files > 1)}{f', {n_remote} of them on servers' if n_remote else ''}; jobs: "
        + ", ".join(f"{n} {rule}" for rule, n in jobs.items())
        + f", and about ten more -> {plan.config.output_dir}/"
    )
    if {trial.sample for trial in trials} != set(plan.files) or not all(len(trial.labels) for trial in trials):
        return
    jets = {trial.sample: len(trial.labels) * _times(plan, trial) for trial in trials}
    bytes_of = {t.sample: sum(x.nbytes for x in t.columns.values()) / len(t.labels) for t in trials}
    cleaned = sum(n * bytes_of[sample] for sample, n in jets.items())
    share = np.average([t.training.mean() for t in trials], weights=list(jets.values()))
    n_jets, most = sum(jets.values()), cleaned * len(variations)
    yield (
        f"About {_about(n_jets)} jets kept; {_about(most, 'B')} of cleaned columns;"
        f" {_about(n_jets * _row_bytes(plan), 'B')} of output in each format, before compression and resampling"
    )
    memory = max(FORMATS[name].memory for name in formats)
    part = 7e8 + memory * cleaned * share / len(plan.parts("train"))
    more = "; a larger write.parts.train lowers it" if part > 4e9 else ""
    yield f"A clean job asks for 1.5 GB of memory, a part of train for {_about(part, 'B')}{more}"


def _times(plan: Plan, trial: Trial) -> float:
    """Return how many times the jets of a trial a sample has: by entries in the file, and by sizes of the files."""
    files = plan.files[trial.sample]
    there = entries(trial.path, plan.config.input.tree, plan.config.input.jets)
    sizes = [1 if is_remote(path) else Path(path).stat().st_size for path in files]
    n_files = sum(sizes) / sizes[files.index(trial.path)]
    most = plan.config.input.max_jets_per_file
    in_file = 1.0 if trial.entries == 0 or there is None else there / trial.entries
    return n_files * (in_file if most is None else min(in_file, most / max(1, int(trial.counts.flow[0]))))


def _row_bytes(plan: Plan) -> int:
    """Return about what a jet takes in a finished file: values, whether they are missing, labels and weights."""
    config = plan.config
    size = np.dtype(config.write.precision).itemsize + 1
    of_constituents = sum(c.max * (1 + size * len(c.variables)) for c in config.constituents.values())
    return 40 + size * len(config.jets.variables) + of_constituents


def _about(x: float, unit: str = "") -> str:
    """Return a number in about two digits: 1.2 M."""
    factor, prefix = next(((f, p) for f, p in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")) if x >= f), (1.0, ""))
    value = x / factor
    return f"{value:.1f} {prefix}{unit}" if factor > 1 and value < 10 else f"{value:.0f} {prefix}{unit}".rstrip()
