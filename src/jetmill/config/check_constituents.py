"""Section ``constituents`` by itself and with other sections."""

from collections.abc import Iterable

from jetmill.config.problems import Problems, among, definitions, scaling, steps, twice
from jetmill.errors import nearest
from jetmill.settings.config import Config
from jetmill.settings.constituents import Constituents
from jetmill.settings.scaling import TARGETS
from jetmill.variables.expressions import Expression
from jetmill.variables.transforms import TRANSFORMS


def constituents(config: Config) -> Problems:
    """Yield what is wrong with collections of constituents."""
    cleaning = config.cleaning
    for name, collection in config.constituents.items():
        key = f"constituents.{name}"
        if name in (config.jets.name, TARGETS):
            yield key, f"a collection cannot be called '{name}'" + ", as jets.name is" * (name == config.jets.name)
        yield from definitions(f"{key}.define", collection.define)
        yield from steps(f"{key}.transforms", collection.transforms, TRANSFORMS)
        yield from _order(key, collection)
        varied = config.systematics is not None and config.systematics.collection == name
        roles = list(config.systematics.roles.values()) if varied and config.systematics is not None else []
        yield from twice(key, collection.made)
        read = cleaning.constituents_read(name)
        for variable in collection.optional:
            if variable not in [*read, *roles] and not config.write.keep_all:
                yield f"{key}.optional", f"nothing reads a variable '{variable}'.{nearest(variable, read)}"
        for variable in collection.units:
            if variable not in [*read, *roles]:
                hint = nearest(variable, read)
                yield f"{key}.units", f"nothing reads a variable '{variable}'.{hint}"
        yield from scaling(f"{key}.scaling", collection.scaling, f"{key}.variables", collection.variables)
        known = [*read, *collection.made]
        for missing in collection.missing.values_of:
            if missing not in known:
                hint = nearest(missing, known)
                yield f"{key}.missing.values_of", f"nothing uses a variable '{missing}'.{hint}"
        yield from among(f"{key}.label_classes", collection.label_classes, f"{key}.labels", collection.label_sources)
        yield from _objects(config, name)


def _objects(config: Config, name: str) -> Problems:
    key, collection, constituents = f"constituents.{name}", config.constituents[name], config.constituents
    objects = collection.objects
    if objects is None:
        return
    yield from among(f"{key}.objects.id", [objects.id], f"{key}.labels", collection.label_sources)
    others = [other for other, c in constituents.items() if c.objects is not None and other != name]
    if others:
        yield f"{key}.objects", f"{others[0]} are objects too; a network finds those of one collection"
    if len(collection.label_classes) != 1:
        found = ", ".join(collection.label_classes) or "none"
        yield f"{key}.label_classes", f"objects have one label with names, their class (found: {found})"
    inputs = [other for other, c in constituents.items() if c.objects is None]
    yield from among(f"{key}.objects.of", [objects.of], "the other constituents", inputs)
    if objects.of in inputs:
        labels = constituents[objects.of].label_sources
        yield from among(f"{key}.objects.parent", [objects.parent], f"constituents.{objects.of}.labels", labels)


def _order(key: str, collection: Constituents) -> Problems:
    """Yield the same of constituents: define, select, transforms."""
    made, ready = set(collection.made), set(collection.define)

    def early(place: str, used: Iterable[str]) -> Problems:
        for name in sorted(made.difference(ready).intersection(used)):
            yield f"{key}.{place}", f"uses '{name}', which is made later"

    for name, text in collection.define.items():
        yield from early(f"define.{name}", Expression(text).names)
    for number, cut in enumerate(collection.select):
        yield from early(f"select.{number}", Expression(cut).names)
    for number, step in enumerate(collection.transforms):
        yield from early(f"transforms.{number}", step.inputs(TRANSFORMS))
        ready.update(step.outputs(TRANSFORMS))
