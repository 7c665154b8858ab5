"""An output format is added with one module, as CONTRIBUTING.md says, and nothing else."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import workflow_runs as runs

import jetmill

pytestmark = pytest.mark.workflow

TEXT = '''
"""Text: pT and class of each jet."""

from jetmill.files import atomic_write
from jetmill.formats.format import Format


def write(part, output, *, compression):
    import numpy as np
    from jetmill.formats.content.unscaled import jet_fields

    jets = jet_fields(part.jets, part.tables, part.scalers["jets"], part.content)
    rows = np.stack([jets["pt"], jets["flavour_label"]], axis=1)[part.order]
    with atomic_write(output) as partial, partial.open("w") as file:
        np.savetxt(file, rows, header=compression)


FORMAT = Format(
    name="text",
    description="pT and class of each jet as text",
    write=write,
    title="Text",
    loading='numpy.loadtxt("{results}/text/{output}/part_0000.txt")',
    suffix="txt",
    options=("compression",),
)
'''
# Made of the joined arrays, a directory for each output.
COUNTS = '''
"""How many jets an output has."""

import json

from jetmill.formats.format import Format


def write(joined, output):
    import h5py
    from jetmill.files import atomic_write

    with atomic_write(output, directory=True) as partial, h5py.File(joined) as file:
        (partial / "counts.json").write_text(json.dumps({"jets": len(file["jets/labels"])}))


FORMAT = Format(
    name="counts",
    description="number of jets",
    write=write,
    title="Counts",
    loading="{results}/counts",
    main=lambda output: "counts.json",
    made_from="hdf5",
)
'''
FORMATS = {"text": TEXT, "counts": COUNTS}


@dataclass
class Library:
    """A copy of the library with further formats."""

    directory: Path

    def run(self, directory, *arguments, config):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(self.directory))
            return runs.snakemake(directory, *arguments, config=config)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    directory = tmp_path_factory.mktemp("library")
    shutil.copytree(runs.ROOT / "src/jetmill", directory / "jetmill")
    for name, module in FORMATS.items():
        (directory / f"jetmill/formats/{name}.py").write_text(module)
    return Library(directory)


@pytest.fixture(scope="module")
def config(default_config):
    return runs.changed(default_config, {"write": {"formats": ["text", "counts", "hdf5"]}, "report": {"plots": False}})


@pytest.fixture(scope="module")
def run(library, config, tmp_path_factory):
    run = library.run(tmp_path_factory.mktemp("run"), "--cores", "2", config=config)
    assert run.code == 0, run.output
    return run


def test_its_files_hold_the_jets_of_the_arrays(run):
    for output in runs.SPLITS:
        arrays = sorted((run.results / "hdf5" / output).iterdir())
        texts = sorted((run.results / "text" / output).iterdir())
        assert [path.stem for path in texts] == [path.stem for path in arrays]
        for text, array in zip(texts, arrays, strict=True):
            (pt, label), jets = np.loadtxt(text, unpack=True), jetmill.load(array)
            np.testing.assert_array_equal(label, jets.labels)
            np.testing.assert_allclose(pt, jets.variable("pt"), rtol=1e-4)
        counts = json.loads((run.results / f"counts/{output}/counts.json").read_text())
        assert counts["jets"] == len(jetmill.load(run.results / f"{output}.h5"))


def test_the_closing_message_says_how_to_load_it(run):
    assert 'Text: numpy.loadtxt("results/text/train/part_0000.txt")' in run.output


def test_the_manifest_names_its_files(run):
    paths = {entry["path"] for entry in json.loads((run.results / "manifest.json").read_text())["outputs"]}
    assert {"text/train/part_0003.txt", "counts/test/counts.json"} < paths


def test_a_change_of_its_module_concerns_it_alone(run, library, config):
    assert library.run(run.directory, "--cores", "1", "-n", config=config).jobs == {}
    (library.directory / "jetmill/formats/text.py").write_text(TEXT.replace('"pt"', '"eta"'))
    planned = library.run(run.directory, "--cores", "1", "-n", config=config)
    assert {rule: n for rule, n in planned.jobs.items() if rule not in ("all", "total")} == {
        "write": 7,
        "write_manifest": 1,
    }
    assert planned.output.count(" as text") == 7


def test_the_reference_describes_it(library):
    code = "from jetmill.config.reference import reference; print(reference())"
    environment = os.environ | {"PYTHONPATH": str(library.directory)}
    page = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert "text: pT and class of each jet as text." in page
