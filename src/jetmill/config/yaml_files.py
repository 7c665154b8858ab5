"""Configurations as files: YAML or JSON, read so strictly that nothing in them is lost and nothing runs.

YAML loaders silently keep the last of two equal keys. Snakemake takes a file with the key ``__use_yte__`` as a template
of YTE, whose ``__definitions__`` and ``?`` keys are Python code.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from jetmill.errors import JetmillError

# The loader of libyaml takes a tenth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TEMPLATE_KEYS = ("__use_yte__", "__definitions__", "__variables__")
MERGE = "tag:yaml.org,2002:merge"


def read_yaml(path: str | Path) -> Any:
    """Return what a YAML or JSON file holds.

    Raises
    ------
    JetmillError
        With one line per problem: there is no such file, it is not YAML, a mapping has a key twice, or a key would make
        Snakemake run code of the file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise JetmillError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise JetmillError(f"{path}: is not YAML ({error})") from None
    is_json = _is_json(text)
    # JSON is YAML except for tabs between tokens (strings cannot contain any) and surrogate pairs.
    loader = yaml.SafeLoader(text.replace("\t", " ")) if is_json else LOADER(text)
    try:
        root = loader.get_single_node()
        if root is not None and (problems := [f"{path}: {problem}" for problem in _problems(root, loader, set())]):
            raise JetmillError("\n".join(problems))
        if is_json:
            return json.loads(text)
        return None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        raise JetmillError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise JetmillError(f"{path}: is nested too deeply for a configuration") from None
    finally:
        loader.dispose()


def read_merged(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Return what several files hold together: later ones override keys of earlier ones, as Snakemake merges them.

    Raises
    ------
    JetmillError
        As `read_yaml`, and if a file holds no keys.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        found = read_yaml(path)
        if not isinstance(found, dict):
            raise JetmillError(f"{path}: holds no keys of a configuration")
        _update(merged, found)
    return merged


def _update(target: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _update(target[key], value)
        else:
            target[key] = value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _problems(node: yaml.Node, loader: Any, seen: set[int], place: str = "") -> Iterator[str]:
    """Yield what is wrong with a node and with all below it, each once however often it is referred to."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _problems(item, loader, seen, f"{place}{number}.")
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[Any, int] = {}
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag != MERGE:
            key = loader.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key is not text", key_node.start_mark)
            if key in TEMPLATE_KEYS:
                yield (
                    f"{place}{key}: line {line}: makes Snakemake run Python code of this file, which configurations of"
                    " jetmill must not; remove the key, and write the values themselves"
                )
            if key in lines:
                yield (
                    f"{place}{key}: given twice, in lines {lines[key]} and {line}; only the second one would count:"
                    " remove one, or put them together"
                )
            lines[key] = line
            yield from _problems(value, loader, seen, f"{place}{key}.")
        else:
            yield from _problems(value, loader, seen, place)
