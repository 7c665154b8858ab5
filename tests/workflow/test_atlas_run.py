"""The workflow on ATLAS dumps: reproducible to the byte, what is done again after a change, and what after damage."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import workflow_runs as runs
from stage_runs import run_stages

pytestmark = pytest.mark.workflow

TORCH = "torch" in runs.FORMATS
SUFFIXES = {".h5", ".tfrecord", ".parquet", ".pt", ".yaml", ".json"}


CONFIG = runs.ATLAS | {
    "balance": {
        "bins": {"pt_btagJes": [20e3, 6e6, 4]},
        "resampling": {"method": "pdf", "target": "b", "max_upsampling": 2},
    },
    "write": {"parts": {"train": 2}, "formats": runs.FORMATS},
    "report": {"plots": False},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.succeeds(tmp_path_factory.mktemp("atlas"), "--cores", "2", config=CONFIG)


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


@pytest.mark.readers
@pytest.mark.parametrize("output", runs.SPLITS)
def test_umami_reads_the_records(run, output):
    """What `TFRecordReader` of umami does for DIPS: it refuses other files, and takes shapes from the metadata."""
    tf = pytest.importorskip("tensorflow")
    directory = run.results / "tfrecords" / output
    names = [path.name for path in directory.iterdir()]
    assert [name for name in names if ".tfrecord" not in name] == ["metadata.json"]
    metadata = json.loads((directory / "metadata.json").read_text())
    shape = [metadata[key]["tracks"] for key in ("n_trks", "n_trk_features")]
    features = {
        "tracks/inputs": tf.io.FixedLenFeature(shape, tf.float32),
        "Y_jets": tf.io.FixedLenFeature([metadata["n_dim"]], tf.int64),
        "Weights": tf.io.FixedLenFeature([1], tf.float32),
    }
    paths = sorted(map(str, directory.glob("*.tfrecord")))
    (batch,) = tf.data.TFRecordDataset(paths).batch(metadata["n_jets"])
    found = tf.io.parse_example(batch, features)
    with h5py.File(run.results / f"{output}.h5") as file:
        np.testing.assert_array_equal(found["tracks/inputs"], file["tracks/inputs"][()])
        np.testing.assert_array_equal(found["Y_jets"], file["jets/labels_one_hot"][()])
        np.testing.assert_array_equal(found["Weights"][:, 0], file["jets/weight"][()])


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


EXPORTED = {"scalers.json", "scale_dict.json", "norm_dict.yaml", "class_dict.yaml", "balance.h5"}


# --- after damage: the message names the file, and its advice restores the same bytes and nothing else ---


def finished(results):
    """Return the SHA-256 of each finished file."""
    working = ("clean", "bins", "scalers", "toy", "logs", "benchmarks", ".jetmill")
    paths = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    kept = [path for path in paths if path.parts[0] not in working and not path.name.startswith(".")]
    return {str(path): runs.sha256(results / path) for path in kept if path.name != "manifest.json"}


def verify(directory, *arguments):
    command = [sys.executable, "-m", "jetmill", "verify", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def follow(directory, lines):
    """Do what the lines say: remove what they name."""
    for line in lines:
        culprit, named = line.partition(": ")[0], re.search(r"; remove (.+), and start snakemake again$", line)[1]
        for name in named.split(" and "):
            path = directory / (culprit if name == "it" else name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def test_the_manifest_names_every_finished_file(run):
    names = finished(run.results)
    assert {f"{output}.h5" for output in runs.SPLITS} | EXPORTED | {"structured/val.h5"} < set(names)
    code, lines = verify(run.directory, "results", "--inputs")
    assert (code, lines) == (0, [f"{len(names)} files are as the manifest says"])


@pytest.mark.parametrize(
    ("damaged", "jobs"),
    [
        (
            ["hdf5/train/part_0001.h5"],
            {"write": 1 + TORCH, "join": 1, "write_directory": 3, "write_manifest": 1, "all": 1},
        ),
        (
            [
                "structured/train/part_0000.h5",
                "structured/val.h5",
                "tfrecords/test/test_0001.tfrecord",
                "class_dict.yaml",
            ],
            {
                "write": 1,
                "join": 1,
                "write_directory": 1,
                "export": 1,
                "write_manifest": 1,
                "all": 1,
            },
        ),
    ],
    ids=["part", "several"],
)
def test_what_is_damaged_comes_back(run, damaged, jobs):
    before, manifest = finished(run.results), (run.results / "manifest.json").read_bytes()
    for name in damaged:
        flip(run.results / name)
    code, lines = verify(run.directory, "results")
    assert code == 1
    assert {line.partition(": ")[0] for line in lines[:-1]} == {f"results/{name}" for name in damaged}
    for name in damaged:
        assert any(before[name] in line and runs.sha256(run.results / name) in line for line in lines)
    assert lines[-1] == f"{len(damaged)} of {len(before)} files are damaged"
    follow(run.directory, lines[:-1])
    assert not any((run.results / name).exists() for name in damaged)
    again = runs.snakemake(run.directory, "--cores", "2", config=CONFIG)
    assert again.code == 0, again.output
    assert again.jobs == jobs | {"total": sum(jobs.values())}
    assert finished(run.results) == before
    assert (run.results / "manifest.json").read_bytes() == manifest
    assert verify(run.directory, "results") == (0, [f"{len(before)} files are as the manifest says"])


def test_what_is_gone_is_not_missed_as_long_as_the_manifest_is_there(run, tmp_path):
    """Which is why the advice is to remove the manifest too."""
    part, scalers, manifest = (
        run.results / name for name in ("hdf5/val/part_0000.h5", "scalers.json", "manifest.json")
    )
    missed = []
    for gone in ([part, scalers], [manifest]):
        for path in gone:
            path.rename(tmp_path / path.name)
        missed.append(runs.snakemake(run.directory, "-n", "-q", "rules", config=CONFIG).jobs)
    for path in (part, scalers, manifest):
        (tmp_path / path.name).rename(path)
    assert missed[0] == {}
    assert {"merge_scalers", "export", "write", "write_manifest"} < set(missed[1])
    assert not {"clean", "fit_scalers", "bin_jets", "balance"} & set(missed[1])


def test_a_run_that_was_moved(run, tmp_path):
    moved = Path(shutil.copytree(run.results, tmp_path / "elsewhere"))
    assert verify(tmp_path, "elsewhere", "--inputs")[0] == 0
    flip(moved / "toy/ttbar_0001.h5")
    (moved / "hdf5/val/part_0000.h5").unlink()
    (moved / "hdf5/val/part_0001.h5").write_bytes(b"old")
    code, lines = verify(tmp_path, "elsewhere", "--inputs")
    assert code == 1
    assert lines[0].startswith("elsewhere/hdf5/val/part_0000.h5: is not there, expected a file of ")
    assert lines[1].startswith("elsewhere/toy/ttbar_0001.h5: SHA-256 is ")
    assert "the input has changed" in lines[1]
    assert lines[2].startswith("warning: elsewhere/hdf5/val/part_0001.h5: not of this run")
    assert lines[3].startswith("1 of ")
    assert lines[3].endswith(" files are damaged; inputs changed since: 1")
    assert len(lines) == 4
