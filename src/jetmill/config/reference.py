"""Make docs/config.md, docs/transforms.md and config/schema.json: ``python -m jetmill.config.reference``."""

import inspect
import json
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from jetmill.config.load import adapter
from jetmill.settings.config import Config
from jetmill.settings.types import Before, Name, OneOf
from jetmill.variables.transforms import JET_TRANSFORMS, TRANSFORMS, table

INTRODUCTION = """# Configuration

Made from `src/jetmill/settings/` by `python -m jetmill.config.reference`; a test keeps them in step.
Editors that know YAML schemas complete and check a configuration that starts with

    # yaml-language-server: $schema=schema.json

Any key can be set on the command line too: `snakemake --cores 8 --config seed=2 'write={precision: float16}'`.
What `--configfile` and `--config` give is merged key by key; the embedded default joins only where no
`--configfile` is given. A key whose value is `null` counts as not given, so one file can unset a section of another.
Unknown keys are errors, and so is a key that one mapping of a file has twice: YAML would
keep the last one and lose the other. So are the keys of YTE templates (`__use_yte__` and the like), whose code
Snakemake would run: [`SECURITY.md`](../SECURITY.md).

**Expressions** use the names of variables, numbers, `+ - * / // % **`, comparisons (also chained,
and `in (4, 5)`), and `& | ~` for and, or, not. These three bind more loosely than comparisons, as in
ROOT and unlike in Python: `hadronFlavour == 5 & nBHadrons <= 1` needs no brackets. Functions: `abs
sqrt exp log log10 log1p floor hypot min max where sin cos tan arctan2 sinh cosh tanh arcsinh`, and
`count(tracks)`, in expressions of jets: how many constituents of that collection the jet has in the file,
before `select` and `max`.

**Bits.** Between conditions `& | ~` are logical, between integers they work on bits: `(puId & 4) == 4`, with
the parentheses. Without them it is an integer and a condition, which is an error, as is a float. `&& || !` and
`and or not` are always logical, as in C: a number is true if it is not 0. What `define`, transforms and networks
make are floats: `is_tight != 0 & pt > 20` for `define: {is_tight: (puId & 4) == 4}`.

**Integers** are exact, whatever their type and size: `event - 400000000 < 0` is right for an unsigned `event`,
and so are comparisons of large integers with floats. `x // 0` and `x % 0` are missing. An integer beyond
`2**1023` is an error. Results are floats, in double precision, if one operand is a float, of `/`, of functions
but `abs min max floor where`, and of `**` unless the exponent is an integer constant from 0 on. A condition in
arithmetic is 0 or 1. A sum can have 1000 terms, a chain of `&` or `|` any number.

**A name** that the tree does not hold as a variable of the jets (branch `Jet_<name>`) is looked up as
a variable of the event (branch `<name>`) and given to each of its jets.

**Limits** are far beyond what makes sense, and what is beyond them is refused before anything runs: 10,000 entries of
a section or list (50,000 input files; more in a text file), 2,000 names in a list, 200 characters of a name; 10^12
jets to write; 1e-6 to 1e6 for shares, fractions and `max_upsampling`; 1e30 in size for other numbers, which a float32
must hold; 100,000 bins of a variable, and 100,000,000 for bins x classes x (samples + components), with which
`balance` asks for 16 GB of memory.

**Missing values** are NaN, infinities, numbers beyond single precision (3.4e38), what an expression does not define
(`x // 0`), and what `jets.missing` says; the log of `clean` counts all but the NaN of the files. They enter no scaler,
and a cut or class that needs one is not true; only `{cut: ..., missing: keep}` keeps such jets. In `define`, arithmetic
with a missing value is missing, and a comparison with it is false (but `!=` true). Integers some of which are
missing stay integers in expressions; the same variable in an output is a float. Variables of `input.matched`
are floats.
"""


TRANSFORMS_PAGE = """# Transforms and plug-ins

Made from `src/jetmill/variables/transforms.py` by `python -m jetmill.config.reference`; a test keeps them in step.

`transforms` of jets or of a collection of constituents makes new variables. A step is the name of a
transform, or a section: `{{name: log_set, roles: {{energy: E}}, prefix: my_}}`. What a transform takes are
roles, played by the variables of these names unless `roles` says otherwise; `jet_eta` and `jet_phi` are
eta and phi of the jet. Steps are taken in their order, after `define`, and for constituents after
`select`: sums and the hardest are those of all selected constituents, however many are truncated later. A
number that does not exist, as the logarithm of 0, is missing.

## Of constituents

{of_constituents}
## Of jets

{of_jets}
## Plug-ins

A step can be a function in a Python file of yours: `{{plugin: mine.py, function: make, reads: [pt, d0],
reads_jets: [pt], makes: [share]}}`.

```python
def make(constituents, jets):  # dictionaries of arrays; a function of jets takes the jets alone
    return {{"share": constituents["pt"] / jets["pt"][constituents["jet"]]}}  # "jet" numbers the jets
```

It sees the jets of one piece of a file at a time, so what it makes of a jet must depend on that jet
alone. An edit of the file reruns the cleaning.
"""


