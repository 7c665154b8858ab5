"""The order of tests, and fixtures that they share; those of finished runs are in `shared`."""

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import settings

# How often its client looks whether the time is up, in seconds; it reads this once.
os.environ.setdefault("XRD_TIMEOUTRESOLUTION", "1")
with suppress(ImportError):
    # Python crashes if it is imported after TensorFlow.
    import XRootD.client  # noqa: F401

pytest_plugins = ["faults", "ntuple_runs", "stage_batches", "stream_runs"]

settings.register_profile("jetmill", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("jetmill")


# What takes longest or waits most begins first: each process of pytest-xdist takes one file after the other.
FIRST = (
    "slurm",
    *(f"test_{name}.py" for name in ("faults", "integrity", "reruns", "distributed", "stream_readers", "systematics")),
    *("workflow", "loading", "formats", "predecessors", "balancing"),
)


def pytest_collection_modifyitems(items):
    def rank(item):
        return next((n for n, name in enumerate(FIRST) if name in item.path.parts), len(FIRST))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def shared_data():
    """Return the path of a real input file, or skip."""

    def find(name):
        path = Path(__file__).parents[2] / "shared/data" / name
        if not path.exists():
            pytest.skip(f"{path} is not there")
        return path

    return find


@pytest.fixture(scope="session")
def write_root():
    """Return a function that writes a TTree of flat (numpy) and jagged (awkward) branches."""

    def write(path, branches, *, tree="Events", baskets=1, compression=None):
        arrays = {name: v if isinstance(v, ak.Array) else np.asarray(v) for name, v in branches.items()}
        n_entries = len(next(iter(arrays.values())))
        types = {
            name: v.type if isinstance(v, ak.Array) else np.dtype((v.dtype, v.shape[1:])) for name, v in arrays.items()
        }
        ends = np.linspace(0, n_entries, baskets + 1).astype(int)
        with uproot.recreate(path, compression=compression or uproot.ZSTD(1)) as file:
            file.mktree(tree, types)
            for start, stop in pairwise(ends):
                file[tree].extend({name: v[start:stop] for name, v in arrays.items()})
        return path

    return write


@pytest.fixture
def raw_config():
    """Return a small valid configuration, fresh for every test."""
    return {
        "samples": {"tt": {"toy": {"process": "ttbar"}}},
        "jets": {"variables": ["pt", "eta"]},
        "classes": {"b": "hadronFlavour == 5", "light": "rest"},
        "balance": {"bins": {"pt": [20, 1000, 5]}},
    }
