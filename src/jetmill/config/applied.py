"""The finished run that a configuration applies to new files (key ``apply``)."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jetmill.errors import JetmillError, nearest

# Sections that a configuration with `apply` takes from the finished run.
TAKEN = ("input", "jets", "constituents", "classes", "scaling", "balance", "strict")
# Keys of them that may differ, as they change neither inputs, nor weights, nor labels.
FREE = {
    "jets": ("select", "spectators", "additional_labels", "targets"),
    "constituents": ("tree", "aliases", "optional", "labels", "label_classes"),
    "scaling": ("variables_per_range", "fit_on"),
    "balance": ("resampling", "outside"),
}


def with_applied(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration in which the finished run that it applies fills in what is not given.

    All jets go to test, unless samples have ``splits``.

    Raises
    ------
    JetmillError
        If there is no finished run.
    """
    if not isinstance(raw.get("apply"), str):
        return raw
    old = applied_config(raw["apply"])
    taken = {key: old[key] for key in TAKEN if key in old and raw.get(key) is None}
    if "balance" in taken:
        taken["balance"] = {key: value for key, value in taken["balance"].items() if key != "resampling"}
    samples = raw.get("samples")
    if isinstance(samples, Mapping):
        samples = {name: {"splits": ["test"], **s} if isinstance(s, Mapping) else s for name, s in samples.items()}
    return {**raw, **taken, "samples": samples, "write": {"outputs": ["test"], **(raw.get("write") or {})}}


def applied_config(results: str) -> dict[str, Any]:
    """Return the configuration of a finished run from its manifest."""
    path = Path(results, "manifest.json")
    if not path.is_file():
        folds = sorted(p.parent.name for p in Path(results).glob("fold_*/manifest.json"))
        hint = f". It has folds; give one of them, such as {Path(results, folds[0])}" if folds else ""
        raise JetmillError(f"apply: {results}: there is no finished run, as there is no manifest.json{hint}")
    try:
        config: dict[str, Any] = json.loads(path.read_text())["config"]
    except (OSError, ValueError, KeyError) as error:
        raise JetmillError(f"apply: {path}: is not the manifest of a finished run ({error})") from None
    return config


def differences(config: Mapping[str, Any], results: str) -> Iterator[tuple[str, str]]:
    """Yield what of a configuration does not fit the finished run that it applies.

    Parameters
    ----------
    config
        With all its defaults, as JSON has it.
    """
    old = applied_config(results)
    if config["balance"]["resampling"] != {**config["balance"]["resampling"], "method": "none", "num_jets": "auto"}:
        yield "balance.resampling", "jets that a finished run is applied to are not resampled"
    if list(config["classes"]) != list(old["classes"]):
        yield "classes", f"must be {', '.join(old['classes'])}, in this order, as in {results}"
    for section in ("jets", "scaling", "balance"):
        yield from _differ(section, section, config[section], old[section], results)
    for name, collection in old["constituents"].items():
        key = f"constituents.{name}"
        if name not in config["constituents"]:
            yield key, f"is in {results} and missing here.{nearest(name, config['constituents'])}"
        else:
            yield from _differ("constituents", key, config["constituents"][name], collection, results)


def _differ(
    section: str, at: str, new: Mapping[str, Any], old: Mapping[str, Any], results: str
) -> Iterator[tuple[str, str]]:
    for key in [key for key in old if key not in FREE[section]]:
        # Further variables may be defined for cuts.
        values = {k: new[key].get(k) for k in old[key]} if key in ("define", "units") else new.get(key)
        if values != old[key]:
            yield f"{at}.{key}", f"differs from that of {results}; leave it out to take it from there"
