"""Mistakes that concern two sections."""

import re
from collections.abc import Callable, Mapping

from jetmill.config.check_balance import balance
from jetmill.config.check_constituents import constituents
from jetmill.config.check_inputs import inputs
from jetmill.config.check_jets import jets
from jetmill.config.check_systematics import systematics
from jetmill.config.problems import Problems, among
from jetmill.errors import nearest
from jetmill.formats.files.names import Names
from jetmill.formats.registry import FORMATS
from jetmill.settings.balance import weight_name
from jetmill.settings.config import Config
from jetmill.settings.scaling import TARGETS
from jetmill.sources.registry import INPUT_FORMATS


def mismatches(config: Config) -> Problems:
    """Yield a key and what is wrong there, for each mistake."""
    checks: tuple[Callable[[Config], Problems], ...] = (
        *(inputs, jets, constituents, balance),
        *(_classes, _write, _names, _split, _shown, systematics),
    )
    for check in checks:
        yield from check(config)


def _classes(config: Config) -> Problems:
    for name, value in config.classes.items():
        yield from among(f"classes.{name}.samples", value.samples or [], "samples", config.samples)
        for sample in value.samples or []:
            if sample in config.samples and not config.samples[sample].truth:
                yield f"classes.{name}.samples", f"jets of '{sample}', without truth (truth: false), have no class"


def _shown(config: Config) -> Problems:
    """Titles that no figure shows, and colours that matplotlib, which takes long to import, does not know."""
    drawn = [*config.jets.variables, *config.jets.spectators, *config.balance.bins]
    drawn += [name for collection in config.constituents.values() for name in collection.variables]
    for name in config.report.variables:
        if name not in drawn:
            yield "report.variables", f"no figure shows a variable '{name}'.{nearest(name, drawn)}"
    colours = {f"classes.{name}.colour": of.colour for name, of in config.classes.items() if of.colour}
    if not config.report.plots or not colours:
        return
    from matplotlib.colors import CSS4_COLORS, is_color_like

    for key, colour in colours.items():
        if not is_color_like(colour):
            yield key, f"'{colour}' is not a colour that matplotlib knows.{nearest(colour, CSS4_COLORS)}"


def _write(config: Config) -> Problems:
    write, variables = config.write, config.jets.variables
    yield from among("write.conditional", write.conditional, "jets.variables", variables)
    if not isinstance(write.concat_jet_tracks, bool):
        yield from among("write.concat_jet_tracks", write.concat_jet_tracks, "jets.variables", variables)
    if write.concat_jet_tracks and not config.constituents:
        yield "write.concat_jet_tracks", "there are no constituents to add variables of jets to"
    for name, most in write.max_jets_test.items() if isinstance(write.max_jets_test, Mapping) else ():
        key = f"write.max_jets_test.{name}"
        yield from among("write.max_jets_test", [name], "samples", config.samples)
        if isinstance(most, Mapping):
            yield from among(key, most, "classes", config.classes)
            if name in config.samples and not config.samples[name].truth:
                yield key, "jets without truth (truth: false) have no class; give one number"
    for name in write.formats:
        yield from FORMATS[name].mistakes(config)


def _names(config: Config) -> Problems:
    """Names that would mean two things in one place."""
    jets, concat = config.jets, config.content.concat_jets
    for name in config.samples:
        # Snakemake takes such a value of a wildcard for an endless loop.
        if re.search(r"(.+?)\1{19}", name):
            yield f"samples.{name}", "repeats a piece of its name 20 times or more; give it another name"
    for name, collection in config.constituents.items():
        if clash := [v for v in collection.variables if v in {Names(jets.name).variable(c) for c in concat}]:
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
    if jets.name == TARGETS:
        yield "jets.name", f"'{TARGETS}' are those of a regression"
    if jets.name == "balance":
        yield "jets.name", "'balance' is where figures of balance are (report/balance); take another name"
    one, has_position = Names(jets.name).jet, INPUT_FORMATS[config.input.format].has_events(config.input)
    if has_position and one in config.input.event_id:
        yield "jets.name", f"'{one}' is the position in the event, and one of input.event_id; take another name"
    for of, collection in config.constituents.items():
        if "valid" in [*collection.variables, *collection.label_sources]:
            yield f"constituents.{of}", "'valid' is a column that jetmill makes"


def _split(config: Config) -> Problems:
    samples = config.samples
    if config.split.rule.event and not config.input.event_id:
        yield "split", f"by: {config.split.by} needs input.event_id, which names the event; by: jet does not"
    for name, sample in samples.items():
        if not sample.truth and "test" not in config.write.outputs:
            yield f"samples.{name}", "without truth (truth: false), jets are for testing; write.outputs has no test"
    if config.apply is not None:
        return
    if "train" not in config.write.outputs:
        yield "write.outputs", "train must be among them; it is what the others are scaled and compared with"
    if not any("train" in sample.splits for sample in samples.values()):
        yield "samples", "splits: no sample has jets for training"
    for number, component in enumerate(config.balance.resampling.components):
        for name in component.samples:
            if name in samples and "train" not in samples[name].splits:
                yield f"balance.resampling.components.{number}", f"'{name}' has no jets for training (splits)"
