"""Make docs/config.md and config/schema.json from the configuration models: ``python -m jetmill.reference``."""

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jetmill.config import Config, Name

INTRODUCTION = """# Configuration

Made from `src/jetmill/config.py` by `python -m jetmill.reference`; a test keeps them in step.
Editors that know YAML schemas complete and check a configuration that starts with

    # yaml-language-server: $schema=schema.json

Any key can be set on the command line too: `snakemake --cores 8 --config seed=2 'write={precision: float16}'`.
What `--configfile` and `--config` give is merged key by key; the embedded default joins only where no
`--configfile` is given. Unknown keys are errors.

**Expressions** use the names of variables, numbers, `+ - * / // % **`, comparisons (also chained,
and `in (4, 5)`), and `& | ~` for and, or, not. These three bind more loosely than comparisons, as in
ROOT and unlike in Python: `hadronFlavour == 5 & nBHadrons <= 1` needs no brackets. Functions: `abs
sqrt exp log log10 log1p floor hypot min max where sin cos tan arctan2 sinh cosh tanh arcsinh`.

**A name** that the tree does not hold as a variable of the jets (branch `Jet_<name>`) is looked up as
a variable of the event (branch `<name>`) and given to each of its jets.

**Missing values** are NaN, infinities and what `jets.missing` says. They enter no scaler, and a cut
or class that needs one is not true; only `{cut: ..., missing: keep}` keeps such jets.
"""


def reference() -> str:
    """Return ``docs/config.md``."""
    return INTRODUCTION + "\n" + "\n".join(_section("", Config))


def schema() -> str:
    """Return the JSON schema of a configuration."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


def _section(prefix: str, model: type[BaseModel]) -> Iterator[str]:
    title = prefix.rstrip(".") or "Top level"
    yield f"## {title}\n"
    yield f"{(model.__doc__ or '').strip()}\n"
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        yield f"| `{prefix}{name}` | {_type(field.annotation)} | {_default(field)} | {_cell(field.description or '')} |"
    yield ""
    for name, field in model.model_fields.items():
        for place, inner in _models(field.annotation):
            yield from _section(f"{prefix}{name}{place}.", inner)


def _models(annotation: Any, place: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models that a type holds, with what stands between the key and them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield place, annotation
        return
    origin = get_origin(annotation)
    between = ".<name>" if origin is dict else "[]" if origin is list else ""
    for argument in get_args(annotation):
        yield from _models(argument, place + between)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == Name:
        return "name"
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(a) for a in arguments if a is not type(None))
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"{_type(arguments[0])}: {_type(arguments[1])}"
    if origin is tuple:
        return f"[{', '.join(_type(a) for a in arguments)}]"
    if issubclass(annotation, BaseModel):
        return "section"
    return {str: "text", int: "integer", float: "number", bool: "true or false"}[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    return "see below" if isinstance(default, BaseModel) else "" if default is None else f"`{json.dumps(default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    (root / "docs/config.md").write_text(reference())
    (root / "config/schema.json").write_text(schema())
