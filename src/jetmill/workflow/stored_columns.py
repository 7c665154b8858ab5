"""Which columns cleaned batches store, so that dropping or reordering variables reads no input again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jetmill.files import atomic_write
from jetmill.settings.clean import CleanSettings
from jetmill.workflow.made_from import hash_of

# Key of the variables of jets, beside names of collections.
JETS = ""


def keep_stored(cleaning: Mapping[str, CleanSettings], output_dir: str | Path) -> dict[str, CleanSettings]:
    """Return the settings of clean jobs, storing what an earlier run (`record_stored`) stored if that is sufficient.

    `cleaning` are the settings by variation, with the columns that this run needs.
    """
    try:
        recorded = json.loads(_place(output_dir).read_text())
        return {variation: _with(settings, recorded.get(variation)) for variation, settings in cleaning.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Without a valid record, batches are cleaned again.
        return dict(cleaning)


def record_stored(cleaning: Mapping[str, CleanSettings], output_dir: str | Path) -> None:
    """Record which columns the clean jobs of a run store."""
    content = {v: {"rest": _rest(settings), "stored": _stored(settings)} for v, settings in cleaning.items()}
    with atomic_write(_place(output_dir)) as partial:
        partial.write_text(json.dumps(content, indent=1))


def _place(output_dir: str | Path) -> Path:
    return Path(output_dir, ".jetmill", "stored.json")


def _stored(settings: CleanSettings) -> dict[str, list[str]]:
    of_constituents = {name: list(c.variables) for name, c in settings.constituents.items()}
    return {JETS: list(settings.stored_variables), **of_constituents}


def _storing(settings: CleanSettings, stored: Mapping[str, list[str]]) -> CleanSettings:
    constituents = {name: replace(c, variables=tuple(stored[name])) for name, c in settings.constituents.items()}
    return replace(settings, stored_variables=tuple(stored[JETS]), constituents=constituents)


def _rest(settings: CleanSettings) -> str:
    """Return a hash of all but the variables that are stored."""
    without = _storing(settings, {of: [] for of in _stored(settings)})
    return hash_of(without)


def _with(settings: CleanSettings, recorded: Mapping[str, Any] | None) -> CleanSettings:
    if recorded is None or recorded["rest"] != _rest(settings):
        return settings
    needed, stored = _stored(settings), recorded["stored"]
    enough = needed.keys() == stored.keys() and all(set(needed[of]) <= set(stored[of]) for of in needed)
    return _storing(settings, stored) if enough else settings
