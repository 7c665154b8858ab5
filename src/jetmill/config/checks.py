"""Mistakes that concern two sections."""

import re
from collections.abc import Callable
from pathlib import Path

from jetmill.config.check_balance import balance
from jetmill.config.check_constituents import constituents
from jetmill.config.check_inputs import inputs
from jetmill.config.check_jets import jets
from jetmill.config.problems import Problems, among
from jetmill.settings.balance import weight_name
from jetmill.settings.config import Config
from jetmill.systematics import VARIATIONS
from jetmill.variables.expressions import Expression


def mismatches(config: Config) -> Problems:
    """Yield a key and what is wrong there, for each mistake."""
    checks: tuple[Callable[[Config], Problems], ...] = (
        *(inputs, jets, constituents, balance),
        *(_classes, _write, _names, _split, _systematics),
    )
    for check in checks:
        yield from check(config)


def _classes(config: Config) -> Problems:
    for name, value in config.classes.items():
        yield from among(f"classes.{name}.samples", value.samples or [], "samples", config.samples)


def _write(config: Config) -> Problems:
    write, variables = config.write, config.jets.variables
    yield from among("write.conditional", write.conditional, "jets.variables", variables)
    if not isinstance(write.concat_jet_tracks, bool):
        yield from among("write.concat_jet_tracks", write.concat_jet_tracks, "jets.variables", variables)
    if write.concat_jet_tracks and not config.constituents:
        yield "write.concat_jet_tracks", "there are no constituents to put variables of jets to"


def _names(config: Config) -> Problems:
    """Names that would mean two things in one place."""
    jets, concat = config.jets, config.content.concat_jets
    for name in config.samples:
        # Snakemake takes such a value of a wildcard for an endless loop.
        if re.search(r"(.+?)\1{19}", name):
            yield f"samples.{name}", "repeats a piece of its name 20 times or more; give it another name"
    for name, collection in config.constituents.items():
        if clash := [v for v in collection.variables if v in {f"jet_{c}" for c in concat}]:
            yield (
                f"constituents.{name}.variables",
                f"'{clash[0]}' is what write.concat_jet_tracks calls a variable of jets",
            )
    # Names of columns that structured and Parquet files have besides the variables.
    made = ["sample", "flavour_label", "weight", *(f"weight_{weight_name(w)}" for w in config.balance.weights)]
    made += [f"label_{name}" for name in config.classes]
    made += [f"{of}_{v}" for of, c in config.constituents.items() for v in [*c.variables, *c.label_sources]]
    for key, names in {
        "jets.variables": jets.variables,
        "balance.bins": config.balance.bins,
        "jets.spectators": jets.spectators,
        "jets.additional_labels": jets.label_sources,
        "input.event_id": config.input.event_id,
    }.items():
        for name in names:
            if name in made:
                yield key, f"'{name}' is a column that jetmill makes; define the variable under another name"
    for of, collection in config.constituents.items():
        if "valid" in [*collection.variables, *collection.label_sources]:
            yield f"constituents.{of}", "'valid' is a column that jetmill makes"


def _split(config: Config) -> Problems:
    if config.split.rule.event and not config.input.event_id:
        yield "split", f"by: {config.split.by} needs input.event_id, which names the event; by: jet does not"


def _systematics(config: Config) -> Problems:
    systematics, key = config.systematics, "systematics"
    if systematics is None:
        return
    yield from among(f"{key}.collection", [systematics.collection], "constituents", config.constituents)
    if config.split.rule.row:
        yield "split.by", f"{config.split.by}: with systematics, jets would be in another split for each variation"
    changed = {*systematics.jets.values(), *config.cleaning.made}
    for key, text in config.split.conditions.items():
        for name in sorted(changed.intersection(Expression(text).names)):
            yield (
                f"split.{key}",
                f"uses '{name}', which is varied or computed; jets must be in one split in all variations",
            )
    if systematics.collection in config.constituents:
        made = config.constituents[systematics.collection].made
        for role, variable in systematics.roles.items():
            if variable in made:
                yield f"{key}.roles.{role}", f"'{variable}' is computed later; take a variable of the files"
    for of_jet, variable in systematics.jets.items():
        if variable in config.cleaning.made:
            yield f"{key}.jets.{of_jet}", f"'{variable}' is computed; take a variable of the files"
    if systematics.maps is not None and not Path(systematics.maps).is_file():
        yield f"{key}.maps", f"{systematics.maps}: no such file"
    needed = {role for name in systematics.variations for role in VARIATIONS[name].roles}
    needed |= {"pt", "energy", "eta", "phi"} if systematics.jets else set()
    for missing in sorted(needed.difference(systematics.roles)):
        yield f"{key}.roles", f"does not say which variable is {missing}"
    for name in systematics.variations:
        if VARIATIONS[name].maps and systematics.maps is None:
            yield f"{key}.maps", f"{name} needs the histograms {', '.join(VARIATIONS[name].maps)}"
