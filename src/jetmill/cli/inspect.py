"""``jetmill inspect``: what is in a file."""

import argparse
import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from jetmill.errors import JetmillError, nearest
from jetmill.inspection.guesses import Guess, guess
from jetmill.inspection.tables import Table, open_tables
from jetmill.inspection.values import Summary

NAME = "inspect"
HELP = "show what a ROOT or HDF5 file holds: trees, collections, values of variables, and what looks like the jets"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add file and pattern."""
    parser.add_argument("file", help="a file, or its URL (root://, https://)")
    text = "variables to show, such as 'Jet_*' or 'tracks/*' (default: those of the jets)"
    parser.add_argument("pattern", nargs="?", help=text)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(options: argparse.Namespace) -> int:
    """Print what the file holds."""
    with open_tables(options.file) as tables:
        found = guess(tables)
        chosen = _chosen(options.file, tables, options.pattern, found)
        if options.json:
            text = json.dumps(_as_json(options.file, tables, found, chosen), indent=1)
        else:
            lines = [line for table, names in chosen for line in ("", *_variables(table, names))]
            text = "\n".join([*_overview(options.file, tables, found), *lines])
    print(text)
    return 0


def _chosen(
    path: str, tables: Sequence[Table], pattern: str | None, found: Guess | None
) -> list[tuple[Table, list[str]]]:
    """Return the variables to look at."""
    if pattern is None:
        if found is None:
            return []
        (table,) = [table for table in tables if table.name == found.table]
        jets = "" if table.kind == "dataset" else found.jets
        return [(table, [v.name for v in table.variables.values() if v.collection == jets])]
    chosen = [
        (table, [n for n in table.variables if fnmatchcase(n, pattern) or fnmatchcase(f"{table.name}/{n}", pattern)])
        for table in tables
    ]
    if not any(names for _, names in chosen):
        known = {name for table in tables for name in table.variables}
        raise JetmillError(f"{path}: no variable matches '{pattern}'.{nearest(pattern, known)}")
    return [(table, names) for table, names in chosen if names]


def _overview(path: str, tables: Sequence[Table], found: Guess | None) -> Iterator[str]:
    yield path
    for table in tables:
        shape = " x ".join(f"{n:,}" for n in table.shape)
        unit = "rows" if table.kind == "dataset" else "entries"
        yield f"  {table.kind} {table.name}: {shape} {unit}, {len(table.variables)} variables"
        named = {name: len(of) for name, of in table.collections.items() if name}
        if found and table.name == found.table and named:
            shown = ", ".join(f"{name} ({n})" for name, n in list(named.items())[:12])
            more = f" and {len(named) - 12} more" if len(named) > 12 else ""
            yield f"    collections: {shown}{more}"
    yield ""
    if found is None:
        yield "No jets found: no collection has a pt and an eta."
        return
    entry = "an event" if found.level == "event" else "a jet"
    yield f"It looks like {found.layout}. An entry of '{found.table}' is {entry}."
    yield f"  jets          {found.jets}"
    for role, name in found.roles.items():
        yield f"  {role:13} {name}"
    yield f"  event         {', '.join(found.event_id) or 'not identified'}"
    for constituents in found.constituents:
        yield f"  constituents  {constituents.variables}: {constituents.link}"


def _variables(table: Table, names: Sequence[str]) -> Iterator[str]:
    width = min(48, max(map(len, names)))
    yield f"{table.name}: {len(names)} variables"
    yield f"{'':{width}}  {'type':10} {'lowest':>10} {'highest':>10}  {'histogram':20}  missing"
    for name in names:
        variable = table.variables[name]
        short_type = variable.type if len(variable.type) <= 10 else f"{variable.type[:9]}…"
        try:
            values, n_entries = table.read(name)
        except JetmillError:
            yield f"{name:{width}}  {variable.type}"
            continue
        summary = Summary.of(values)
        low, high = ("" if x is None else f"{x:.4g}" for x in (summary.low, summary.high))
        notes = _notes(summary, n_entries, table.shape[0])
        yield f"{name:{width}}  {short_type:10} {low:>10} {high:>10}  {summary.bars:20}  {notes}".rstrip()


def _notes(summary: Summary, n_entries: int, of: int) -> str:
    """Say what is missing, and what a variable of few values is."""
    notes = []
    if summary.missing:
        notes.append(f"{summary.missing / summary.n:.0%} NaN or infinite")
    notes += [f"{n / summary.n:.0%} are {value:g}: missing?" for value, n in summary.sentinels.items()]
    if summary.distinct == 1:
        notes.append("constant")
    elif len(summary.counts) > 1:
        notes.append(", ".join(f"{value}: {n}" for value, n in summary.counts.items()))
    if n_entries < of:
        notes.append(f"(first {n_entries:,} entries)")
    return "; ".join(notes)


def _as_json(path: str, tables: Sequence[Table], found: Guess | None, chosen: list[tuple[Table, list[str]]]) -> object:
    values: dict[str, dict[str, object]] = {}
    for table, names in chosen:
        for name in names:
            try:
                array, n_entries = table.read(name)
            except JetmillError as error:
                values.setdefault(table.name, {})[name] = {"error": str(error)}
            else:
                values.setdefault(table.name, {})[name] = {"entries": n_entries, **Summary.of(array).as_json()}
    return {
        "file": path,
        "tables": [
            {
                "name": table.name,
                "kind": table.kind,
                "shape": table.shape,
                "variables": {
                    v.name: {"type": v.type, "depth": v.depth, "collection": v.collection}
                    for v in table.variables.values()
                },
            }
            for table in tables
        ],
        "guess": None if found is None else found.as_json(),
        "values": values,
    }
