"""From the user's YAML to settings: all mistakes at once, one sentence each."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from itertools import chain, islice
from typing import Any

from pydantic import TypeAdapter, ValidationError

from jetmill.config.applied import differences, with_applied
from jetmill.config.checks import mismatches
from jetmill.config.errors import sentences
from jetmill.config.sizes import excesses
from jetmill.errors import JetmillError, one_line
from jetmill.settings.config import Config
from jetmill.settings.samples import Sample

MAX_LINES = 50


@cache
def adapter(section: type) -> TypeAdapter[Any]:
    """Return what checks a section and turns it into JSON."""
    return TypeAdapter(section)


def load(raw: Mapping[str, Any]) -> Config:
    """Check a configuration and return its settings. A key whose value is null counts as not given.

    Raises
    ------
    JetmillError
        With one line per problem, the first 50: the key, what was found, what is allowed, the nearest right name.
    """
    if problems := excesses(raw):
        raise JetmillError("\n".join(problems))
    try:
        config: Config = adapter(Config).validate_python(_without_null(with_applied(raw)))
    except ValidationError as error:
        raise JetmillError(_lines(sentences(error, Config))) from None
    unlike = () if config.apply is None else differences(as_json(config), config.apply)
    wrong = (f"{key}: {sentence}" for key, sentence in chain(mismatches(config), unlike))
    # One more, to see whether there are. Finding the nearest names of thousands takes minutes.
    if found := list(islice(wrong, MAX_LINES + 1)):
        raise JetmillError(_lines(found))
    return config


def as_json(config: Config) -> dict[str, Any]:
    """Return a configuration with all its defaults as `load` reads it; without `replace`, which is for one run."""
    return {key: value for key, value in adapter(Config).dump_python(config, mode="json").items() if key != "replace"}


def readable_samples(raw: Mapping[str, Any]) -> dict[str, Sample]:
    """Return the samples of a configuration that are valid by themselves, whatever else is wrong."""
    samples = raw.get("samples")
    readable = {}
    for name, sample in samples.items() if isinstance(samples, Mapping) else ():
        with suppress(ValidationError):
            readable[str(name)] = adapter(Sample).validate_python(_without_null(sample))
    return readable


def _without_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    return [_without_null(inner) for inner in value] if isinstance(value, list) else value


def _lines(problems: list[str]) -> str:
    lines = [one_line(problem) for problem in problems[:MAX_LINES]]
    return "\n".join([*lines, *(["more mistakes: fix these first"] if len(problems) > MAX_LINES else [])])
