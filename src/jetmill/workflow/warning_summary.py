"""The warnings of a run, few enough to be read in a terminal."""

import json
import re
from pathlib import Path

# Kinds of warnings that are shown, and names in one of them.
KINDS, NAMES = 20, 5
_NAME = re.compile(r"'[^']+'")


def warning_summary(manifest: Path) -> str:
    """Return the warnings in a manifest, one line for those that differ only in names and numbers; "" without any."""
    warnings = json.loads(manifest.read_text())["warnings"]
    kinds: dict[str, list[str]] = {}
    for text in warnings:
        kinds.setdefault(re.sub(r"\d+", "#", _NAME.sub("''", text)), []).append(text)
    lines = [f"- {alike[0]}{_others(alike[1:])}" for alike in kinds.values()]
    if len(lines) > KINDS:
        lines[KINDS:] = [f"- and {len(lines) - KINDS} more kinds"]
    heading = f"{len(warnings)} warning{'s' * (len(warnings) > 1)}, also in {manifest}:"
    return "\n".join([heading, *lines]) if warnings else ""


def _others(alike: list[str]) -> str:
    if not alike:
        return ""
    names = [found[0] for text in alike if (found := _NAME.search(text))]
    shown = names[:NAMES]
    more = f"{len(alike) - len(shown)} more" if len(alike) > len(shown) else ""
    return f" (and {', '.join(shown)}{' and ' * bool(shown and more)}{more})"
