"""What a run prints at its beginning and its end."""

from pathlib import Path

from jetmill.formats.registry import FORMATS
from jetmill.plan import Plan
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
            f"parts: {parts} -> {plan.config.output_dir}/",
        ]
    )


def closing_message(plan: Plan) -> str:
    """Say where the results are and how to load them, if all of them were requested."""
    results, formats = plan.config.output_dir, plan.config.write.formats
    if not Path(paths.placed(paths.MANIFEST, results)).exists():
        return f"Done. The requested files are in {results}/."
    names = ", ".join(plan.outputs)
    how = [
        f"{f.title} ({names}):\n    {f.loading.format(results=results, output=plan.outputs[0])}"
        for f in (FORMATS[name] for name in formats)
    ]
    plots = f"The plots are in {results}/report/; the same command with `--report report.html` makes one page of them."
    check = f"`python -m jetmill.verify {results}` checks at any time that the files are as the manifest says."
    return "\n\n".join(["Done.", *how, *([plots] if plan.config.report.plots else []), check])
