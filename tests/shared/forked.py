"""Snakemake in a fork of a process that has imported it already, which takes six times as long as a dry run."""

import atexit
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        *("snakemake.cli", "snakemake.profiles", "snakemake.report.html_reporter", "smart_open", "nbformat.v4"),
        *("jetmill.plan", *(f"jetmill.workflow.{name}" for name in ("messages", "stored_columns", "tuning"))),
    ]
)
TESTS = str(Path(__file__).resolve().parents[1])


def snakemake(arguments: list[str], directory: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Do what ``python -m snakemake`` does in a directory.

    Returns
    -------
    The exit code, negative for a signal, and what Snakemake and its jobs printed, after the end of all of them.
    """
    _start_server()
    output, writer = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_main, args=(arguments, str(directory), dict(environment), writer))
    process.start()
    writer.close()
    with os.fdopen(os.dup(output.fileno()), errors="replace") as file:
        printed = file.read()
    process.join()
    return process.exitcode, printed


def _start_server() -> None:
    """Have the server import this jetmill, not that of the first run which has another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        forkserver.ensure_running()


def _main(arguments: list[str], directory: str, environment: Mapping[str, str], writer: Connection) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    added = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    if added:  # perhaps another jetmill
        for name in [name for name in sys.modules if name.partition(".")[0] == "jetmill"]:
            del sys.modules[name]
    sys.path[:] = [directory, *added, *(path for path in sys.path if path and not path.startswith(TESTS))]
    if any((Path(path) / "sitecustomize.py").exists() for path in added):  # as Python does when it starts
        sys.modules.pop("sitecustomize", None)
        import_module("sitecustomize")
    sys.argv[:] = ["snakemake", *arguments]
    for descriptor in (1, 2):
        os.dup2(writer.fileno(), descriptor)
    writer.close()
    from snakemake.cli import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing does not
