"""CONTRIBUTING.md, done: one of each in a few lines, and a run that uses them all."""

import h5py
import numpy as np
import pytest
import workflow_runs as runs

from jetmill.balancing import resampling
from jetmill.balancing.resampling import Largest
from jetmill.config.load import adapter
from jetmill.config.reference import reference
from jetmill.scaling import methods
from jetmill.systematics.variation import VARIATIONS, variation
from jetmill.variables.transforms import JET_TRANSFORMS, transform
from jetmill.workflow.in_process import run_in_process

REGISTRIES = (resampling.METHODS, methods.METHODS, JET_TRANSFORMS, VARIATIONS)
CONFIG = {
    "samples": {"ttbar": {"toy": {"process": "ttbar", "files": 1, "jets": 3000}}},
    "input": {"format": "hdf5"},
    "jets": {
        "variables": ["pt_btagJes", "mass", "squared"],
        "transforms": [{"name": "square", "roles": {"x": "absEta_btagJes"}}],
    },
    "constituents": {"tracks": {"variables": ["pt"], "max": 5}},
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
    "scaling": {"method": "range"},
    "balance": {"bins": {"pt_btagJes": [0, 10_000_000, 2]}, "resampling": {"method": "half"}},
    "systematics": {"collection": "tracks", "roles": {"pt": "pt"}, "variations": ["double"]},
}


@pytest.fixture
def registered():
    """One of each; afterwards the registries are what they were."""
    before = [dict(registry) for registry in REGISTRIES]

    @resampling.method("half", "every second jet")
    def take_half(pool):
        counts = pool.counts // 2
        return Largest(counts.astype(float), counts.sum(axis=1).astype(float), None)

    @methods.method("range", "shift is the minimum, scale the distance to the maximum")
    def minimum_maximum(statistics):
        moments = statistics.scaled
        return moments.minimum, moments.maximum - moments.minimum

    @transform("squared", formula="x^2", of=(JET_TRANSFORMS,))
    def square(x):
        return x**2

    @variation("double", ["pt"])
    def double(given):
        return {"pt": 2 * given.values["pt"]}, None

    adapter.cache_clear()
    yield
    for registry, content in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(content)
    adapter.cache_clear()


@pytest.mark.usefixtures("registered")
def test_one_of_each(tmp_path):
    results = run_in_process(CONFIG | {"output_dir": str(tmp_path / "results")})
    train, test = (runs.datasets(results / f"{output}.h5") for output in ("train", "test"))
    varied = runs.datasets(results / "variations/double/test.h5")
    with h5py.File(results / "clean/ttbar/batch_0000.h5") as file:
        n = file.attrs["class_counts"][0]
        squared = file["variables/squared"][()]
    with h5py.File(results / "toy/ttbar_0000.h5") as file:
        eta = file["jets"]["absEta_btagJes"].astype(np.float64)
    assert set(squared) <= set((eta**2).astype(np.float32))
    # Half of each class in its one bin with jets, give or take the rounding of a quota.
    assert np.bincount(train["jets/labels"]) == pytest.approx(n / 2, abs=1)
    scaled = train["jets/inputs"][:, 1]
    assert scaled.min() >= -0.01
    assert scaled.max() <= 1
    with h5py.File(results / "test.h5") as file:
        shift, scale = (file["tracks/inputs"].attrs[key] for key in ("shift", "scale"))
    nominal, doubled = (x["tracks/inputs"][..., 0] * scale + shift for x in (test, varied))
    valid = test["tracks/valid"]
    assert doubled[valid] == pytest.approx(2 * nominal[valid], rel=1e-4)
    for text in ("half: every second jet.", "range: shift is the minimum, scale the distance to the maximum."):
        assert text in reference()
    assert "`double`" in reference()
