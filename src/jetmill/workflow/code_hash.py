"""Which code of the library a job depends on."""

import hashlib
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT.name
REGISTRY = "registry"
# Regular expressions suffice: parsing all modules, as the tests do for comparison, would delay each start by
# half a second.
_TEXT = r'(?:\s*f?"(?:[^"\\\n]|\\.)*")+'
_DESCRIPTION = rf"\bdescription=(?:\({_TEXT}\s*\)|{_TEXT})"
_DOCSTRING = r'^ *r?"""(?:[^\\]|\\.)*?"""'
# To skip what looks like a comment inside a string.
_STRING = r'"""(?:[^\\]|\\.)*?"""|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
_ENDS_OF_LINES = r"(?: *(?:#[^\n]*)?\n)+"
_WORDS = re.compile(
    rf"(?P<description>{_DESCRIPTION})|(?P<docstring>{_DOCSTRING})|{_STRING}|(?P<ends>{_ENDS_OF_LINES})", re.M | re.S
)
_IMPORT = re.compile(rf"^ *from ({PACKAGE}\S*) import \(?([^()]*?)\)?$", re.MULTILINE)


@cache
def code_digest(module: str) -> str:
    """Return a hash of the code of a module of jetmill (``stages.clean``) and of all modules of jetmill it imports.

    Comments, docstrings and descriptions of keys do not count. As a parameter of a rule, it makes a change of the
    library rerun exactly the jobs it concerns; unlike a time stamp it is not fooled by ``git checkout``.
    """
    if _path(f"{PACKAGE}.{module}") is None:
        raise ValueError(f"there is no module {PACKAGE}.{module}")
    digest = hashlib.sha256()
    for path in sorted(modules_of(f"{PACKAGE}.{module}")):
        digest.update(code_of(_text(path)).encode())
    return digest.hexdigest()[:16]


@cache
def code_of(text: str) -> str:
    """Return Python source without comments and blank lines, and with empty docstrings and descriptions of keys."""
    return _WORDS.sub(_without_words, text)


def _without_words(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "description":
            return 'description=""'
        case "docstring":
            return found[0].partition('"')[0] + '""'
        case "ends":
            return "\n"
    return found[0]


@cache
def _path(module: str) -> Path | None:
    """Return the source file of a module, or None if it is not one; nothing is imported."""
    base = ROOT.parent.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.exists()), None)


def modules_of(module: str) -> set[Path]:
    """Return the source files of a module and of all that it imports of the package, however indirectly."""
    found: set[Path] = set()
    open_modules = {module}
    while open_modules:
        path = _path(open_modules.pop())
        if path is not None and path not in found:
            found.add(path)
            open_modules |= _imports(path)
    return found


@cache
def _text(path: Path) -> str:
    return path.read_text()


@cache
def _imports(path: Path) -> frozenset[str]:
    """Return the names that a source file imports from the package; some are modules, some are not."""
    names: set[str] = set()
    if path.stem == REGISTRY:
        # It imports all modules beside it.
        package = ".".join([PACKAGE, *path.relative_to(ROOT).parent.parts])
        names |= {f"{package}.{other.stem}" for other in path.parent.glob("*.py")}
    for module, imported in _IMPORT.findall(_text(path)):
        names |= {module, *(f"{module}.{name.split()[0]}" for name in imported.split(",") if name.strip())}
    return frozenset(names - {PACKAGE})
