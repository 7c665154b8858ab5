"""What checks of several sections share; each problem is a key and what is wrong there."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from jetmill.errors import JetmillError, nearest
from jetmill.settings.scaling import ScalingRules
from jetmill.settings.steps import Step
from jetmill.variables.expressions import Expression
from jetmill.variables.plugins import load_plugin
from jetmill.variables.transforms import Transform, find

Problems = Iterator[tuple[str, str]]


def among(key: str, names: Iterable[str], of: str, known: Collection[str]) -> Problems:
    """Yield the names that are not known."""
    for name in names:
        if name not in known:
            yield key, f"'{name}' is not in {of}.{nearest(name, known)}"


def twice(key: str, made: Sequence[str]) -> Problems:
    """Yield the variables that are computed twice."""
    for name in sorted({name for name in made if made.count(name) > 1}):
        yield key, f"'{name}' is made more than once"


def definitions(key: str, define: Mapping[str, str]) -> Problems:
    """Yield the expressions that use what is defined after them."""
    later = list(define)
    for name, text in define.items():
        for used in sorted(Expression(text).names.intersection(later)):
            yield f"{key}.{name}", f"uses '{used}', which is not defined before it"
        later.remove(name)


def steps(key: str, given: Sequence[Step], transforms: Mapping[str, Transform]) -> Problems:
    """Yield the transforms that do not exist, and the plug-ins that cannot be loaded."""
    for number, step in enumerate(given):
        try:
            if step.name is not None:
                find(step.name, transforms, step.roles, step.options)
            else:
                load_plugin(str(step.plugin), str(step.function))
        except JetmillError as error:
            yield f"{key}.{number}", str(error)


def scaling(key: str, rules: ScalingRules, of: str, variables: Sequence[str]) -> Problems:
    """Yield the variables to be scaled that are no inputs."""
    yield from among(f"{key}.defaults", rules.defaults, of, variables)
    yield from among(f"{key}.log", rules.log, of, variables)
    plain = [pattern for pattern in rules.unscaled if not any(c in pattern for c in "*?[")]
    yield from among(f"{key}.unscaled", plain, of, variables)
    for name in rules.log:
        if not rules.is_scaled(name):
            yield f"{key}.log", f"'{name}' is unscaled"
