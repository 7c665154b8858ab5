"""Packages that not every configuration needs are looked for before anything runs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import workflow_runs as runs
from fake_conda import CONDA

from jetmill import packages
from jetmill.errors import JetmillError
from jetmill.formats.registry import FORMATS
from jetmill.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
OF_FORMATS = {name: found.package for name, found in FORMATS.items() if found.package}
ALL = [*OF_FORMATS.values(), *packages.COMPRESSION.values(), packages.NETWORKS, *packages.PROTOCOLS.values()]


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "model.onnx"
    path.touch()
    return {"jets": {"variables": ["pt"], "networks": [{"name": "nn", "file": str(path), "variables": ["pt"]}]}}


@pytest.fixture
def without(monkeypatch):
    """Hide a module, as if it were not installed."""
    return lambda module: monkeypatch.setitem(sys.modules, module, None)


def formats(*names):
    return {"write": {"formats": list(names)}}


def compression(name):
    return {"write": {"compression": name}}


def url(protocol):
    return {"samples": {"tt": {"files": [f"{protocol}://server//a.root"]}}}


def refusal(raw):
    with pytest.raises(JetmillError) as error:
        Plan.from_raw(raw, jobs_run_here=True)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "module", "sentence"),
    [
        (formats("hdf5", "torch"), "torch", "write.formats: torch needs PyTorch; `pip install torch`, or leave it out"),
        (formats("parquet"), "pyarrow", "write.formats: parquet needs pyarrow; `pip install pyarrow`, or leave it out"),
        (
            formats("tfrecords"),
            "google_crc32c",
            "write.formats: tfrecords needs google-crc32c; `pip install google-crc32c`, or leave it out",
        ),
        (
            compression("lz4"),
            "hdf5plugin",
            "write.compression: lz4 needs hdf5plugin; `pip install hdf5plugin`, or choose gzip",
        ),
        (
            compression("zstd"),
            "hdf5plugin",
            "write.compression: zstd needs hdf5plugin; `pip install hdf5plugin`, or choose gzip",
        ),
        (
            url("root"),
            "XRootD",
            "samples: input from root:// needs fsspec-xrootd and xrootd; `pip install fsspec-xrootd xrootd`,"
            " or copy the files to this machine",
        ),
        (
            url("https"),
            "aiohttp",
            "samples: input from https:// needs aiohttp and requests; `pip install aiohttp requests`,"
            " or copy the files to this machine",
        ),
    ],
)
def test_what_is_not_installed_is_named(changes, module, sentence, raw_config, without):
    without(module)
    assert sentence in refusal(raw_config | changes).splitlines()


def test_networks_need_onnxruntime(raw_config, network, without):
    without("onnxruntime")
    assert (
        refusal(raw_config | network) == "jets.networks needs onnxruntime; `pip install onnxruntime`, or leave it out"
    )


def test_all_that_is_missing_is_named_at_once(raw_config, without):
    for module in ("torch", "pyarrow", "hdf5plugin"):
        without(module)
    write = {"formats": ["torch", "parquet"], "compression": "lz4"}
    gone = {"samples": {"tt": {"files": "gone.root"}}}
    lines = refusal(raw_config | {"write": write} | gone).splitlines()
    assert [line.split(" needs ")[0] for line in lines] == [
        "samples.tt.files: gone.root: no such file",
        "write.formats: torch",
        "write.formats: parquet",
        "write.compression: lz4",
    ]


def test_what_is_not_needed_is_not_missed(raw_config, without):
    for package in ALL:
        for module in package.modules:
            without(module)
    Plan.from_raw(raw_config | formats("hdf5", "structured") | compression("gzip"), jobs_run_here=True)


def test_jobs_elsewhere_may_have_what_is_not_here(raw_config, without):
    without("torch")
    Plan.from_raw(raw_config | formats("torch"))


def test_nothing_heavy_is_imported(raw_config, network):
    needed = [package for package in ALL if package.installed]
    write = {"formats": [name for name, p in OF_FORMATS.items() if p in needed], "compression": "gzip"}
    raw = raw_config | {"write": write} | (network if packages.NETWORKS in needed else {})
    modules = [module for package in needed for module in package.modules]
    code = f"import sys\nfrom jetmill.plan import Plan\nPlan.from_raw({raw!r}, jobs_run_here=True)\n"
    code += f"print(*(module for module in {modules!r} if module in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_pip_is_given_names_of_pyproject():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    known = {line.split(">=")[0] for name in ("formats", "remote", "torch") for line in extras[name]}
    assert {word for package in ALL for word in package.install.split()} == known


# The workflow


@pytest.fixture
def without_torch(tmp_path, monkeypatch):
    """Start every Python without PyTorch."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))


@pytest.mark.workflow
def test_a_run_without_pytorch_is_refused_before_it_starts(raw_config, tmp_path, without_torch):
    run = runs.snakemake(tmp_path / "run", "--cores", "1", config=raw_config | formats("hdf5", "torch"))
    assert run.code == 1
    assert "\nwrite.formats: torch needs PyTorch; `pip install torch`, or leave it out\n" in run.output
    assert "Traceback" not in run.output
    assert not run.results.exists()


@pytest.mark.workflow
def test_a_run_with_conda_is_not_refused(raw_config, tmp_path, monkeypatch, without_torch):
    conda = tmp_path / "bin/conda"
    conda.parent.mkdir()
    conda.write_text(CONDA.format(python=sys.executable, prefix=str(tmp_path), packages=""))
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", str(conda.parent), prepend=":")
    arguments = ["-n", "--software-deployment-method", "conda"]
    run = runs.snakemake(tmp_path / "run", *arguments, config=raw_config | formats("hdf5", "torch"))
    assert run.code == 0, run.output
    assert run.jobs["write"] == 6
