"""The workflow on ATLAS dumps: reproducible to the byte, and what is done again after a change."""

import json
import shutil
import zipfile

import pytest
import workflow_runs as runs
from atlas_runs import CONFIG
from stage_runs import run_stages

pytestmark = pytest.mark.workflow

SUFFIXES = {".h5", ".tfrecord", ".parquet", ".pt", ".yaml", ".json"}


@pytest.fixture
def run(atlas_run):
    return atlas_run


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """The same with more files per batch, the stages one by one without Snakemake; return the results."""
    results = tmp_path_factory.mktemp("again") / "results"
    config = runs.changed(CONFIG, {"input": {"files_per_batch": 2}})
    return run_stages({**config, "output_dir": str(results)}, runs.FORMATS)


def files(results, suffix):
    """Return the finished files (not those of single batches)."""
    found = (path.relative_to(results) for path in results.rglob(f"*{suffix}"))
    return sorted(path for path in found if path.parts[0] not in ("clean", "bins", "logs", "benchmarks", "scalers"))


def content(path):
    """Return all of a file to the byte, but for the hash of the configuration that it was made from."""
    match path.suffix:
        case ".h5":
            return runs.content(path)
        case ".pt":
            with zipfile.ZipFile(path) as archive:
                return {name: archive.read(name) for name in archive.namelist()}
        case ".parquet":
            table = pytest.importorskip("pyarrow.parquet").read_table(path)
            return table.schema.remove_metadata(), table.to_pylist()
    return path.read_bytes()


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".json", ".yaml", ".h5"}))
def test_the_same_content(run, again, suffix):
    if suffix == ".pt" and "torch" not in runs.FORMATS:
        pytest.skip("PyTorch is not installed")
    paths = files(run.results, suffix)
    assert paths
    assert paths == files(again, suffix)
    for path in paths:
        assert content(run.results / path) == content(again / path), path


def test_the_same_content_of_hdf5(run, again):
    # balance.h5 holds what was counted, the records the configuration.
    paths = [p for p in files(run.results, ".h5") if p.parts[0] not in ("balance.h5", "structured")]
    assert len(paths) == 4 + 3 + 4  # parts, outputs, toys
    for path in paths:
        assert content(run.results / path) == content(again / path), path


@pytest.mark.parametrize("output", runs.SPLITS)
def test_the_same_records(run, again, output):
    first, second = (runs.datasets(results / f"structured/{output}.h5") for results in (run.results, again))
    for name in ("jets", "tracks"):
        assert first[name].tobytes() == second[name].tobytes()


def test_manifest_names_what_was_written(run):
    manifest = json.loads((run.results / "manifest.json").read_text())
    written = {row["path"]: row for row in manifest["outputs"]}
    for path in files(run.results, ".h5"):
        if path.parts[0] == "hdf5":
            assert written[str(path)]["sha256"] == runs.sha256(run.results / path)
    assert [row["sample"] for row in manifest["inputs"]] == ["ttbar"] * 2 + ["zprime"] * 2
    assert all(row["jets"] == 1000 for row in manifest["inputs"])


def test_nothing_is_left_over_and_nothing_to_do(run):
    assert not runs.half_made(run.directory)
    planned = runs.snakemake(run.directory, "--cores", "1", "-n", config=CONFIG)
    assert planned.code == 0
    assert planned.jobs == {}


@pytest.mark.parametrize(
    ("changes", "spared"),
    [
        ({"write": {"conditional": ["eta_btagJes"]}}, {"clean", "bin_jets", "fit_scalers", "balance", "make_toy"}),
        ({"write": {"compression": "gzip"}}, {"clean", "bin_jets", "fit_scalers", "balance"}),
        ({"write": {"records_per_file": 10}}, {"clean", "balance", "write"}),
        (
            {"constituents": {"tracks": CONFIG["constituents"]["tracks"] | {"scaling": {"log": ["dr"]}}}},
            {"clean", "bin_jets", "balance", "make_toy"},
        ),
    ],
    ids=["conditional", "compression", "records_per_file", "scaling"],
)
def test_a_change_spares_what_it_does_not_concern(run, changes, spared):
    planned = runs.snakemake(run.directory, "--cores", "1", "-n", config=runs.changed(CONFIG, changes))
    assert planned.code == 0, planned.output
    assert planned.jobs
    assert not spared & set(planned.jobs), planned.jobs
    # The compression is that of HDF5.
    assert ("as parquet" in planned.output) == (
        "write" in planned.jobs and "compression" not in changes.get("write", {})
    )


def test_structured_alone_makes_no_arrays(run, tmp_path):
    """Only what was asked for is written."""
    shutil.copytree(run.results / "toy", tmp_path / "results/toy")
    config = runs.changed(CONFIG, {"write": {"formats": ["structured"]}})
    planned = runs.snakemake(tmp_path, "--cores", "1", "-n", config=config)
    assert planned.code == 0, planned.output
    assert planned.jobs["write"] == 4
    assert planned.output.count(" as structured") == 4
