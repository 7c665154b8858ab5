"""Section ``jets`` by itself and with other sections."""

from collections.abc import Iterable
from pathlib import Path

from jetmill.config.problems import Problems, among, definitions, scaling, steps, twice
from jetmill.errors import nearest
from jetmill.settings.config import Config
from jetmill.settings.types import REST
from jetmill.sources.registry import INPUT_FORMATS
from jetmill.variables.expressions import Expression, count_of
from jetmill.variables.transforms import JET_TRANSFORMS


def jets(config: Config) -> Problems:
    """Yield what is wrong with variables, cuts and networks of jets."""
    jets, known, made = config.jets, config.cleaning.used_variables, config.cleaning.made
    for key, names in {
        "jets.missing.slots": jets.missing.slots,
        "input.event_id": config.input.event_id,
    }.items():
        for name in names:
            if name in jets.define:
                yield key, f"'{name}' is one of jets.define; it must be a variable of the files"
            elif name in made:
                yield key, f"'{name}' is computed; it must be a variable of the files"
    yield from definitions("jets.define", jets.define)
    yield from steps("jets.transforms", jets.transforms, JET_TRANSFORMS)
    for number, step in enumerate(jets.transforms):
        key = f"jets.transforms.{number}"
        if step.reads_jets:
            yield key, "reads_jets is for plug-ins of constituents; reads are variables of jets here"
        elif step.plugin is not None and not step.reads:
            yield key, "a plug-in of jets needs reads, the variables that it is given"
    if jets.rank_by is not None and not INPUT_FORMATS[config.input.format].has_events(config.input):
        yield "jets.rank_by", "ranks the jets of an event, which only trees of events know"
    yield from _jet_order(config)
    yield from _counts(config)
    yield from _made_of_constituents(config)
    yield from twice("jets", made)
    read = [*known, *jets.spectators, *jets.label_sources.values()]
    for name in config.input.optional:
        if name in config.input.event_id:
            yield "input.optional", f"'{name}' identifies the event (input.event_id); no file may lack it"
        elif name in made or (name not in read and not config.write.keep_all):
            yield "input.optional", f"nothing reads a variable '{name}'.{nearest(name, read)}"
    for name in jets.units:
        if name in config.input.event_id:
            yield "jets.units", f"'{name}' identifies the event (input.event_id) and has no unit"
        elif name not in read or name in made:
            yield "jets.units", f"nothing reads a variable '{name}'.{nearest(name, read)}"
    yield from among("jets.targets", jets.targets, "jets.additional_labels", jets.label_sources)
    for number, network in enumerate(jets.networks):
        if not Path(network.file).is_file():
            yield f"jets.networks.{number}.file", f"{network.file}: no such file"
        if network.constituents is not None:
            yield from among(
                f"jets.networks.{number}.constituents", [network.constituents], "constituents", config.constituents
            )
    yield from scaling("scaling", config.scaling, "jets.variables", jets.variables)
    for count, prefixes in jets.missing.slots.items():
        for prefix in prefixes:
            if not any(v.rpartition("_")[0] == prefix for v in known):
                hint = nearest(prefix, known)
                yield f"jets.missing.slots.{count}", f"no variable is named '{prefix}_0' or so.{hint}"
    for name in jets.missing.values_of:
        if name not in known:
            yield "jets.missing.values_of", f"nothing uses a variable '{name}'.{nearest(name, known)}"
    if any(c.cut == REST and c.samples is None for c in list(config.classes.values())[:-1]):
        yield "classes", "only the last class can be 'rest'"


def _jet_order(config: Config) -> Problems:
    """Yield what is used before it is computed, in the order of rank, define, transforms and networks."""
    cleaning = config.cleaning
    # `_made_of_constituents` checks what networks make of constituents.
    jets, made = config.jets, set(cleaning.made).difference(cleaning.made_of_constituents)
    ready = set(map(count_of, config.constituents))

    def early(key: str, used: Iterable[str]) -> Problems:
        for name in sorted(made.difference(ready).intersection(used)):
            yield key, f"uses '{name}', which is made later"

    if jets.rank_by is not None:
        yield from early("jets.rank_by", Expression(jets.rank_by).names)
        ready.add("rank")
    for name, text in jets.define.items():
        yield from early(f"jets.define.{name}", Expression(text).names.difference(jets.define))
    ready.update(jets.define)
    for number, step in enumerate(jets.transforms):
        yield from early(f"jets.transforms.{number}", step.inputs(JET_TRANSFORMS))
        ready.update(step.outputs(JET_TRANSFORMS))
    for number, network in enumerate(jets.networks):
        if network.constituents is None:
            yield from early(f"jets.networks.{number}", network.variables)
            ready.add(network.name)


def _expressions(config: Config) -> dict[str, Expression]:
    """Return the expressions of jets by their keys."""
    jets = config.jets
    texts = {
        **({} if jets.rank_by is None else {"jets.rank_by": jets.rank_by}),
        **{f"jets.define.{name}": text for name, text in jets.define.items()},
        **{f"jets.select.{number}": cut.cut for number, cut in enumerate(jets.select)},
        **{f"split.{key}": text for key, text in config.split.expressions.items()},
        **{f"classes.{name}": of.cut for name, of in config.classes.items() if of.cut != REST},
    }
    return {key: Expression(text) for key, text in texts.items()}


def _counts(config: Config) -> Problems:
    """Yield counts of unknown constituents, and counts in expressions of constituents."""
    for key, expression in _expressions(config).items():
        for name in sorted(expression.collections.difference(config.constituents)):
            hint = nearest(name, config.constituents)
            yield key, f"'{count_of(name)}': '{name}' is not in constituents.{hint}"
    for of, collection in config.constituents.items():
        texts = {f"define.{name}": text for name, text in collection.define.items()}
        texts |= {f"select.{number}": text for number, text in enumerate(collection.select)}
        texts |= {
            f"select_after_transforms.{number}": text for number, text in enumerate(collection.select_after_transforms)
        }
        texts |= {} if collection.sort_by is None else {"sort_by": collection.sort_by}
        for key, text in texts.items():
            for name in sorted(Expression(text).collections):
                yield (
                    f"constituents.{of}.{key}",
                    f"'{count_of(name)}' is a number of the jet; with jets.define: {{n_{name}: {count_of(name)}}}"
                    f" it is jet_n_{name} here",
                )


def _made_of_constituents(config: Config) -> Problems:
    """Yield uses of the output of a network of constituents, which are read only after all cuts."""
    jets, cleaning = config.jets, config.cleaning
    if not cleaning.made_of_constituents:
        return
    used: dict[str, Iterable[str]] = {key: expression.names for key, expression in _expressions(config).items()}
    for number, step in enumerate(jets.transforms):
        used[f"jets.transforms.{number}"] = step.inputs(JET_TRANSFORMS)
    for number, network in enumerate(jets.networks):
        if network.constituents is None:
            used[f"jets.networks.{number}"] = network.variables
        elif network.constituents in config.constituents:
            of = config.constituents[network.constituents]
            used[f"jets.networks.{number}"] = of.of_jets_for(network.variables)
    used |= {f"constituents.{name}": of.of_jets for name, of in config.constituents.items()}
    for key, names in used.items():
        for name in sorted(set(cleaning.made_of_constituents).intersection(names)):
            yield (
                key,
                f"uses '{name}', which a network makes of constituents, and those are read when all cuts are done;"
                " it can be one of jets.variables, balance.event_weights and balance.bins",
            )
