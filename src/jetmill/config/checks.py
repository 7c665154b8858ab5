"""Reading a configuration: what is wrong with it, all at once, also between its sections."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jetmill.balancing.binning import Axis
from jetmill.balancing.table_size import MAX_NUMBERS, table_numbers
from jetmill.config.cleaning import Constituents, ScalingOf, Step, inputs_of, made_by
from jetmill.config.errors import sentences
from jetmill.config.models import Config, Sample, weight_name
from jetmill.config.sizes import excesses
from jetmill.config.types import REST
from jetmill.errors import JetmillError, nearest, one_line
from jetmill.scaling.settings import is_scaled
from jetmill.variables.expressions import Expression, count_of
from jetmill.variables.plugins import load_plugin
from jetmill.variables.systematics import VARIATIONS
from jetmill.variables.transforms import JET_TRANSFORMS, TRANSFORMS, Transform, find

MAX_LINES = 50


def load(raw: Mapping[str, Any]) -> Config:
    """Check a configuration and return it typed.

    Raises
    ------
    JetmillError
        With one line per problem, the first 50: the key, what was found, what is allowed, the nearest right name.
    """
    if problems := excesses(raw):
        raise JetmillError("\n".join(problems))
    try:
        config = Config.model_validate(dict(raw))
    except ValidationError as error:
        raise JetmillError(_lines(sentences(error, Config))) from None
    checks = (_jets, _constituents, _balance, _classes, _resampling, _write, _names, _split, _systematics)
    mismatches = (f"{key}: {sentence}" for check in checks for key, sentence in check(config))
    # One more, to see whether there are. To look for what was meant by thousands of names takes minutes.
    if found := list(islice(mismatches, MAX_LINES + 1)):
        raise JetmillError(_lines(found))
    return config


def _lines(problems: list[str]) -> str:
    lines = [one_line(problem) for problem in problems[:MAX_LINES]]
    return "\n".join([*lines, *(["and more mistakes: these first"] if len(problems) > MAX_LINES else [])])


def readable_samples(raw: Mapping[str, Any]) -> dict[str, Sample]:
    """Return the samples of a configuration that are right in themselves, whatever else is wrong in it."""
    samples = raw.get("samples")
    readable = {}
    for name, sample in samples.items() if isinstance(samples, Mapping) else ():
        with suppress(ValidationError):
            readable[str(name)] = Sample.model_validate(sample)
    return readable


# A key and what is wrong there.
Problems = Iterator[tuple[str, str]]


def _jets(config: Config) -> Problems:
    jets, known, made = config.jets, config.cleaning.used_variables, config.cleaning.made
    for key, names in {
        "jets.reference": jets.reference,
        "jets.missing.slots": jets.missing.slots,
        "input.event_id": config.input.event_id,
    }.items():
        for name in names:
            if name in jets.define:
                yield key, f"'{name}' is one of jets.define; it must be a variable of the files"
            elif name in made:
                yield key, f"'{name}' is computed; it must be a variable of the files"
    yield from _definitions("jets.define", jets.define)
    yield from _steps("jets.transforms", jets.transforms, JET_TRANSFORMS)
    for number, step in enumerate(jets.transforms):
        key = f"jets.transforms.{number}"
        if step.reads_jets:
            yield key, "reads_jets is for plug-ins of constituents; reads are variables of jets here"
        elif step.plugin is not None and not step.reads:
            yield key, "a plug-in of jets needs reads, the variables that it is given"
    if jets.rank_by is not None and (config.input.format != "root" or config.input.level != "event"):
        yield "jets.rank_by", "ranks the jets of an event, which only trees of events know"
    yield from _jet_order(config)
    yield from _counts(config)
    yield from _made_of_constituents(config)
    yield from _twice("jets", made)
    read = [*known, *jets.reference, *jets.additional_labels]
    for name in jets.units:
        if name in config.input.event_id:
            yield "jets.units", f"'{name}' identifies the event (input.event_id) and has no unit"
        elif name not in read or name in made:
            yield "jets.units", f"nothing reads a variable '{name}'.{nearest(name, read)}"
    for number, network in enumerate(jets.networks):
        if not Path(network.file).is_file():
            yield f"jets.networks.{number}.file", f"{network.file}: no such file"
        if network.constituents is not None:
            yield from _among(
                f"jets.networks.{number}.constituents", [network.constituents], "constituents", config.constituents
            )
    yield from _scaling("scaling", config.scaling, "jets.variables", jets.variables)
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


def _constituents(config: Config) -> Problems:
    cleaning = config.cleaning
    for name, collection in config.constituents.items():
        key = f"constituents.{name}"
        on_events = config.input.format == "root" and config.input.level == "event"
        if not on_events and (collection.tree.links or collection.tree.element_links):
            yield f"{key}.tree", "links are followed in trees of events only"
        if name == "jets":
            yield key, "a collection cannot be called 'jets'"
        yield from _definitions(f"{key}.define", collection.define)
        yield from _steps(f"{key}.transforms", collection.transforms, TRANSFORMS)
        yield from _order(key, collection)
        varied = config.systematics is not None and config.systematics.collection == name
        roles = list(config.systematics.roles.values()) if varied and config.systematics is not None else []
        yield from _twice(key, collection.made)
        read = cleaning.constituents_read(name)
        for variable in collection.units:
            if variable in collection.labels:
                yield f"{key}.units", f"'{variable}' is one of labels, which are integers and have no unit"
            elif variable not in [*read, *roles]:
                hint = nearest(variable, read)
                yield f"{key}.units", f"nothing reads a variable '{variable}'.{hint}"
        yield from _scaling(f"{key}.scaling", collection.scaling, f"{key}.variables", collection.variables)
        known = [*read, *collection.made]
        for missing in collection.missing.values_of:
            if missing not in known:
                hint = nearest(missing, known)
                yield f"{key}.missing.values_of", f"nothing uses a variable '{missing}'.{hint}"
        yield from _among(f"{key}.label_classes", collection.label_classes, f"{key}.labels", collection.labels)


def _balance(config: Config) -> Problems:
    yield from _bins(config)
    for weight in config.balance.weights:
        if isinstance(weight, dict):
            yield from _among("balance.weights", [weight["reference"]], "classes", config.classes)


def _bins(config: Config) -> Problems:
    bins, n_samples = config.balance.bins, len(config.samples)
    for variable, segments in bins.items():
        edges = Axis.from_segments(variable, segments).edges
        if (edges[1:] <= edges[:-1]).any():
            yield f"balance.bins.{variable}", "some bins are so narrow that their edges are the same number"
    n_components = config.balance.resampling.pools
    numbers = table_numbers(bins, len(config.classes)) * (n_samples + n_components)
    if numbers > MAX_NUMBERS:
        shape = " x ".join(str(sum(n for _, _, n in segments)) for segments in bins.values())
        pools = f" and {n_components} component{'s' * (n_components > 1)}" if n_components else ""
        yield (
            "balance.bins",
            f"{shape} bins, {len(config.classes)} classes, {n_samples} samples{pools} make tables of {numbers:,}"
            f" numbers; {MAX_NUMBERS:,} fit into memory. Take fewer bins",
        )


def _resampling(config: Config) -> Problems:
    resampling, key = config.balance.resampling, "balance.resampling"
    yield from _among(f"{key}.shares", resampling.shares, "classes", config.classes)
    if resampling.target in ("average", "flat") and resampling.target in config.classes:
        yield f"{key}.target", f"'{resampling.target}' is a class and a shape; give the class another name"
    if resampling.target is not None:
        shapes = [] if resampling.method == "countup" else ["average", "flat"]
        allowed = [*config.classes, *shapes]
        if resampling.target not in allowed:
            hint = nearest(resampling.target, allowed)
            yield f"{key}.target", f"must be one of {', '.join(allowed)} (found: '{resampling.target}').{hint}"
    for number, component in enumerate(resampling.components):
        place = f"{key}.components.{number}"
        yield from _among(f"{place}.samples", component.samples, "samples", config.samples)
        yield from _among(f"{place}.bins", component.bins, "balance.bins", config.balance.bins)
        for variable, ends in component.bins.items():
            if variable not in config.balance.bins:
                continue
            edges = Axis.from_segments(variable, config.balance.bins[variable]).edges
            for end in ends:
                closest = edges[abs(edges - end).argmin()]
                if abs(closest - end) > 1e-9 * abs(edges).max():
                    yield f"{place}.bins.{variable}", f"{end:g} is not an edge of a bin; the nearest is {closest:g}"
            if ends[0] >= ends[1]:
                yield f"{place}.bins.{variable}", "low must be below high"


def _write(config: Config) -> Problems:
    write, variables = config.write, config.jets.variables
    yield from _among("write.conditional", write.conditional, "jets.variables", variables)
    if isinstance(write.concat_jet_tracks, list):
        yield from _among("write.concat_jet_tracks", write.concat_jet_tracks, "jets.variables", variables)
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
    made += [f"{of}_{v}" for of, c in config.constituents.items() for v in [*c.variables, *c.labels]]
    for key, names in {
        "jets.variables": jets.variables,
        "balance.bins": config.balance.bins,
        "jets.reference": jets.reference,
        "jets.additional_labels": jets.additional_labels,
        "input.event_id": config.input.event_id,
    }.items():
        for name in names:
            if name in made:
                yield key, f"'{name}' is a column that jetmill makes; define the variable under another name"
    for of, collection in config.constituents.items():
        if "valid" in [*collection.variables, *collection.labels]:
            yield f"constituents.{of}", "'valid' is a column that jetmill makes"


def _split(config: Config) -> Problems:
    if config.split.by == "modulo" and not config.input.event_id:
        yield "split", "by modulo needs input.event_id, whose last variable is the event number"
    if config.split.by == "event" and not config.input.event_id:
        yield "split", "by event needs input.event_id; without it, use by: jet"


def _classes(config: Config) -> Problems:
    for name, value in config.classes.items():
        yield from _among(f"classes.{name}.samples", value.samples or [], "samples", config.samples)


def _systematics(config: Config) -> Problems:
    systematics, key = config.systematics, "systematics"
    if systematics is None:
        return
    yield from _among(f"{key}.collection", [systematics.collection], "constituents", config.constituents)
    if config.split.by == "jet":
        yield "split.by", "jet: with systematics, jets would be in another split for each variation"
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


def _jet_order(config: Config) -> Problems:
    """Tell what is used before it is made: rank, define, transforms and networks are made in this order."""
    cleaning = config.cleaning
    # What networks make of constituents is looked at by `_made_of_constituents`.
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
        yield from early(f"jets.transforms.{number}", inputs_of(step, JET_TRANSFORMS))
        ready.update(made_by(step, JET_TRANSFORMS))
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
        **{f"classes.{name}": of.cut for name, of in config.classes.items() if of.cut != REST},
    }
    return {key: Expression(text) for key, text in texts.items()}


def _counts(config: Config) -> Problems:
    """Tell what counts constituents that there are none of, or counts them in expressions of constituents."""
    for key, expression in _expressions(config).items():
        for name in sorted(expression.collections.difference(config.constituents)):
            hint = nearest(name, config.constituents)
            yield key, f"'{count_of(name)}': '{name}' is not in constituents.{hint}"
    for of, collection in config.constituents.items():
        texts = {f"define.{name}": text for name, text in collection.define.items()}
        texts |= {f"select.{number}": text for number, text in enumerate(collection.select)}
        texts |= {} if collection.sort_by is None else {"sort_by": collection.sort_by}
        for key, text in texts.items():
            for name in sorted(Expression(text).collections):
                yield (
                    f"constituents.{of}.{key}",
                    f"'{count_of(name)}' is a number of the jet; with jets.define: {{n_{name}: {count_of(name)}}}"
                    f" it is jet_n_{name} here",
                )


def _made_of_constituents(config: Config) -> Problems:
    """Tell what uses the output of a network of constituents, which are read when all cuts are done."""
    jets, cleaning = config.jets, config.cleaning
    if not cleaning.made_of_constituents:
        return
    used: dict[str, Iterable[str]] = {key: expression.names for key, expression in _expressions(config).items()}
    for number, step in enumerate(jets.transforms):
        used[f"jets.transforms.{number}"] = inputs_of(step, JET_TRANSFORMS)
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
                " it can be one of jets.variables, balance.weight_columns and balance.bins",
            )


def _order(key: str, collection: Constituents) -> Problems:
    """Tell the same of constituents: define, select, transforms."""
    made, ready = set(collection.made), set(collection.define)

    def early(place: str, used: Iterable[str]) -> Problems:
        for name in sorted(made.difference(ready).intersection(used)):
            yield f"{key}.{place}", f"uses '{name}', which is made later"

    for name, text in collection.define.items():
        yield from early(f"define.{name}", Expression(text).names)
    for number, cut in enumerate(collection.select):
        yield from early(f"select.{number}", Expression(cut).names)
    for number, step in enumerate(collection.transforms):
        yield from early(f"transforms.{number}", inputs_of(step, TRANSFORMS))
        ready.update(made_by(step, TRANSFORMS))


def _steps(key: str, steps: list[Step], transforms: Mapping[str, Transform]) -> Problems:
    for number, step in enumerate(steps):
        try:
            if step.name is not None:
                find(step.name, transforms, step.roles, step.options)
            else:
                load_plugin(str(step.plugin), str(step.function))
        except JetmillError as error:
            yield f"{key}.{number}", str(error)


def _twice(key: str, made: list[str]) -> Problems:
    for name in sorted({name for name in made if made.count(name) > 1}):
        yield key, f"'{name}' is made more than once"


def _definitions(key: str, define: Mapping[str, str]) -> Problems:
    later = list(define)
    for name, text in define.items():
        for used in sorted(Expression(text).names.intersection(later)):
            yield f"{key}.{name}", f"uses '{used}', which is not defined before it"
        later.remove(name)


def _scaling(key: str, scaling: ScalingOf, of: str, variables: list[str]) -> Problems:
    yield from _among(f"{key}.defaults", scaling.defaults, of, variables)
    yield from _among(f"{key}.log", scaling.log, of, variables)
    plain = [pattern for pattern in scaling.unscaled if not any(c in pattern for c in "*?[")]
    yield from _among(f"{key}.unscaled", plain, of, variables)
    for name in scaling.log:
        if not is_scaled(name, scaling):
            yield f"{key}.log", f"'{name}' is unscaled"


def _among(key: str, names: Any, of: str, known: Any) -> Problems:
    for name in names:
        if name not in known:
            yield key, f"'{name}' is not in {of}.{nearest(name, known)}"
