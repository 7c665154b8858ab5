"""Input files on an XRootD server, and files that cannot be read, in whole runs."""

import json
import shutil

import numpy as np
import pytest
import servers
import workflow_runs as runs
from stage_runs import run_stages

from jetmill.toys.ntuples import toy_jets

pytestmark = pytest.mark.workflow

CONFIG = runs.changed(runs.CONFIG, {"input": {"files_per_batch": 2}, "jets": {"spectators": ["number"]}})


@pytest.fixture(scope="module")
def ntuples(tmp_path_factory):
    """Three small ntuples whose jets have numbers, and one without jets in the place of the second."""
    directory = tmp_path_factory.mktemp("ntuples")
    for number in range(3):
        jets = toy_jets(1500, "ttbar", np.random.default_rng(number))
        jets["number"] = np.arange(1500, dtype=np.float32) + 1500 * number
        runs.write_ntuple(directory / f"{number}.root", jets, np.full(500, 3))
    none = {name: values[:0] for name, values in jets.items()}
    (directory / "none").mkdir()
    runs.write_ntuple(directory / "none/1.root", none, np.zeros(5, dtype=int))
    return directory


def config(files, **changes):
    return runs.changed(CONFIG, {"samples": {"top": {"files": [str(path) for path in files]}}, **changes})


def run(directory, files, **changes):
    targets = [*runs.FINISHED, "results/manifest.json"]
    return runs.snakemake(directory, "--cores", "2", *targets, config=config(files, **changes))


def same(results, files, directory, **changes):
    """Compare with what comes of local files without Snakemake."""
    expected = run_stages(config(files, **changes) | {"output_dir": str(directory)})
    for split in runs.SPLITS:
        one, other = (runs.datasets(path / f"{split}.h5") for path in (results, expected))
        assert one.keys() == other.keys()
        for name, values in other.items():
            np.testing.assert_array_equal(one[name], values)
            assert one[name].dtype == values.dtype


@pytest.mark.xrootd
@pytest.mark.skipif(bool(servers.why_no_xrootd()), reason=servers.why_no_xrootd() or "-")
def test_remote_files_give_the_same_data(ntuples, tmp_path):
    with servers.xrootd() as server:
        for number in range(2):
            shutil.copy(ntuples / f"{number}.root", server.directory)
        files = [f"{server.url}0.root", f"{server.url}1.root", ntuples / "2.root"]
        remote = run(tmp_path / "remote", files)
        assert remote.code == 0, remote.output
        same(remote.results, [ntuples / f"{n}.root" for n in range(3)], tmp_path / "local")
        assert len(runs.numbers(remote.results / "train.h5")) > 2000
        inputs = json.loads((remote.results / "manifest.json").read_text())["inputs"]
        assert [entry["path"] for entry in inputs] == [str(path) for path in files]
        assert [entry["jets"] for entry in inputs] == [1500] * 3
        assert list(remote.directory.rglob("*.root")) == []
        # Nothing is done again, and not because a remote file would look new.
        again = run(tmp_path / "remote", files)
        assert "Nothing to be done" in again.output, again.output


def test_skipping_goes_on_where_an_unreadable_file_stopped_the_run(ntuples, tmp_path):
    """A batch of which nothing can be read has no jets; batches that are done are not done again."""
    bad = tmp_path / "1.root"
    bad.write_bytes((ntuples / "1.root").read_bytes()[:30_000])
    files, directory = [ntuples / "0.root", bad, ntuples / "2.root"], tmp_path / "run"
    one_each = {"files_per_batch": 1}

    stopped = run(directory, files, input=one_each)
    assert stopped.code == 1
    assert f"ERROR {bad}: cut short or not a readable ROOT file" in stopped.output
    done = directory / "results/clean/top/batch_0000.h5"
    before = done.stat().st_mtime_ns

    finished = run(directory, files, input=one_each | {"unreadable": "skip", "timeout": 60})
    assert finished.code == 0, finished.output
    assert done.stat().st_mtime_ns == before
    log = (directory / "results/logs/clean/top/batch_0001.log").read_text()
    assert f"WARNING skipped {bad}: cut short" in log
    inputs = json.loads((directory / "results/manifest.json").read_text())["inputs"]
    assert [entry["jets"] for entry in inputs] == [1500, 0, 1500]
    assert inputs[1]["skipped"].startswith("cut short or not a readable ROOT file")
    assert [entry["path"] for entry in inputs if "skipped" in entry] == [str(bad)]

    files[1] = ntuples / "none/1.root"
    same(finished.results, files, tmp_path / "truth", input=one_each)
    numbers = np.concatenate([runs.numbers(directory / output) for output in runs.FINISHED])
    assert len(numbers) > 2000
    assert not ((numbers >= 1500) & (numbers < 3000)).any()
