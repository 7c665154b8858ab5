"""What files say about their origin, and jobs that another run has overtaken."""

import json
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from batches import write_batch

from jetmill.columns.batch_file import Batch
from jetmill.errors import JetmillError
from jetmill.files import atomic_write, read_json, write_json
from jetmill.workflow import made_from
from jetmill.workflow.jobs import job
from jetmill.workflow.made_from import VARIABLE, Record, SupersededError, digest, digest_in

PARAMS = {"settings": {"cut": "pt > 20"}, "batches": slice(1, 2), "code": "abc"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)


def record(run="one", params=PARAMS, inputs=(), **files):
    """Record what a run wants: files of one job of a rule, and files of others."""
    own = digest("write", {"part": "0"}, params, inputs)
    outputs = [
        "results/a.h5",
        "results/a.json",
        "results/a/metadata.json",
        "results/a.pt",
        "results/a.parquet",
        "results/a.root",
        "results/figures",
    ]
    return Record.write("results", run, "all", dict.fromkeys(outputs, own) | files), own


def at_work(outputs, params=PARAMS, inputs=()):
    return made_from.job("results", "write", {"part": "0"}, params, inputs, outputs)


def working(act, params=PARAMS, inputs=()):
    """Do something as the job that makes results/a.h5."""
    with at_work(["results/a.h5"], params, inputs):
        act()


def never():
    pytest.fail("it went on")


def overtaken():
    """Start another run, and go on with this one."""
    record("two")
    write_h5()


def write_h5(path="results/a.h5"):
    with atomic_write(path) as partial, h5py.File(partial, "w") as file:
        file["x"] = np.arange(3)


# --- the hash ---


def test_a_hash_depends_on_all_that_decides_and_not_on_the_code():
    one = digest("write", {"part": "0"}, PARAMS, ["aa"])
    assert one == digest("write", {"part": "0"}, PARAMS | {"code": "def"}, ["aa"])
    others = [
        digest("clean", {"part": "0"}, PARAMS, ["aa"]),
        digest("write", {"part": "1"}, PARAMS, ["aa"]),
        digest("write", {"part": "0"}, PARAMS | {"settings": {"cut": "pt > 30"}}, ["aa"]),
        digest("write", {"part": "0"}, PARAMS | {"batches": slice(2, 3)}, ["aa"]),
        digest("write", {"part": "0"}, PARAMS, ["bb"]),
        digest("write", {"part": "0"}, PARAMS, ["aa", "aa"]),
    ]
    assert len({one, *others}) == 7


def test_a_hash_does_not_depend_on_the_order_of_keys_nor_on_tuples():
    assert digest("r", {}, {"a": 1, "b": (1, 2)}, []) == digest("r", {}, {"b": [1, 2], "a": 1}, [])


# --- what carries it ---


def test_files_of_a_job_carry_its_hash():
    uproot = pytest.importorskip("uproot")
    _, own = record()
    outputs = [f"results/a{ending}" for ending in (".h5", ".json", ".root")]
    with at_work(outputs):
        write_h5()
        write_json("results/a.json", {"jets": {"pt": 0.1}})
        with atomic_write("results/a.root") as partial, uproot.recreate(partial) as file:
            file["Events"] = {"x": np.arange(3)}
    assert [digest_in(path) for path in outputs] == [own] * 3
    assert read_json("results/a.json") == {"jets": {"pt": 0.1}}
    with h5py.File("results/a.h5") as file:
        assert file["x"][()].tolist() == [0, 1, 2]
    with uproot.open("results/a.root") as file:
        assert file["Events/x"].array().tolist() == [0, 1, 2]


def test_a_directory_is_known_by_its_main_file_and_holds_nothing_else():
    _, own = record()
    main = "results/a/metadata.json"
    with at_work([main]), atomic_write("results/a", directory=True) as partial:
        (partial / "a_0001.tfrecord").write_text("x")
        (partial / "metadata.json").write_text('{"n_jets": 1}')
    assert digest_in(main) == own
    assert json.loads(Path(main).read_text())["n_jets"] == 1
    assert {path.name for path in Path("results/a").iterdir()} == {"a_0001.tfrecord", "metadata.json"}


def test_tensors_carry_the_hash_and_load_as_before():
    torch = pytest.importorskip("torch")
    _, own = record()
    with at_work(["results/a.pt"]), atomic_write("results/a.pt") as partial:
        torch.save({"x": torch.arange(3)}, partial)
    assert digest_in("results/a.pt") == own
    for mmap in (False, True):
        assert torch.load("results/a.pt", weights_only=True, mmap=mmap)["x"].tolist() == [0, 1, 2]


def test_a_file_that_is_none_of_the_job_s_and_one_made_outside_of_jobs_carry_none():
    record()
    with at_work(["results/a.h5"]):
        write_h5("results/scratch.h5")
    write_h5()
    assert digest_in("results/scratch.h5") == digest_in("results/a.h5") == ""


