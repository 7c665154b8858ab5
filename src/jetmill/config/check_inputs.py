"""Sections ``input``, ``constituents`` and ``samples`` against the input format."""

from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

from jetmill.config.problems import Problems
from jetmill.settings.config import Config
from jetmill.sources.registry import INPUT_FORMATS
from jetmill.toys.processes.registry import PROCESSES


def inputs(config: Config) -> Problems:
    """Yield keys of another format, and toys of a process that the format has none of."""
    chosen = INPUT_FORMATS[config.input.format]
    yield from _foreign("input", config.input, chosen.keys, {f.name: f.keys for f in INPUT_FORMATS.values()})
    for name, collection in config.constituents.items():
        keys_of = {f.name: f.constituent_keys for f in INPUT_FORMATS.values()}
        yield from _foreign(f"constituents.{name}", collection, chosen.constituent_keys, keys_of)
    yield from chosen.check(config)
    for name, sample in config.samples.items():
        if sample.toy is not None and chosen.experiment not in PROCESSES[sample.toy.process].spectra:
            there_are = ", ".join(p.name for p in PROCESSES.values() if chosen.experiment in p.spectra)
            what = f"there is no {sample.toy.process} in format {chosen.name}; there are {there_are}"
            yield f"samples.{name}.toy.process", what


def _foreign(place: str, section: Any, own: Iterable[str], keys_of: dict[str, tuple[str, ...]]) -> Problems:
    """Yield the keys of a section that are given, and are for other formats only."""
    for key in fields(section):
        known_to = [name for name, keys in keys_of.items() if key.name in keys]
        default = key.default if key.default_factory is MISSING else key.default_factory()
        if known_to and key.name not in own and getattr(section, key.name) != default:
            yield f"{place}.{key.name}", f"is for format: {' or '.join(known_to)}"
