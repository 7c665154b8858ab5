"""Expected checksums of input files in the real workflow: before anything runs, when a file is read, and reruns."""

import json
import subprocess
import zlib

import h5py
import numpy as np
import pytest
import workflow_runs as runs

pytestmark = pytest.mark.workflow

N_JETS = 2000  # per file
CONFIG = {
    "samples": {"tt": {"files": "inputs/*.h5", "checksums": "inputs/SUMS"}},
    "input": {"format": "hdf5", "files_per_batch": 1},
    "jets": {"variables": ["pt", "eta"]},
    "classes": {"b": "hadronFlavour == 5", "light": "rest"},
    "balance": {"bins": {"pt": [0, 100, 4]}},
    "report": {"plots": False},
}
CLEANED = "results/clean/batches.json"


@pytest.fixture
def directory(tmp_path):
    """Two dumps without compression, and what ``sha256sum`` says of them."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    rng = np.random.default_rng(5)
    for name in ("a.h5", "b.h5"):
        jets = np.zeros(N_JETS, [("pt", "f4"), ("eta", "f4"), ("hadronFlavour", "i4"), ("eventNumber", "u8")])
        jets["pt"], jets["eta"] = rng.uniform(1, 99, N_JETS), rng.normal(size=N_JETS)
        jets["hadronFlavour"], jets["eventNumber"] = rng.choice([0, 5], N_JETS), rng.integers(2**60, size=N_JETS)
        with h5py.File(inputs / name, "w") as file:
            file["jets"] = jets
    written = subprocess.run(["sha256sum", "a.h5", "b.h5"], cwd=inputs, capture_output=True, text=True, check=True)
    (inputs / "SUMS").write_text(written.stdout)
    return tmp_path


def run(directory, *arguments, **of_input):
    config = runs.changed(CONFIG, {"input": of_input})
    done = runs.snakemake(directory, "--cores", "2", *arguments, config=config)
    assert "Traceback" not in done.output
    return done


def manifest_of(done):
    return json.loads((done.results / "manifest.json").read_text())


def flip_a_byte(path):
    with h5py.File(path) as file:
        place = file["jets"].id.get_offset() + 1000 * file["jets"].dtype.itemsize + 2
    content = bytearray(path.read_bytes())
    content[place] ^= 64
    path.write_bytes(content)


def test_right_checksums_and_a_change_of_them(directory):
    sums = directory / "inputs/SUMS"
    whole = sums.read_text()
    sums.write_text(whole.splitlines()[0] + "\n")
    for arguments in (["-n"], []):
        lacking = run(directory, *arguments)
        assert lacking.code == 1
        assert (
            "samples.tt.checksums: inputs/SUMS: has no checksum of inputs/b.h5; add the missing ones\n"
            in lacking.output
        )
    sums.write_text(f"# a comment\n{whole}{'0' * 64}  other.h5\n")
    done = run(directory)
    assert done.code == 0, done.output
    assert "tt: 2 files in 2 batches, to be checked with inputs/SUMS (1 of its paths are of no file" in done.output
    expected = {path: checksum for checksum, path in map(str.split, whole.splitlines())}
    inputs = {entry["path"]: entry for entry in manifest_of(done)["inputs"]}
    assert {path: entry["checked"] for path, entry in inputs.items()} == {
        f"inputs/{name}": {"sha256": checksum} for name, checksum in expected.items()
    }
    assert [entry["jets"] for entry in inputs.values()] == [N_JETS, N_JETS]

    # The same checksums in another list change nothing; another one is checked, for its file alone.
    sums.write_text("\n".join(f"SHA256 ({name}) = {checksum.upper()}" for name, checksum in expected.items()))
    assert "Nothing to be done" in run(directory).output
    adler32 = zlib.adler32((directory / "inputs/b.h5").read_bytes())
    sums.write_text(f"{whole}/store/b.h5 adler32:{adler32:x}\nb.h5 ad:{adler32:08x}\n")
    assert run(directory, "-n", CLEANED).jobs["clean"] == 1
    assert run(directory, CLEANED).code == 0
    assert "Nothing to be done" in run(directory, CLEANED).output

    # Without Snakemake's records too.
    (directory / ".snakemake").rename(directory / "records")
    sums.write_text(whole)
    assert run(directory, "-n", CLEANED).jobs["clean"] == 1


def test_a_flipped_byte_is_refused_or_skipped(directory):
    flip_a_byte(directory / "inputs/b.h5")
    refused = run(directory, "--keep-going")
    assert refused.code == 1
    assert "inputs/b.h5: its sha256 is " in refused.output
    assert "; it is damaged, or another version of the file" in refused.output
    assert not (directory / "results/clean/tt/batch_0001.h5").exists()
    assert (directory / "results/clean/tt/batch_0000.h5").exists()
    skipped = run(directory, unreadable="skip")
    assert skipped.code == 0, skipped.output
    good, bad = manifest_of(skipped)["inputs"]
    assert good["jets"] == N_JETS
    assert (bad["path"], bad["jets"]) == ("inputs/b.h5", 0)
    assert bad["skipped"].startswith("its sha256 is ")
    assert any("skipped inputs/b.h5: its sha256 is" in warning for warning in manifest_of(skipped)["warnings"])
    # On screen at the end.
    assert "skipped inputs/b.h5: its sha256 is" in skipped.output.rpartition("Done:")[0].rpartition(" jobs in ")[2]
