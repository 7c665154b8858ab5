"""The command ``jetmill``: its subcommands are the modules beside it."""

import subprocess
import sys

import pytest

from jetmill.cli.main import commands, main
from jetmill.errors import JetmillError


def test_help_lists_every_subcommand(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"    {command.NAME}" in printed for command in commands())
    assert "verify" in [command.NAME for command in commands()]


def test_a_mistake_is_one_sentence(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none'}: no such directory\n"


def test_a_subcommand_is_a_module(monkeypatch, capsys):
    from types import SimpleNamespace

    def run(options):
        if options.number > 9:
            raise JetmillError("too many")
        print(options.number)
        return 3

    command = SimpleNamespace(
        NAME="count", HELP="count", run=run, arguments=lambda parser: parser.add_argument("number", type=int)
    )
    monkeypatch.setattr("jetmill.cli.main.commands", lambda: [command])
    assert (main(["count", "7"]), capsys.readouterr().out) == (3, "7\n")
    assert (main(["count", "10"]), capsys.readouterr().err) == (2, "too many\n")


def test_as_a_module(tmp_path):
    done = subprocess.run([sys.executable, "-m", "jetmill", "verify", tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert str(tmp_path) in done.stderr


def test_output_may_be_cut_short(ntuples):
    command = f"'{sys.executable}' -m jetmill inspect '{ntuples.files['top'][0]}' '*' | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
