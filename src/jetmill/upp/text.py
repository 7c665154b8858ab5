"""The text of a translated configuration: sections in their usual order, with comments."""

from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from jetmill.upp.translation import Translated

WIDTH = 116
COMMENTS = {
    "input": "Energies stay in the units of the dumps.",
    "classes": "The order is the label; salt reads it from the file.",
    "split": "Each jet is in one of training, validation and test.",
    "balance": "Training and validation jets outside the bins are dropped; test jets are all written.",
    "write": "structured: records for salt, as UPP writes them.",
}


def as_text(translated: Translated, origin: str | Path) -> str:
    """Return a configuration as YAML, with its notes in front."""
    head = [f"Translated from {origin} by jetmill import-upp. docs/config.md explains every key."]
    if translated.notes.lines:
        head += ["What has no equivalent here, or differs from UPP:"]
    lines = [line for text in head for line in _comment(text)]
    lines += [line for note in translated.notes.lines for line in _comment(f"- {note}", "  ")]
    for name, section in translated.sections.items():
        if isinstance(section, dict):
            lines.append("")
        lines += _comment(COMMENTS[name]) if name in COMMENTS else []
        lines.append(_dumped({name: section}))
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: str = "") -> list[str]:
    return wrap(text, WIDTH, initial_indent="# ", subsequent_indent=f"# {indent}", break_long_words=False)


class _Dumper(yaml.SafeDumper):
    """Whole numbers without exponent or fraction; nothing is written as a reference."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    tag = "tag:yaml.org,2002:int" if text.lstrip("-").isdecimal() else "tag:yaml.org,2002:float"
    return dumper.represent_scalar(tag, text if "e" not in text or "." in text else text.replace("e", ".0e"))


_Dumper.add_representer(float, _number)


def _dumped(section: dict[str, Any]) -> str:
    plain = not isinstance(next(iter(section.values())), dict)
    style = False if plain else None
    return yaml.dump(
        section, Dumper=_Dumper, default_flow_style=style, sort_keys=False, width=WIDTH, allow_unicode=True
    ).rstrip()