def test_what_cannot_be_read_is_distinguished_from_what_carries_none(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "a.png").write_bytes(b"picture")
    assert [digest_in(tmp_path / f"a.{ending}") for ending in ("h5", "json", "png", "pt")] == [None, "", "", None]


def test_every_script_of_the_workflow_is_such_a_job():
    scripts = list((Path(__file__).parents[2] / "workflow/scripts").glob("*.py"))
    assert len(scripts) >= 15
    assert [path.name for path in scripts if "with job(snakemake):" not in path.read_text()] == []


# --- a job of another run ---


def test_a_job_does_not_put_its_file_in_place_when_another_run_has_started():
    record()
    write_h5()
    before = Path("results/a.h5").read_bytes()
    # With the same settings too: its inputs may be others by now.
    with pytest.raises(SupersededError, match=r"results/a\.h5: not put in place, as another run has started"):
        working(overtaken)
    assert Path("results/a.h5").read_bytes() == before


@pytest.mark.parametrize("output", ["results/figures", "results/a/metadata.json"])
def test_nor_its_directory(output):
    record()
    directory = Path(output).parent if Path(output).suffix else Path(output)

    def write_directory():
        with at_work([output]), atomic_write(directory, directory=True) as partial:
            (partial / "metadata.json").write_text("{}")
            record("two")

    with pytest.raises(SupersededError, match="not put in place, as another run has started"):
        write_directory()
    assert not directory.exists()


def test_a_job_that_starts_when_another_run_has_started_does_nothing(monkeypatch):
    record("two")
    monkeypatch.setenv(VARIABLE, "one")
    with pytest.raises(SupersededError, match="another run has started there since this job was submitted"):
        working(never)
    monkeypatch.setenv(VARIABLE, "two")
    working(write_h5)


def test_a_job_whose_configuration_was_edited_since_is_refused():
    record()
    edited = PARAMS | {"settings": {"cut": "pt > 30"}}
    message = r"results/a\.h5: the configuration, or the list of input files, is not the one"
    with pytest.raises(JetmillError, match=message):
        working(never, edited)


def test_without_a_record_jobs_go_on():
    working(write_h5)
    assert digest_in("results/a.h5") == ""


@pytest.mark.parametrize(("there", "code"), [(True, 0), (False, 1)], ids=["made by the other run", "not made yet"])
def test_a_job_that_was_overtaken_leaves_the_other_run_s_file_alone(there, code):
    """Snakemake on a node of the batch system removes the files of a job that fails."""
    record()
    outputs = ["results/a.h5"]
    given = {"rule": "write", "wildcards": {"part": "0"}, "params": PARAMS, "input": [], "output": outputs}
    snakemake = SimpleNamespace(log=["log"], config={"output_dir": "results"}, **given)

    def act():
        with job(snakemake):
            if there:
                write_h5()
            overtaken()

    with pytest.raises(SystemExit) as ended:
        act()
    assert ended.value.code == code
    assert "another run has started" in Path("log").read_text()


# --- who reads it ---


def test_an_input_made_from_something_else_is_refused_by_name():
    record(inputs=["bb"], **{"results/in.h5": "bb"})
    write_h5("results/in.h5")
    with pytest.raises(JetmillError, match=r"results/in\.h5: made from other settings or input files than this run's"):
        working(never, inputs=["results/in.h5"])
    with h5py.File("results/in.h5", "r+") as file:
        file.attrs["made_from"] = "bb"
    working(write_h5, inputs=["results/in.h5", "data/not_of_ours.root"])


def test_a_batch_made_from_something_else_is_refused_where_it_is_opened():
    record(**{"results/clean/tt/batch_0000.h5": "cc"})
    columns = {"key": np.array([1], dtype=np.uint64)}
    write_batch("results/clean/tt/batch_0000.h5", columns.items(), {"splits": np.array([1, 0, 0])})
    with Batch("results/clean/tt/batch_0000.h5"):
        pass
    with pytest.raises(JetmillError, match=r"batch_0000\.h5: made from other settings"):
        working(lambda: Batch("results/clean/tt/batch_0000.h5"))


# --- the record ---


def test_a_record_is_read_as_it_was_written():
    written, _ = record(**{"./results//b c.h5": "dd"})
    read = Record.read("results")
    assert (read.run, read.settings) == ("one", "all")
    assert read.digests == written.digests
    assert read.digests["results/b c.h5"] == "dd"
    assert Record.read("elsewhere") is None


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"a": 1}\n'])
def test_a_damaged_record_is_named(text):
    record()
    Record.place("results").write_text(text)
    with pytest.raises(JetmillError, match=r"results/\.jetmill/run: damaged .* remove it and start again"):
        Record.read("results")
