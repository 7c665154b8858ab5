"""What a run prints at its beginning and its end."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jetmill.formats.registry import loading
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
    """Say how many jets are written, where, and how to load them, if all results were requested."""
    output_dir = plan.config.output_dir
    manifests = [Path(paths.placed(plan, paths.MANIFEST, results)) for results in plan.results]
    if not all(manifest.exists() for manifest in manifests):
        return f"Done. The requested files are in {output_dir}/."
    results = next(iter(plan.results))
    folds = f"; other folds beside it, up to {[*plan.results][-1]}/" if plan.config.split.folds else ""
    return "\n".join(
        [
            f"Done: {written(json.loads(manifests[0].read_text()))} jets in {results}/{folds}",
            *(
                f"{title}: {'; '.join(how.splitlines())}"
                for title, how in loading(plan.config.write.formats, results, plan.outputs[0])
            ),
            *([f"Report: {results}/{PAGE}"] if plan.config.report.plots else []),
            f"Check of the files, at any time: jetmill verify {output_dir}",
        ]
    )


def written(manifest: Mapping[str, Any]) -> str:
    """Return how many jets each output has: 104,128 train, 11,601 val."""
    jets: dict[str, Counter[str]] = {}
    for entry in manifest["outputs"]:
        if "jets" in entry:
            name, output, *_ = Path(entry["path"]).parts
            jets.setdefault(name, Counter())[output] += entry["jets"]
    # All formats have the same jets.
    return ", ".join(f"{n:,} {output}" for output, n in next(iter(jets.values()), {}).items())
