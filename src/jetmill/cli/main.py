"""From the command line to a subcommand."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from jetmill import __version__, cli
from jetmill.errors import JetmillError


def commands() -> list[ModuleType]:
    """Return the modules of all subcommands, in the order of their names."""
    found = [import_module(f"{cli.__name__}.{module.name}") for module in iter_modules(cli.__path__)]
    return sorted((module for module in found if hasattr(module, "NAME")), key=lambda module: module.NAME)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; return its exit code, 2 if it cannot do its work."""
    parser = argparse.ArgumentParser(prog="jetmill", description="From simulated collisions to training files.")
    parser.add_argument("--version", action="version", version=f"jetmill {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in commands():
        subparser = subparsers.add_parser(command.NAME, help=command.HELP)
        subparser.description = command.HELP
        command.arguments(subparser)
        subparser.set_defaults(run=command.run)
    options, others = parser.parse_known_args(arguments)
    # Options of another program, which argparse takes for its own if no positional argument is before them.
    if "passed_on" in options:
        options.passed_on = [*others, *options.passed_on]
    elif others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has seen enough, as `head` does; Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except JetmillError as error:
        print(error, file=sys.stderr)
        return 2
    return code
