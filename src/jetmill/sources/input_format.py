"""What defines an input format."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jetmill.settings.config import Config
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources.chunk import Source


def nothing_wrong(config: Config) -> Iterator[tuple[str, str]]:  # noqa: ARG001
    """Yield no contradiction between keys of the configuration."""
    return iter(())


@dataclass(frozen=True, kw_only=True)
class InputFormat:
    """An input format.

    Attributes
    ----------
    name, description
        For ``input.format``.
    suffix
        Suffix of the files that jetmill makes.
    open
        Opens a path, given the sections ``input`` and ``constituents``. Raises `UnreadableError` for a file that is
        damaged, gone or out of reach, `JetmillError` if it does not hold what the configuration names.
    experiment
        Whose toy jets its files can hold (`jetmill.toys.processes`).
    write_toys
        Writes about so many toy jets of a process to a path, given a generator and the number of the file in its
        sample.
    defaults
        Defaults of ``input`` that differ from those of the section.
    keys, constituent_keys
        Keys of ``input`` and of ``constituents.<name>`` that only some formats know, this one among them.
    remote
        Whether it can open URLs.
    has_events
        Whether it knows which jets belong to the same event, as in trees of events.
    check
        Yields keys that contradict others in a configuration, and what is wrong there.
    """

    name: str
    description: str
    suffix: str
    open: Callable[[str, Input, Mapping[str, Constituents]], AbstractContextManager[Source]]
    experiment: str
    write_toys: Callable[[Path, str, int, np.random.Generator, int], None]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    constituent_keys: tuple[str, ...] = ()
    remote: bool = False
    has_events: Callable[[Input], bool] = lambda _: False
    check: Callable[[Config], Iterator[tuple[str, str]]] = nothing_wrong
