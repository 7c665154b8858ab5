"""Section ``systematics`` against the other sections."""

from collections.abc import Collection, Iterable
from pathlib import Path

from jetmill.config.problems import Problems, among, steps
from jetmill.errors import nearest
from jetmill.settings.config import Config
from jetmill.settings.systematics import RANDOM, Systematics, Varied
from jetmill.systematics import VARIATIONS
from jetmill.variables.expressions import Expression
from jetmill.variables.transforms import TRANSFORMS


def systematics(config: Config) -> Problems:
    """Yield what is wrong with variations."""
    found, key = config.systematics, "systematics"
    if found is None:
        return
    if found.collection is not None:
        yield from among(f"{key}.collection", [found.collection], "constituents", config.constituents)
    elif found.jets or any(variation.changes_constituents for variation in found.variations):
        yield f"{key}.collection", "does not name the constituents to vary"
    yield from _split(config, found)
    made = config.cleaning.made
    for of_jet, variable in found.jets.items():
        if variable in made:
            yield f"{key}.jets.{of_jet}", f"'{variable}' is computed; take a variable of the files"
    made_of_constituents = config.constituents[found.collection].made if found.collection in config.constituents else []
    for role, variable in found.roles.items():
        if variable in made_of_constituents:
            yield f"{key}.roles.{role}", f"'{variable}' is computed later; take a variable of the files"
    if found.maps is not None and not Path(found.maps).is_file():
        yield f"{key}.maps", f"{found.maps}: no such file"
    built_in = [v.name for v in found.variations if v.is_built_in and v.name in VARIATIONS]
    needed = {role for name in built_in for role in VARIATIONS[name].roles}
    needed |= {"pt", "energy", "eta", "phi"} if found.jets else set()
    for missing in sorted(needed.difference(found.roles)):
        yield f"{key}.roles", f"does not say which variable is {missing}"
    for name in built_in:
        if VARIATIONS[name].maps and found.maps is None:
            yield f"{key}.maps", f"{name} needs the histograms {', '.join(VARIATIONS[name].maps)}"
    for number, variation in enumerate(found.variations):
        yield from _own(config, found, f"{key}.variations.{number}", variation)


def _split(config: Config, found: Systematics) -> Problems:
    if config.split.rule.row:
        yield "split.by", f"{config.split.by}: with systematics, jets would be in another split for each variation"
    changed = {*found.jets.values(), *(n for v in found.variations for n in v.jets), *config.cleaning.made}
    for key, text in config.split.expressions.items():
        for name in sorted(changed.intersection(Expression(text).names)):
            yield (
                f"split.{key}",
                f"uses '{name}', which is varied or computed; jets must be in one split in all variations",
            )


def _own(config: Config, found: Systematics, key: str, variation: Varied) -> Problems:
    if variation.is_built_in != (variation.name in VARIATIONS):
        hint = nearest(variation.name, VARIATIONS)
        problem = f"there is no variation '{variation.name}'.{hint} One of your own says what it changes"
        yield (
            key,
            problem if variation.is_built_in else f"'{variation.name}' is a built-in variation; take another name",
        )
        return
    alone = Systematics(collection=found.collection, variations=(variation,))
    yield from _of_files(
        f"{key}.jets", variation.jets, alone.of_jets, config.cleaning.used_variables, config.cleaning.made
    )
    for name in set(variation.jets).intersection(found.jets.values()) if variation.changes_constituents else ():
        yield f"{key}.jets", f"'{name}' is recomputed from the constituents (systematics.jets)"
    if found.collection in config.constituents:
        collection, known = config.constituents[found.collection], config.cleaning.constituents_read(found.collection)
        changed = [*variation.constituents, *(name for step in variation.transforms for name in step.makes)]
        yield from _of_files(f"{key}.constituents", changed, alone.of_constituents, known, collection.made)
        yield from steps(f"{key}.transforms", variation.transforms, TRANSFORMS)


def _of_files(
    key: str, changed: Iterable[str], read: Iterable[str], used: Collection[str], made: Collection[str]
) -> Problems:
    """Yield what a variation changes or reads and cannot: it is applied to variables of the files."""
    for name in dict.fromkeys(read):
        if name in made:
            yield key, f"'{name}' is computed later; take a variable of the files"
    for name in changed:
        if name not in used and name not in made:
            yield key, f"nothing uses a variable '{name}'.{nearest(name, [n for n in used if n not in RANDOM])}"
