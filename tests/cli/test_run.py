"""``jetmill run``, the workflow inside of the wheel, and the Snakefile of three lines."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest
import workflow_runs as runs
import yaml

import jetmill.workflow
from jetmill.cli.main import main
from jetmill.cli.run import snakemake_arguments
from jetmill.errors import JetmillError
from jetmill.workflow import ROOT, SNAKEFILE

OWN = str(ROOT / "profiles/default")
COMMANDS = {
    "nothing: toys on all cores": ([], ["--cores", "all", "--workflow-profile", OWN]),
    "two configurations": (
        ["a.yaml", "b.yaml", "-n"],
        ["--configfile", "a.yaml", "b.yaml", "-n", "--cores", "all", "--workflow-profile", OWN],
    ),
    "cores": (["a.yaml", "-c8"], ["--configfile", "a.yaml", "-c8", "--workflow-profile", OWN]),
    "a profile of jetmill by its name": (
        ["a.yaml", "--profile", "slurm"],
        ["--configfile", "a.yaml", "--profile", str(ROOT / "profiles/slurm"), "--workflow-profile", OWN],
    ),
    "other profiles": (
        ["--profile", "lxplus", "--workflow-profile", "none"],
        ["--profile", "lxplus", "--workflow-profile", "none"],
    ),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        Path(name).touch()


@pytest.mark.parametrize(("given", "expected"), COMMANDS.values(), ids=COMMANDS.keys())
def test_the_command_of_snakemake(here, given, expected):
    assert snakemake_arguments(given) == ["--snakefile", SNAKEFILE, *expected]


def test_profiles_of_the_directory_come_first(here):
    for name in ("slurm", "profiles/default"):
        Path(name).mkdir(parents=True)
    assert snakemake_arguments(["--profile", "slurm"]) == ["--snakefile", SNAKEFILE, "--profile", "slurm"]


def test_examples_have_names(here):
    assert snakemake_arguments(["atlas-tdd", "a.yaml", "-n"])[3:5] == [str(ROOT / "config/atlas-tdd.yaml"), "a.yaml"]
    Path("atlas-tdd").touch()
    assert snakemake_arguments(["atlas-tdd", "-n"])[3] == "atlas-tdd"


def test_what_is_neither_a_file_nor_an_example(here):
    message = r"^atlas-td: no such file, and no example: atlas-jetset, atlas-tdd, .*\. Did you mean 'atlas-tdd'\?$"
    with pytest.raises(JetmillError, match=message):
        snakemake_arguments(["a.yaml", "atlas-td", "-n"])


def test_options_of_snakemake_are_passed_on(here, monkeypatch):
    given = []
    monkeypatch.setattr("jetmill.cli.run.execv", lambda _, command: given.append(command))
    main(["run", "-n", "-q", "rules", "--forceall"])
    main(["run", "a.yaml", "--cores", "2"])
    assert [command[5:8] for command in given] == [["-n", "-q", "rules"], ["--configfile", "a.yaml", "--cores"]]


def test_other_commands_know_their_options(capsys):
    with pytest.raises(SystemExit):
        main(["verify", "results", "--quickly"])
    assert "unrecognized arguments: --quickly" in capsys.readouterr().err


def test_without_snakemake_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("jetmill.cli.run.find_spec", lambda _: None)
    assert main(["run"]) == 2
    assert capsys.readouterr().err == "jetmill run needs Snakemake; `pip install 'jetmill[workflow]'`\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install a wheel made of an sdist, without the clone but with the packages of this environment."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(directory), "-t"]
    subprocess.run([*build, "sdist"], cwd=runs.ROOT, check=True, capture_output=True)
    (sdist,) = directory.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(directory / "unpacked", filter="data")
    (unpacked,) = (directory / "unpacked").iterdir()
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory / "venv"], check=True)
    (packages,) = (directory / "venv/lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # Beside those of jetmill in development, if they are there.
    (packages / "others.pth").write_text(str(Path(numpy.__file__).parents[1]))
    return directory / "venv/bin/python"


def call(python, directory, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("SNAKEMAKE_")}
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run([python, *arguments], cwd=directory, env=environment, check=False, **both)


def packaged_workflow(python):
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    return packages / "jetmill/_workflow"


@pytest.mark.workflow
def test_the_wheel_runs_without_a_clone(installed, default_config, tmp_path):
    config = {**default_config, "report": {"plots": False}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    where = call(installed, tmp_path, "-c", "import jetmill.workflow as w; print(w.ROOT)").stdout.strip()
    assert Path(where) == packaged_workflow(installed)
    run = call(installed, tmp_path, "-m", "jetmill", "run", "my.yaml", "--cores", "2")
    assert run.returncode == 0, run.stdout
    assert f"Using workflow specific profile {where}/profiles/default" in run.stdout
    assert len(jetmill.load(tmp_path / "results/train.h5")) > 1000
    # The same results belong to the clone's workflow, which finds nothing to do.
    again = runs.snakemake(tmp_path, "-n", config=config)
    assert "Nothing to be done" in again.output


@pytest.mark.workflow
def test_the_wheel_holds_every_file_of_the_workflow(installed):
    packaged = packaged_workflow(installed)
    for name in ("workflow", "profiles", "config", "envs"):
        in_clone = {path.relative_to(runs.ROOT): path for path in (runs.ROOT / name).rglob("*") if path.is_file()}
        assert in_clone
        for relative, path in in_clone.items():
            assert (packaged / relative).read_bytes() == path.read_bytes()


def three_lines():
    """Return them as the docstring of the package shows them."""
    example = jetmill.workflow.__doc__.partition("::\n\n")[2].splitlines()
    return [line.strip() for line in example]


@pytest.mark.workflow
def test_a_snakefile_of_three_lines(default_config, tmp_path):
    (tmp_path / "Snakefile").write_text("\n".join(three_lines()))
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(default_config))
    run = runs.snakemake(tmp_path, "-n", "-s", str(tmp_path / "Snakefile"))
    assert run.code == 0, run.output
    assert (run.jobs["clean"], run.jobs["all"]) == (2, 1)


@pytest.mark.workflow
def test_a_snakefile_may_name_its_configuration(ntuples, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(ntuples.config))
    (tmp_path / "Snakefile").write_text("\n".join(['configfile: "mine.yaml"', *three_lines()]))
    run = runs.snakemake(tmp_path, "-n", "-s", str(tmp_path / "Snakefile"))
    assert run.code == 0, run.output
    assert run.jobs["clean"] == 4
    assert "make_toy" not in run.jobs


# As `snakedeploy deploy-workflow` writes it, beside a copy of config/.
DEPLOYED = """
configfile: "config/config.yaml"

module jetmill:
    snakefile: "{snakefile}"
    config: config

use rule * from jetmill
"""


@pytest.mark.workflow
def test_snakedeploy_can_deploy_the_workflow(default_config, tmp_path):
    for name in ("workflow", "config"):
        (tmp_path / name).mkdir()
    (tmp_path / "workflow/Snakefile").write_text(DEPLOYED.format(snakefile=SNAKEFILE))
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(default_config))
    run = runs.snakemake(tmp_path, "-n", "-s", str(tmp_path / "workflow/Snakefile"))
    assert run.code == 0, run.output
    assert (run.jobs["clean"], run.jobs["all"]) == (2, 1)