def reference() -> str:
    """Return ``docs/config.md``."""
    return INTRODUCTION + "\n" + "\n".join(_section("", Config, _schema()))


def transforms() -> str:
    """Return ``docs/transforms.md``."""
    return TRANSFORMS_PAGE.format(of_constituents=table(TRANSFORMS), of_jets=table(JET_TRANSFORMS))


def schema() -> str:
    """Return the JSON schema of a configuration."""
    return json.dumps(_schema(), indent=1) + "\n"


def _schema() -> dict[str, Any]:
    schema = adapter(Config).json_schema()
    for section in {Config, *(inner for _, inner in _all_sections(Config))}:
        keys = schema["$defs"].get(section.__name__, schema)["properties"]
        for name, hint in get_type_hints(section, include_extras=True).items():
            if descriptions := [text for of in _registries(hint) for text in of.descriptions]:
                keys[name]["description"] = " ".join([keys[name].get("description", ""), *descriptions])
    # Pydantic does not look for the descriptions of inherited keys.
    for section in {inner for _, inner in _all_sections(Config)}:
        for base in section.__mro__[1:-1]:
            keys = schema["$defs"][section.__name__]["properties"]
            for name, inherited in schema["$defs"][base.__name__]["properties"].items():
                keys[name] |= {k: v for k, v in inherited.items() if k == "description"}
    unwrapped: dict[str, Any] = _unwrapped(schema)
    return unwrapped


def _all_sections(section: Any) -> Iterator[tuple[str, type]]:
    for hint in get_type_hints(section, include_extras=True).values():
        for place, inner in _sections(hint):
            yield place, inner
            yield from _all_sections(inner)


def _unwrapped(schema: Any) -> Any:
    """Return a schema with each description in one line."""
    if isinstance(schema, dict):
        return {
            key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _unwrapped(value)
            for key, value in schema.items()
        }
    return [_unwrapped(value) for value in schema] if isinstance(schema, list) else schema


def _section(prefix: str, section: Any, schema: dict[str, Any]) -> Iterator[str]:
    title = prefix.rstrip(".") or "Top level"
    yield f"## {title}\n"
    yield f"{inspect.cleandoc(section.__doc__ or '')}\n"
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    keys = schema["$defs"].get(section.__name__, schema)["properties"]
    hints = get_type_hints(section, include_extras=True)
    for key in fields(section):
        kind, meaning = _type(hints[key.name]), _escaped(keys[key.name].get("description", ""))
        yield f"| `{prefix}{key.name}` | {kind} | {_default(key)} | {meaning} |"
    yield ""
    for name, hint in hints.items():
        for place, inner in _sections(hint):
            yield from _section(f"{prefix}{name}{place}.", inner, schema)


def _sections(annotation: Any, place: str = "") -> Iterator[tuple[str, type]]:
    """Yield the sections that a type holds, with what stands between the key and them."""
    if is_dataclass(annotation) and isinstance(annotation, type):
        yield place, annotation
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    between = ".<name>" if origin is dict else "[]" if origin is tuple else ""
    for argument in arguments[:1] if origin is Annotated else arguments:
        yield from _sections(argument, place + between)


def _registries(annotation: Any) -> Iterator[OneOf]:
    """Yield the registries whose keys a type takes."""
    if isinstance(annotation, OneOf):
        yield annotation
    elif get_origin(annotation) in (Annotated, tuple):
        for argument in get_args(annotation):
            yield from _registries(argument)


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == Name:
        return "name"
    if origin is Annotated:
        choices = [choice for of in arguments[1:] if isinstance(of, OneOf) for choice in of.choices]
        if choices:
            return _choices(choices)
        forms = [of.also for of in arguments[1:] if isinstance(of, Before) and of.also and is_dataclass(arguments[0])]
        return " or ".join(_type(form) for form in [*forms, arguments[0]])
    if origin is Literal:
        return _choices(arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(a) for a in arguments if a is not type(None))
    if origin is dict:
        return f"{_type(arguments[0])}: {_type(arguments[1])}"
    if origin is tuple:
        any_length = arguments[-1] is Ellipsis
        return f"list of {_type(arguments[0])}" if any_length else f"[{', '.join(_type(a) for a in arguments)}]"
    if is_dataclass(annotation):
        return "section"
    return {str: "text", int: "integer", float: "number", bool: "true or false"}[annotation]


def _choices(values: Any) -> str:
    return " or ".join(f"`{value}`" for value in values)


def _default(key: Field[Any]) -> str:
    default = key.default_factory() if key.default_factory is not MISSING else key.default
    if default is MISSING:
        return "required"
    return "see below" if is_dataclass(default) else "" if default is None else f"`{json.dumps(default)}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    root = Path(__file__).parents[3]
    (root / "docs/config.md").write_text(reference())
    (root / "docs/transforms.md").write_text(transforms())
    (root / "config/schema.json").write_text(schema())
