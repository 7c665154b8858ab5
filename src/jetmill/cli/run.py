"""``jetmill run``: the workflow, without a clone."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import takewhile
from os import execv
from pathlib import Path

from jetmill.cli.configurations import paths_of
from jetmill.errors import JetmillError
from jetmill.workflow import ROOT, SNAKEFILE

NAME = "run"
HELP = "make training files; without a configuration, of toys (needs Snakemake)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add configurations and options."""
    parser.usage = "jetmill run [CONFIG ...] [OPTION ...]"
    parser.add_argument(
        "passed_on",
        nargs=argparse.REMAINDER,
        metavar="CONFIG OPTION",
        help="configurations, files or names of examples, later ones overriding keys of earlier ones; then options of"
        " snakemake, such as --cores 8 (default: all cores), -n for a dry run, --profile slurm",
    )


def run(options: argparse.Namespace) -> int:
    """Become Snakemake."""
    if find_spec("snakemake") is None:
        raise JetmillError("jetmill run needs Snakemake; `pip install 'jetmill[workflow]'`")
    command = [sys.executable, "-m", "snakemake", *snakemake_arguments(options.passed_on)]
    sys.stdout.flush()
    execv(sys.executable, command)


def snakemake_arguments(given: Sequence[str]) -> list[str]:
    """Return the arguments of Snakemake for configurations and options of it.

    Raises
    ------
    JetmillError
        If a configuration is neither a file nor an example.
    """
    configs = paths_of(takewhile(lambda argument: not argument.startswith("-"), given))
    options = list(given[len(configs) :])
    names = [option.partition("=")[0] for option in options]
    for place, name in enumerate(names):
        if name == "--profile" and place + 1 < len(options):
            options[place + 1] = _profile(options[place + 1])
    if not _CORES.intersection(names) and not any(name.startswith(("-c", "-j")) for name in names):
        options += ["--cores", "all"]
    # Snakemake looks for it beside the Snakefile, which the installed package has in a directory below.
    if "--workflow-profile" not in names and not Path("profiles/default").exists():
        options += ["--workflow-profile", str(ROOT / "profiles/default")]
    return ["--snakefile", SNAKEFILE, *(["--configfile", *configs] if configs else []), *options]


# What says how many jobs there are at a time.
_CORES = {"--cores", "--jobs", "--profile"}


def _profile(name: str) -> str:
    """Return the directory of one of jetmill's profiles, or the name of another one."""
    own = ROOT / "profiles" / name
    return str(own) if own.is_dir() and not Path(name).exists() else name
