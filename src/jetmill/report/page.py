"""The page of the report: one file with all tables and figures, from what a finished run left in its directory."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jetmill.files import atomic_write, read_json
from jetmill.formats.files.names import names_in
from jetmill.formats.registry import loading
from jetmill.report import PAGE, TEMPLATE
from jetmill.report.warnings import kinds_of
from jetmill.verify import read_manifest

# Sections of the template with figures; others get one of their own, in front of those about the run.
SECTIONS = (
    *("Samples and cutflow", "Classes", "Spectra", "Resampling"),
    *("Variables", "Correlations", "Spectators as taggers", "Closure of the scaling"),
)
_LAST_LINE = re.compile(r"done in ([\d.]+) s, ([\d.]+) s of CPU, peak memory (\d+) MB\n*$")


@dataclass(frozen=True)
class Sample:
    """A row of the table of samples: input files, of which some may be skipped, and their jets."""

    name: str
    files: int
    skipped: int
    bytes: int
    read: int
    kept: int


@dataclass(frozen=True)
class Jobs:
    """A row of the table of rules: sums of seconds over jobs, the longest, and the largest memory in MB."""

    rule: str
    jobs: int
    seconds: float
    cpu: float
    longest: float
    memory: int


@dataclass(frozen=True)
class Figure:
    """A figure: its text, and the PNG; the PDF lies beside it."""

    name: str
    title: str
    caption: str
    category: str
    png: str


def write_page(results: str | Path) -> Path:
    """Write ``report/index.html`` of a finished run, and return its path.

    Raises
    ------
    JetmillError
        If there is no manifest, or scalers are missing or damaged.
    """
    from jinja2 import Environment, StrictUndefined

    results = Path(results)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["size"] = readable_size
    shown = content(results)
    names = names_in(shown["manifest"]["config"])
    template = environment.from_string(names.say(TEMPLATE.read_text()))
    text, output = template.render(shown), results / PAGE
    with atomic_write(output) as partial:
        partial.write_text(text)
    return output


def content(results: Path) -> dict[str, Any]:
    """Return what the template shows, by name."""
    manifest = read_manifest(results)
    config, jets = manifest["config"], manifest["jets"]
    output_dir = results.resolve().parent if "fold" in manifest else results
    outputs = list(dict.fromkeys(Path(entry["path"]).stem for entry in manifest["joined"])) or ["train"]
    return {
        "results": results,
        "manifest": manifest,
        "configuration": yaml.safe_dump(config, sort_keys=False),
        "samples": samples(manifest["inputs"]),
        "cutflow": [(step, n, n / max(jets["read"], 1)) for step, n in jets["cutflow"]],
        "classes": class_table(jets),
        "constituents": manifest["constituents"],
        "loading": loading(config["write"]["formats"], results, outputs[0]),
        "outputs": [entry for kind in ("joined", "tables", "outputs") for entry in manifest[kind]],
        "jobs": jobs(output_dir / "logs", manifest.get("fold", "")),
        "scalers": read_json(results / "scalers.json"),
        "figures": (drawn := figures(results / "report")),
        "others": list(dict.fromkeys(f.category for f in drawn if f.category not in SECTIONS)),
        "warnings": [(kind.line, Counter(kind.texts)) for kind in kinds_of(manifest["warnings"])],
    }


def samples(inputs: Sequence[Mapping[str, Any]]) -> list[Sample]:
    """Return a row for each sample of the input files of a manifest."""
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for entry in inputs:
        entries.setdefault(entry["sample"], []).append(entry)

    def total(rows: Sequence[Mapping[str, Any]], key: str) -> int:
        return sum(row.get(key) or 0 for row in rows)

    return [
        Sample(name, len(e), sum("skipped" in row for row in e), *(total(e, key) for key in ("size", "jets", "kept")))
        for name, e in entries.items()
    ]


def class_table(jets: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the jets of each class for each split, and those for training if they differ from the cleaned ones."""
    table: dict[str, dict[str, int]] = dict(jets["cleaned"])
    if (written := jets["training after resampling"]) != table["train"]:
        table["train, as written"] = written
    return table


def jobs(logs: Path, fold: str = "") -> list[Jobs]:
    """Return a row for each rule, in the order of their names, from the last lines of the logs of its jobs."""
    rows: dict[str, list[tuple[float, float, int]]] = {}
    for path in sorted(logs.rglob("*.log")):
        found = _LAST_LINE.search(path.read_text(errors="replace"))
        place = path.relative_to(logs).with_suffix("").parts
        if found and (not place[0].startswith("fold_") or place[0] == fold):
            place = place[place[0] == fold :]
            place = place[2 * (place[0] == "variations") :]
            rows.setdefault(place[0], []).append((float(found[1]), float(found[2]), int(found[3])))
    return [
        Jobs(rule, len(of), sum(s for s, _, _ in of), sum(c for _, c, _ in of), max(of)[0], max(m for *_, m in of))
        for rule, of in sorted(rows.items())
    ]


def figures(directory: Path) -> list[Figure]:
    """Return the figures below a directory; each PNG carries its title, caption and category."""
    return list(_figures(directory))


def _figures(directory: Path) -> Iterator[Figure]:
    from PIL import Image

    for path in sorted(directory.glob("*/*.png")):
        with Image.open(path) as image:
            text = {key: str(value) for key, value in image.info.items()}
        name = str(path.relative_to(directory).with_suffix(""))
        keys = ("Title", "Description", "Category")
        title, caption, category = (text.get(key, "") for key in keys)
        yield Figure(name, title, caption, category, b64encode(path.read_bytes()).decode())


def readable_size(n_bytes: float) -> str:
    """Return a size in bytes, kB, MB, GB or TB, with three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 999.5:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
