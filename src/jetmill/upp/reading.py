"""Configurations of UPP as they are written: YAML with includes and anchors, in the names of keys of version 0.3.3."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from jetmill.errors import JetmillError, nearest

# Older names of keys, which UPP still reads.
RENAMED = {
    "jets_name": "global_name",
    "equal_jets": "equal_global_objects",
    "flavours": "classes",
    "flavour_config": "class_config",
    "flavour_category": "class_category",
    "show_num_jets": "show_num_global_objects",
    **{
        f"num_jets{end}": f"num_global_objects{end}"
        for end in (
            *("", "_val", "_test", "_estimate", "_estimate_available", "_estimate_hist", "_estimate_norm"),
            *("_estimate_plotting", "_per_output_file", "_plotting"),
        )
    },
}
SECTIONS = {
    *("variables", "global_cuts", "components", "resampling", "reweighting", "global", "transform", "plotting"),
    *("umami", "auto_counts"),
}
REQUIRED = ("variables", "global_cuts", "components", "global")


def read(path: str | Path) -> dict[str, Any]:
    """Return the sections of a configuration of UPP; keys have their present names.

    What an ``!include`` names is looked for beside the file that includes it and above it, and among the
    configurations of an installed UPP.

    Raises
    ------
    JetmillError
        If a file is not there or not YAML, or if it is no configuration of UPP.
    """
    content = _renamed(_load(Path(path)))
    if not isinstance(content, Mapping):
        raise JetmillError(f"{path}: must be a mapping of keys")
    missing = [key for key in REQUIRED if key not in content]
    if missing:
        hint = nearest(missing, [str(key) for key in content if key not in SECTIONS])
        raise JetmillError(f"{path}: is not a configuration of UPP: it has no {', '.join(missing)}.{hint}")
    for key in ("variables", "global_cuts", "global"):
        if not isinstance(content[key], Mapping):
            raise JetmillError(f"{path}: {key}: must be a mapping of keys")
    if not isinstance(content["components"], list) or not content["components"]:
        raise JetmillError(f"{path}: components: must be a list of components")
    for number, component in enumerate(content["components"]):
        _check_component(f"{path}: components.{number}", component)
    return dict(content)


def _check_component(place: str, component: Any) -> None:
    parts = ("region", "sample", "classes", "num_global_objects")
    if not isinstance(component, Mapping) or any(part not in component for part in parts):
        raise JetmillError(f"{place}: must have {', '.join(parts)} (or flavours and num_jets, as they were called)")
    for part, keys in (("region", ("name", "cuts")), ("sample", ("name", "pattern"))):
        found = component[part]
        if not isinstance(found, Mapping) or any(key not in found for key in keys):
            raise JetmillError(f"{place}.{part}: must have {' and '.join(keys)}")


def _load(path: Path) -> Any:
    class Loader(yaml.SafeLoader):
        """Includes files."""

    def include(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise JetmillError(f"{path}: line {node.start_mark.line + 1}: !include: give the path of one file")
        return _load(_included(path, str(loader.construct_scalar(node))))

    Loader.add_constructor("!include", include)
    try:
        with path.open(encoding="utf-8") as file:
            return yaml.load(file, Loader)
    except OSError as error:
        raise JetmillError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise JetmillError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise JetmillError(f"{path}: includes itself, or is nested too deeply") from None


def _included(path: Path, name: str) -> Path:
    """Return the file that an include stands for."""
    installed = find_spec("upp")
    shipped = [Path(installed.origin).parent / "configs"] if installed is not None and installed.origin else []
    folders: Sequence[Path] = [*path.absolute().parents[:3], *shipped]
    found = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if found is None:
        beside = path.with_name(Path(name).name)
        advice = f"write {beside.name}, which is beside it" if beside.is_file() else f"put it beside {path.name}"
        raise JetmillError(f"{path}: !include {name}: no such file; {advice}")
    return found


def _renamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {RENAMED.get(key, key): _renamed(inner) for key, inner in value.items()}
    return [_renamed(inner) for inner in value] if isinstance(value, list) else value
