"""Finished runs that streams are compared with, each made once, and comparisons of batches."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import hdf5plugin  # noqa: F401
import numpy as np
import pytest
import workflow_runs as runs
from format_runs import ONE, TWO
from stage_runs import run_once

import jetmill
from jetmill.workflow.in_process import run_in_process


def toys(jets, *processes):
    return {name: {"toy": {"process": name, "files": 2, "jets": jets}} for name in processes}


CONFIGS = {
    "one": ONE,
    "two": TWO,
    "root": runs.changed(
        runs.CONFIG,
        {"samples": toys(1500, "ttbar", "qcd"), "jets": {"spectators": ["btagDeepL"]}, "input": {"files_per_batch": 1}},
    ),
    "small": runs.changed(
        ONE,
        {
            "strict": False,
            "samples": toys(250, "ttbar", "zprime"),
            "split": {"modulo": 80, "val": [], "test": [9]},
            "balance": {"resampling": {"method": "none"}},
            "write": {"parts": None, "shuffle": "batch"},
        },
    ),
}


@dataclass(frozen=True)
class Made:
    """A finished run."""

    config: dict
    results: Path

    def arrays(self, *outputs):
        """Return the rows of some finished files together."""
        return together([runs.datasets(self.results / f"{output}.h5") for output in outputs])

    def stream(self, *arguments, **options):
        return jetmill.Stream(self.config, *arguments, **options)

    def files(self, sample):
        return sorted((self.results / "toy").glob(f"{sample}_*"))


def make(results, raw):
    """Do what the workflow does, in this process."""
    raw = raw | {"output_dir": str(results)}
    return Made(raw, run_in_process(raw))


def made(name, tmp_path_factory):
    """Make a run once a session."""
    return Made(*run_once(tmp_path_factory, name, CONFIGS[name]))


def together(batches):
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}


def lengths(batches):
    return [len(b["jets/labels"]) for b in batches]


def fingerprints(arrays):
    """Return all bytes of each jet in all datasets, (n_jets,)."""
    flat = [np.ascontiguousarray(arrays[name]) for name in sorted(arrays)]
    packed = np.concatenate([x.reshape(len(x), prod(x.shape[1:])).view(np.uint8) for x in flat], axis=1)
    return packed.view(f"V{packed.shape[1]}")[:, 0]


def assert_same_jets(found, expected):
    """Compare names, types and shapes, and all values bit for bit, in any order and as often."""
    assert {name: (x.dtype, x.shape) for name, x in found.items()} == {
        name: (x.dtype, x.shape) for name, x in expected.items()
    }
    np.testing.assert_array_equal(np.sort(fingerprints(found)), np.sort(fingerprints(expected)))


def assert_same_batches(found, expected):
    """Compare all batches, in their order."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert list(a) == list(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def identity(arrays):
    return np.stack([x.astype(np.int64) for name, x in arrays.items() if name.startswith("jets/event/")], axis=1)


@pytest.fixture
def run(request, tmp_path_factory):
    return made(request.param, tmp_path_factory)


@pytest.fixture
def one(tmp_path_factory):
    return made("one", tmp_path_factory)


@pytest.fixture
def two(tmp_path_factory):
    return made("two", tmp_path_factory)


@pytest.fixture
def from_root(tmp_path_factory):
    return made("root", tmp_path_factory)


@pytest.fixture
def small(tmp_path_factory):
    return made("small", tmp_path_factory)
