"""The warnings of a run, few enough to be read in a terminal."""

import json
from pathlib import Path

from jetmill.report.warnings import kinds_of

# Kinds of warnings that are shown.
KINDS = 20


def warning_summary(manifest: Path) -> str:
    """Return the warnings in a manifest, one line for those that differ only in names and numbers; "" without any."""
    warnings = json.loads(manifest.read_text())["warnings"]
    lines = [f"- {kind.line}" for kind in kinds_of(warnings)]
    if len(lines) > KINDS:
        lines[KINDS:] = [f"- and {len(lines) - KINDS} more kinds"]
    heading = f"{len(warnings)} warning{'s' * (len(warnings) > 1)}, also in {manifest}:"
    return "\n".join([heading, *lines]) if warnings else ""
