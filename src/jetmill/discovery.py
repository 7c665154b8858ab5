"""Registries: what a module defines is found or registered there, and listed nowhere else."""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Entry = TypeVar("Entry")


def found_in(package: ModuleType, attribute: str) -> dict[str, Any]:
    """Return the values of an attribute, by their ``name``, of all modules of a package that have it.

    Subpackages are not looked into, nor is the module ``registry``, which calls this.
    """
    others = [found.name for found in iter_modules(package.__path__) if not found.ispkg and found.name != "registry"]
    values = [getattr(import_module(f"{package.__name__}.{name}"), attribute, None) for name in others]
    return {value.name: value for value in values if value is not None}


def registered(
    registry: dict[str, Entry], name: str, make: Callable[[Function], Entry]
) -> Callable[[Function], Function]:
    """Return a decorator that puts what `make` returns for a function into a registry."""

    def register(function: Function) -> Function:
        registry[name] = make(function)
        return function

    return register
