"""The profile for HTCondor, the conda environments and the container."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from fake_conda import CONDA

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / "profiles/htcondor"
# Names that differ between PyPI and conda-forge; matplotlib-base is matplotlib without Qt.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch-cpu"}


def profile():
    return yaml.safe_load((PROFILE / "config.yaml").read_text())


def snakemake(*arguments, **variables):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE_")} | variables
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_snakemake_knows_every_key_of_the_htcondor_profile():
    pytest.importorskip("snakemake", reason="snakemake is not installed")
    from snakemake.cli import get_argument_parser

    actions = get_argument_parser()._actions
    options = {option.removeprefix("--") for action in actions for option in action.option_strings}
    own = {key for key in profile() if not key.startswith("htcondor-")}
    assert {"executor", "jobs", "retries", "latency-wait", "default-resources"} <= own
    assert own <= options


@pytest.fixture
def plugin():
    """Return where the plugin is: apart from the rest, as `make test` installs it."""
    directory = Path(sys.prefix) / "htcondor"
    if not (directory / "snakemake_executor_plugin_htcondor").exists():
        pytest.skip(f"the HTCondor plugin is not installed in {directory}, see requirements-htcondor.txt")
    return directory


SETTINGS = "import snakemake_executor_plugin_htcondor as p; print(*p.ExecutorSettings.__dataclass_fields__)"


def test_the_plugin_knows_every_key_of_the_htcondor_profile(plugin):
    environment = {**os.environ, "PYTHONPATH": str(plugin)}
    command = [sys.executable, "-c", SETTINGS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    settings = set(done.stdout.split())
    keys = {key.removeprefix("htcondor-").replace("-", "_") for key in profile() if key.startswith("htcondor-")}
    assert keys
    assert keys <= settings
    # It takes resources by name, and says nothing about one that it does not know.
    source = (plugin / "snakemake_executor_plugin_htcondor/__init__.py").read_text()
    for name in set(profile()["default-resources"]) - {"mem_mb"}:
        assert f'"{"classad_" if name.startswith("classad_") else name}"' in source


def test_a_dry_run_takes_the_htcondor_profile(plugin):
    arguments = ["--profile", "profiles/htcondor", "--dry-run", "--quiet", "rules"]
    done = snakemake(*arguments, PYTHONPATH=str(plugin))
    assert done.returncode == 0, done.stdout


def test_jobs_on_htcondor_start_where_snakemake_was_started(tmp_path):
    wrapper = ROOT / profile()["default-resources"]["job_wrapper"]
    shared, scratch = tmp_path / "shared directory", tmp_path / "scratch"
    shared.mkdir()
    scratch.mkdir()
    # As HTCondor writes it.
    description = f'Cmd = "job.sh"\nIwd = "{scratch}"\nOrigIwd = "{shared}"\nOwner = "me"\n'
    (scratch / ".job.ad").write_text(description)
    environment = {**os.environ, "_CONDOR_JOB_AD": str(scratch / ".job.ad")}
    command = [str(wrapper), sys.executable, "-c", "import os, sys; print(os.getcwd(), *sys.argv[1:])", "-m", "x y"]
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"{shared} -m x y\n", done.stderr

    shared.rmdir()
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(shared) in done.stderr


def requirements(*extras):
    """Return name to version of what pyproject.toml asks for, under the names of conda-forge."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return {"python": project["requires-python"]} | dict(split(line) for line in lines)


def split(line):
    name, version = re.fullmatch(r"([\w.-]+)\s*(.*)", line).groups()
    return CONDA_NAMES.get(name, name), version


@pytest.mark.parametrize(("name", "extras"), [("jetmill", ["formats"]), ("torch", ["formats", "torch"])])
def test_conda_environments_agree_with_pyproject(name, extras):
    environment = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
    assert dict(split(line) for line in environment["dependencies"]) == requirements(*extras)


@pytest.mark.workflow
def test_jobs_in_a_conda_environment_import_the_jetmill_that_snakemake_runs_with(tmp_path):
    # This is about how jobs find jetmill, which the environment does not hold, and not about conda.
    import numpy

    import jetmill

    packages, source = Path(numpy.__file__).parents[1], Path(jetmill.__file__).parents[1]
    if source == packages:
        pytest.skip("jetmill is among the packages, so that no environment of them is without it")
    (tmp_path / "bin").mkdir()
    conda = tmp_path / "bin/conda"
    conda.write_text(CONDA.format(python=sys.executable, prefix=str(tmp_path), packages=str(packages)))
    conda.chmod(0o755)
    (tmp_path / "bin/activate").write_text('export PATH="$1/bin:$PATH"\n')

    run = tmp_path / "run"
    arguments = ["--snakefile", ROOT / "Snakefile", "--directory", run, "--cores", "1", "--config"]
    arguments += ["samples={tt: {toy: {process: ttbar, files: 1, jets: 500}}}"]
    arguments += ["--software-deployment-method", "conda", "--", "results/toy/toy/tt_0000.root"]
    done = snakemake(*arguments, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stdout
    assert "Activating conda environment" in done.stdout
    assert (run / "results/toy/toy/tt_0000.root").stat().st_size > 0

    (python,) = run.glob(".snakemake/conda/*/bin/python")
    alone = subprocess.run([python, "-c", "import numpy, jetmill"], capture_output=True, text=True, check=False)
    assert "No module named 'jetmill'" in alone.stderr


def instructions(name):
    """Return what follows a word of the Dockerfile, line by line."""
    lines = (ROOT / "envs/Dockerfile").read_text().splitlines()
    return [line.removeprefix(name).split() for line in lines if line.startswith(f"{name} ")]


def test_the_container_copies_what_is_there_and_what_the_workflow_needs():
    copied = [source for *sources, _ in instructions("COPY") for source in sources]
    for source in copied:
        assert (ROOT / source).exists(), source
    readme = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"]
    assert {"requirements.txt", "pyproject.toml", readme, "src"} <= set(copied)
    assert {"Snakefile", "workflow", "config", "envs", "profiles"} <= set(copied)
    # The rest is kept out of the build by the list beside the Dockerfile.
    allowed = (ROOT / "envs/Dockerfile.dockerignore").read_text().split()
    assert set(copied) == {line.removeprefix("!") for line in allowed if line.startswith("!")}


def test_the_container_has_the_pinned_packages_and_the_python_they_are_pinned_for():
    installs = [words for words in instructions("RUN") if words[:2] == ["pip", "install"]]
    pinned, itself = installs
    assert pinned[-2:] == ["--requirement", "/opt/jetmill/requirements.txt"]
    assert "--no-deps" in itself
    packages = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] not in "# "]
    assert packages
    assert all(re.match(r"[\w.\[\]-]+==", line) for line in packages)
    (image,) = instructions("FROM")
    assert image == ["python:3.11-slim"]
    assert requirements()["python"] == ">=3.11"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt", "requirements-htcondor.txt"])
def test_packages_are_pinned_with_hashes(name):
    """One package without a hash, and pip refuses all of them."""
    text = "\n".join(line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#"))
    packages = re.findall(r"^\S+==\S+ \\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+", text, flags=re.MULTILINE)
    assert packages
    assert "".join(packages).strip() == text.strip()
    (command,) = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.endswith(f"--requirement {name}")
    ]
    assert "--require-hashes" in command
