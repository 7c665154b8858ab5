"""What a run prints at its beginning and its end."""

from pathlib import Path

from jetmill.formats.registry import FORMATS
from jetmill.plan import Plan
from jetmill.report import PAGE
from jetmill.workflow import paths


def summary(plan: Plan) -> str:
    """Return a short summary of the files, batches, variables and parts of a run."""
    lines = [
        f"{name}: {len(files)} files in {sum(b.sample == name for b in plan.batches)} batches"
        f"{f', {plan.checksums[name]}' if name in plan.checksums else ''}"
        for name, files in plan.files.items()
    ]
    variables = ", ".join(f"{len(names)} of {of}" for of, names in plan.variables.items())
    parts = ", ".join(f"{output} {len(plan.parts(output))}" for output in plan.outputs)
    names = ", ".join(variation.split("/")[1] for variation in plan.variations)
    return "\n".join(
        [
            *lines,
            f"variables: {variables}, in {len(plan.ranges)} ranges; {len(plan.config.classes)} classes"
            f" ({', '.join(plan.config.classes)})",
            *([f"variations: {names}"] if names else []),
            *([f"folds: {plan.config.split.folds}"] if plan.config.split.folds else []),
            f"parts: {parts} -> {plan.config.output_dir}/",
        ]
    )


def closing_message(plan: Plan) -> str:
    """Say where the results are and how to load them, if all of them were requested."""
    output_dir, formats, folds = plan.config.output_dir, plan.config.write.formats, plan.config.split.folds
    manifests = [Path(paths.placed(plan, paths.MANIFEST, results)) for results in plan.results]
    if not all(manifest.exists() for manifest in manifests):
        return f"Done. The requested files are in {output_dir}/."
    results = next(iter(plan.results))
    names = ", ".join(plan.outputs)
    how = [
        f"{f.title} ({names}):\n    {f.loading.format(results=results, output=plan.outputs[0])}"
        for f in (FORMATS[name] for name in formats)
    ]
    plots = f"Report: {results}/{PAGE}"
    more = [f"The other folds are beside it, up to {[*plan.results][-1]}."] if folds else []
    check = f"Check of the files, at any time: python -m jetmill.verify {output_dir}"
    drawn = plan.config.report.plots and not plan.config.apply
    return "\n".join(["Done.", *how, *more, *([plots] if drawn else []), check])
