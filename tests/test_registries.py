"""CONTRIBUTING.md, done: one of each in a few lines, and a run that uses them all."""

import h5py
import numpy as np
import pytest
import workflow_runs as runs

from jetmill import sources, splitting
from jetmill.balancing import resampling
from jetmill.balancing.resampling import Largest
from jetmill.columns.batch_list import read_batch_list
from jetmill.config.load import adapter, load
from jetmill.config.reference import reference
from jetmill.discovery import found_in
from jetmill.report import jets as figures
from jetmill.report.jets.registry import FIGURES
from jetmill.scaling import methods
from jetmill.settings.figures import FigureSettings
from jetmill.sources.registry import INPUT_FORMATS
from jetmill.stages.plot_jets import plot_jets
from jetmill.systematics.variation import VARIATIONS, variation
from jetmill.toys import processes
from jetmill.toys.processes.registry import PROCESSES
from jetmill.variables.transforms import JET_TRANSFORMS, transform
from jetmill.workflow.in_process import run_in_process

# An input format, a process of toys and a figure are modules.
NUMPY = '''
"""NumPy: the structured arrays of an ATLAS dump in an ``.npz`` file."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jetmill.sources.chunk import ConstituentColumns
from jetmill.sources.input_format import InputFormat
from jetmill.toys import dumps


class NumpyFile:
    """A file, which is small enough to be one chunk."""

    def __init__(self, path, arrays):
        self.identity = {"size": Path(path).stat().st_size}
        self.arrays = arrays
        self.entry = np.arange(len(arrays["jets"]))
        self.position = np.zeros_like(self.entry)

    def dtypes(self, names):
        return {name: self.arrays["jets"].dtype[name] for name in names}

    def constituent_dtypes(self, collection, names):
        return {name: self.arrays[collection].dtype[name] for name in names}

    def chunks(self, names, constituents):
        self.columns = {name: self.arrays["jets"][name] for name in names}
        yield self

    def constituents(self, collection, names, jets):
        records = self.arrays[collection][jets]
        used = records["valid"]
        return ConstituentColumns(used.sum(axis=1), {name: records[name][used] for name in names})


@contextmanager
def open_file(path, settings, constituents):
    with np.load(path) as arrays:
        yield NumpyFile(path, arrays)


def write_toys(path, process, n_jets, rng, number):
    with path.open("wb") as file:
        np.savez(file, **dumps.toy_dump(n_jets, process, rng))


FORMAT = InputFormat(
    name="numpy",
    description="structured arrays in .npz files",
    suffix="npz",
    open=open_file,
    experiment="ATLAS",
    write_toys=write_toys,
    defaults={"event_id": ["eventNumber"]},
)
'''
TOPS = '''
"""Four tops: many jets, half of them b."""

from jetmill.toys.processes.process import Process, Spectrum

PROCESS = Process(
    name="tttt",
    summary="four tops",
    spectra={"ATLAS": Spectrum([0.3, 0.2, 0.5, 0.0], 9.0, lambda flavour, rng: 20 + 90 * rng.random(len(flavour)))},
)
'''

LABELS = '''
"""Labels: training jets of each class."""

from jetmill.report.jets.figure import Figure


def draw(sample):
    from matplotlib.figure import Figure as Canvas

    figure = Canvas()
    figure.add_subplot().hist(sample.variables["jets"].label)
    yield "", figure


FIGURE = Figure(name="labels", title="Labels", caption="Training jets of each class.", draw=draw)
'''

REGISTRIES = (
    FIGURES,
    splitting.RULES,
    resampling.METHODS,
    methods.METHODS,
    JET_TRANSFORMS,
    VARIATIONS,
    INPUT_FORMATS,
    PROCESSES,
)
CONFIG = {
    "samples": {"tops": {"toy": {"process": "tttt", "files": 1, "jets": 3000}}},
    "input": {"format": "numpy"},
    "jets": {
        "variables": ["pt_btagJes", "mass", "squared"],
        "transforms": [{"name": "square", "roles": {"x": "absEta_btagJes"}}],
    },
    "constituents": {"tracks": {"variables": ["pt"], "max": 5}},
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
    "split": {"by": "parity", "test": "absEta_btagJes > 1"},
    "scaling": {"method": "range"},
    "balance": {"bins": {"pt_btagJes": [0, 10_000_000, 2]}, "resampling": {"method": "half"}},
    "systematics": {"collection": "tracks", "roles": {"pt": "pt"}, "variations": ["double"]},
}


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """One of each; afterwards the registries are what they were."""
    before = [dict(registry) for registry in REGISTRIES]
    for package, text in ((sources, NUMPY), (processes, TOPS), (figures, LABELS)):
        directory = tmp_path / package.__name__
        directory.mkdir()
        (directory / f"added_to_{directory.suffix[1:]}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(directory)])
    INPUT_FORMATS.update(found_in(sources, "FORMAT"))
    PROCESSES.update(found_in(processes, "PROCESS"))
    FIGURES.update(found_in(figures, "FIGURE"))

    @splitting.rule("parity", "odd events for validation", event=True, test=splitting.CONDITION)
    def split_by_parity(jets, *, test):
        odd = jets.event[-1] % 2 == 1
        return np.select([odd, test], [splitting.VAL, splitting.TEST], splitting.TRAIN).astype(np.uint8)

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
    batches, (balance, scalers) = read_batch_list(results / "clean/batches.json"), ("balance.h5", "scalers.json")
    content, drawn = load(CONFIG).content, tmp_path / "figures"
    plot_jets(
        batches, results / balance, results / scalers, drawn, content=content, n_jets=100, settings=FigureSettings()
    )
    assert {f"labels.{form}" for form in ("png", "pdf")} < {path.name for path in drawn.iterdir()}
    with h5py.File(results / "clean/tops/batch_0000.h5") as file:
        n = file.attrs["class_counts"][0]
        squared = file["variables/squared"][()]
        odd = file["event/eventNumber"][()] % 2 == 1
        split = np.repeat([0, 1, 2], file.attrs["splits"])
    with np.load(results / "toy/tops_0000.npz") as arrays:
        toys = arrays["jets"]
        tracks = arrays["tracks"]
    eta = toys["absEta_btagJes"].astype(np.float64)
    assert (toys["HadronConeExclTruthLabelID"] == 5).mean() == pytest.approx(0.5, abs=0.05)
    pt = tracks["pt"][tracks["valid"]]
    assert set(squared) <= set((eta**2).astype(np.float32))
    np.testing.assert_array_equal(split, np.select([odd, squared > 1], [1, 2], 0))
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
    assert np.isin(nominal[valid].round(), pt.round()).mean() > 0.99
    for text in (
        "parity: odd events for validation.",
        "half: every second jet.",
        "range: shift is the minimum, scale the distance to the maximum.",
        "numpy: structured arrays in .npz files.",
        "tttt: four tops (ATLAS).",
    ):
        assert text in reference()
    assert "`double`" in reference()
