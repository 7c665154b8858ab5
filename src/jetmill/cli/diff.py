"""``jetmill diff``: what differs between two finished runs."""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jetmill.files import read_json
from jetmill.verify import read_manifest

NAME = "diff"
HELP = "show what differs between two finished runs: configuration, input, jets, scalers, files"

# Lines of a part that are printed; --json has all.
LINES = 40
# What a run without some key says of it.
ABSENT = "not there"
# Where results are, and what replaces them once, is not what they are.
NOT_COMPARED = ("output_dir", "replace")

Difference = tuple[Any, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two results and the options."""
    parser.add_argument("old", type=Path, help="directory of a run, or of one of its folds")
    parser.add_argument("new", type=Path, help="directory of the other one")
    parser.add_argument("--json", action="store_true", help="print all differences as JSON, {part: {key: [old, new]}}")
    parser.epilog = "exit code: 0 nothing differs, 1 something does, 2 there is no finished run"


def run(options: argparse.Namespace) -> int:
    """Print the differences; return 1 if there are any, 0 if not."""
    found = differences(options.old, options.new)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join(_lines(found)) or "Nothing differs.")
    return 1 if found else 0


def differences(old: Path, new: Path) -> dict[str, dict[str, Difference]]:
    """Return what differs, by part and key: the old value and the new one, `ABSENT` where there is none.

    Raises
    ------
    JetmillError
        If there is no manifest, or manifest or scalers are damaged.
    """
    parts = [_parts(results) for results in (old, new)]
    found = {}
    for part in parts[0]:
        a, b = (of_run[part] for of_run in parts)
        keys = [*a, *(key for key in b if key not in a)]
        values = {key: (a.get(key, ABSENT), b.get(key, ABSENT)) for key in keys}
        if changed := {key: pair for key, pair in values.items() if pair[0] != pair[1]}:
            found[part] = changed
    return found


def _parts(results: Path) -> dict[str, dict[str, Any]]:
    """Return what is compared of a run, by part and key."""
    manifest = read_manifest(results)
    config = {key: value for key, value in manifest["config"].items() if key not in NOT_COMPARED}
    jets = manifest["jets"] | {"cutflow": dict(manifest["jets"]["cutflow"])}
    entries = [entry for kind in ("joined", "outputs", "tables") for entry in manifest[kind]]
    return {
        "versions": dict(_flat({key: manifest[key] for key in ("jetmill", "commit", "python", "packages")})),
        "configuration": dict(_flat(config)),
        # Remote files have no hash.
        "input": {f"{e['sample']}: {e['path']}": e.get("sha256") or e.get("size") for e in manifest["inputs"]},
        "jets": dict(_flat(jets | {"constituents": manifest["constituents"]})),
        "warnings": dict.fromkeys(manifest["warnings"], "yes"),
        "scalers": dict(_flat(_without_warnings(read_json(results / "scalers.json")))),
        "files": {entry["path"]: entry["sha256"] for entry in entries},
    }


def _without_warnings(scalers: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        of: {name: {k: v for k, v in scaler.items() if k != "warnings"} for name, scaler in variables.items()}
        for of, variables in scalers.items()
    }


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested dictionaries, as ``jets.define.x``."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _lines(found: Mapping[str, Mapping[str, Difference]]) -> Iterator[str]:
    for part, pairs in found.items():
        yield f"{part}:"
        for key, (old, new) in list(pairs.items())[:LINES]:
            yield f"  {key}: {_change(old, new)}"
        if len(pairs) > LINES:
            yield f"  and {len(pairs) - LINES} more (--json has all)"


def _change(old: Any, new: Any) -> str:
    """Return two values in one phrase: what a list has lost and won, how much a number has grown."""
    if isinstance(old, list) and isinstance(new, list):
        lost, won = ([x for x in a if x not in b] for a, b in ((old, new), (new, old)))
        changes = [f"- {_text(x)}" for x in lost] + [f"+ {_text(x)}" for x in won]
        return ", ".join(changes) or "in another order"
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (old, new))
    growth = f" ({(new - old) / abs(old):+.2%})" if numbers and old else ""
    return f"{_text(old)} -> {_text(new)}{growth}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        # Of a hash or a commit the beginning is enough.
        return value[:12] if len(value) >= 40 and all(c in "0123456789abcdef" for c in value[:40]) else value
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value)
