"""Tutorials as they stand: all code blocks marked ``sh`` and ``python``, in order, in a clone or an empty directory."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import workflow_runs as runs

pytestmark = pytest.mark.workflow


def run(page, directory, data):
    """Run the blocks of a page, whose files in /data/ are those in `data`."""
    text = (runs.ROOT / "docs" / page).read_text()
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    python = shlex.quote(sys.executable)
    shell = f'set -eu\njetmill() {{ {python} -m jetmill "$@"; }}'
    lines = [shell, *(code if kind == "sh" else f"{python} - <<'PYTHON'\n{code}PYTHON\n" for kind, code in blocks)]
    script = "\n".join(lines).replace("/data/", f"{data}/")
    environment = runs.environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def clone(tmp_path):
    """Return what looks like a clone, for results of its own."""
    for name in ("Snakefile", "workflow", "profiles", "config"):
        (tmp_path / name).symlink_to(runs.ROOT / name)
    return tmp_path


def test_the_cms_study(clone):
    printed = run("cms-tutorial.md", clone, clone)
    assert re.search(r"\('b', 'bb', 'c', 'udsg'\) \(\d+, 67\) float16", printed)
    assert (clone / "results/cms-deepcsv/test.h5").exists()


def test_atlas_for_salt(clone):
    printed = run("atlas-tutorial.md", clone, clone)
    for name in ("structured/train.h5", "structured/val_resampled.h5", "norm_dict.yaml", "class_dict.yaml"):
        assert (clone / "results" / name).exists()
    assert "tracks/inputs" in printed


def test_trees_with_constituents(clone, tmp_path):
    spec = importlib.util.spec_from_file_location("bench", runs.ROOT / "benchmarks/root2hdf5.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    for sample in ("top", "qcd"):
        (tmp_path / "data" / sample).mkdir(parents=True)
        bench.write_tree(tmp_path / "data" / sample / "0.root", sample, 2000, 0)
    printed = run("trees-tutorial.md", clone, tmp_path / "data")
    assert re.search(r"\('background', 'signal'\) \(\d+, 80, 7\)", printed)


@pytest.mark.real_data
def test_physlite(clone, tmp_path, shared_data):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/physlite.root").symlink_to(shared_data("physlite_ttbar_100events.root"))
    printed = run("physlite-tutorial.md", clone, tmp_path / "data")
    assert re.search(r"\('b', 'c', 'tau', 'light'\) \(\d+, 4\)\n\(\d+, 20, 10\)", printed)


@pytest.mark.real_data
def test_without_a_clone(tmp_path, shared_data):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/nano.root").symlink_to(shared_data("nano_tt_v15.root"))
    (tmp_path / "empty").mkdir()
    run("start.md", tmp_path / "empty", tmp_path / "data")
    assert (tmp_path / "empty/study/results/manifest.json").exists()
