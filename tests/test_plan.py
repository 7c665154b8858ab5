import json
import os
import subprocess
import sys

import pytest

from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.files import write_json
from jetmill.plan import Plan
from jetmill.workflow.messages import closing_message, summary
from jetmill.workflow.paths import batch_files, joined_files, part_files
from jetmill.workflow.sizes import cleaned_megabytes


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Go to a directory with some empty files."""
    monkeypatch.chdir(tmp_path)
    for name in ("tt/c.root", "tt/a.root", "tt/b.root", "qcd/x.root", "qcd/deep/y.root", "qcd/note.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def plan(raw, **changes):
    return Plan(load(raw | changes))


def refusal(raw, **samples):
    with pytest.raises(JetmillError) as error:
        plan(raw, samples={name: {"files": files} for name, files in samples.items()})
    return str(error.value)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ("tt/*.root", ["tt/a.root", "tt/b.root", "tt/c.root"]),
        (["tt/c.root", "tt/a.root"], ["tt/c.root", "tt/a.root"]),
        (["tt/c.root", "tt/[ab].root"], ["tt/c.root", "tt/a.root", "tt/b.root"]),
        ("qcd/**/*.root", ["qcd/deep/y.root", "qcd/x.root"]),
        ("tt/a.root", ["tt/a.root"]),
        ("root://server//store/a.root", ["root://server//store/a.root"]),
    ],
)
def test_files(raw_config, data, files, found):
    assert plan(raw_config, samples={"s": {"files": files}}).files == {"s": found}


def test_a_list_file_keeps_its_order(raw_config, data):
    (data / "list.txt").write_text("# first\ntt/c.root\n\n  tt/a.root  \nqcd/*.root\n#tt/b.root\n")
    assert plan(raw_config, samples={"s": {"files": "list.txt"}}).files["s"] == ["tt/c.root", "tt/a.root", "qcd/x.root"]


def test_an_indented_comment_in_a_list_file(raw_config, data):
    (data / "list.txt").write_text("tt/c.root\n  # tt/a.root\n")
    assert plan(raw_config, samples={"s": {"files": "list.txt"}}).files["s"] == ["tt/c.root"]


def test_toy_files(raw_config):
    samples = {"tt": {"toy": {"process": "ttbar", "files": 3}}}
    names = [f"out/toy/tt_000{i}" for i in range(3)]
    assert plan(raw_config, samples=samples, output_dir="out").files == {"tt": [f"{name}.root" for name in names]}
    hdf5 = plan(raw_config, samples=samples, output_dir="out", input={"format": "hdf5"})
    assert hdf5.files == {"tt": [f"{name}.h5" for name in names]}


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ("tt/*.rot", "samples.s.files: no file matches 'tt/*.rot'"),
        (["tt/a.root", "no/*"], "samples.s.files: no file matches 'no/*'"),
        ("gone.txt", "samples.s.files: gone.txt: No such file or directory"),
        ("tt/z.root", "samples.s.files: tt/z.root: no such file"),
        (["tt/z.root", "tt/a.root", "tt/y.root"], "samples.s.files: tt/z.root and 1 more: no such file"),
        (["tt/*.root", "tt/b.root"], "samples.s.files: tt/b.root is listed more than once"),
        (["tt/b.root", "tt/a.root", "tt/b.root"], "samples.s.files: tt/b.root is listed more than once"),
        ([], "samples.s.files: no files are named"),
    ],
)
def test_wrong_files_name_the_culprit(raw_config, data, files, wanted):
    assert refusal(raw_config, s=files) == wanted


@pytest.mark.parametrize("link", ["symbolic", "hard", "directory", "dot", "absolute"])
@pytest.mark.parametrize("among", ["one sample", "two samples"])
def test_a_file_that_is_listed_under_two_paths(raw_config, data, link, among):
    if link == "symbolic":
        (data / "again.root").symlink_to(data / "tt/b.root")
    elif link == "hard":
        (data / "again.root").hardlink_to(data / "tt/b.root")
    elif link == "directory":
        (data / "other").symlink_to(data / "tt")
    paths = {"directory": "other/b.root", "dot": "./qcd/../tt/b.root", "absolute": f"{data}/tt/b.root"}
    again = paths.get(link, "again.root")
    if among == "one sample":
        wanted = f"samples.s.files: {again} and tt/b.root are the same file; list it once"
        assert refusal(raw_config, s=["tt/a.root", "tt/b.root", again, "tt/c.root"]) == wanted
    else:
        wanted = f"samples.u.files: {again} and tt/b.root of samples.s.files are the same file; list it once"
        assert refusal(raw_config, s="tt/*.root", u=["qcd/x.root", again]) == wanted


def test_files_of_two_samples(raw_config, data):
    wanted = "samples.u.files: tt/a.root is in samples.s.files too (and 2 more like it)"
    assert refusal(raw_config, s="tt/*.root", u="tt/*.root") == wanted
    wanted = "samples.u.files: tt/b.root is in samples.s.files too"
    assert refusal(raw_config, s="tt/*.root", t="qcd/*.root", u="tt/b.root") == wanted
    url = "root://server//store/a.root"
    assert refusal(raw_config, s=url, u=url) == f"samples.u.files: {url} is in samples.s.files too"


def test_files_that_are_repeated_are_reported_with_the_other_mistakes(raw_config, data):
    samples = {"s": {"files": "tt/*.root"}, "u": {"files": "tt/b.root"}, "toys": {"toy": {"process": "qcd"}}}
    with pytest.raises(JetmillError) as error:
        Plan.from_raw(raw_config | {"samples": samples, "seed": -1})
    assert "seed: " in str(error.value)
    assert str(error.value).endswith("\nsamples.u.files: tt/b.root is in samples.s.files too")


def test_a_toy_that_is_input_of_another_sample(raw_config, data):
    (data / "out/toy").mkdir(parents=True)
    (data / "out/toy/tt_0001.root").touch()
    samples = {"tt": {"toy": {"process": "ttbar"}}, "u": {"files": "./out/toy/tt_0001.root"}}
    with pytest.raises(JetmillError, match=r"u.files: ./out/toy/tt_0001.root and out/toy/tt_0001.root of samples.tt"):
        plan(raw_config, samples=samples, output_dir="out")


def test_different_files_of_equal_content_and_time_are_not_the_same(raw_config, data):
    for name in "ab":
        os.utime(data / f"tt/{name}.root", ns=(1, 1))
    assert len(plan(raw_config, samples={"s": {"files": "tt/*.root"}}).files["s"]) == 3


ODD_NAMES = ["a[1].root", "run[2]/x.root", "{x}.root", "a*b.root", "with space.root", "{wild}/[ab]/c.root"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("absolute", [False, True])
def test_a_path_that_is_there_is_no_pattern(raw_config, data, name, absolute):
    for path in [name, "a1.root", "run2/x.root", "x.root", "aXb.root"]:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).touch()
    path = f"{data}/{name}" if absolute else name
    assert plan(raw_config, samples={"s": {"files": [path]}}).files["s"] == [path]
    (data / "list.txt").write_text(f"{path}\n")
    assert plan(raw_config, samples={"s": {"files": "list.txt"}}).files["s"] == [path]
    # So are its directories.
    if "/" in name:
        pattern = path.replace("x.root", "*.root").replace("c.root", "?.root")
        assert plan(raw_config, samples={"s": {"files": pattern}}).files["s"] == [path]


def test_a_pattern_where_no_such_path_is_there(raw_config, data):
    for name in ("a1.root", "a2.root"):
        (data / name).touch()
    assert plan(raw_config, samples={"s": {"files": "a[1].root"}}).files["s"] == ["a1.root"]


def test_a_directory_is_not_a_file(raw_config, data):
    (data / "tt/sub").mkdir()
    wanted = "samples.s.files: tt/: is a directory; name its files, as tt/*.root"
    assert refusal(raw_config, s=["tt/"]) == wanted
    # A pattern finds files alone.
    assert len(plan(raw_config, samples={"s": {"files": "tt/**"}}).files["s"]) == 3


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ("locked/*.root", "samples.s.files: locked: no permission to read this directory"),
        ("*/*.root", "samples.s.files: locked: no permission to read this directory"),
        ("*/*/*.root", "samples.s.files: locked: no permission to read this directory"),
        ("locked/a.root", "samples.s.files: locked/a.root: Permission denied"),
        (["tt/a.root", "locked/a.root", "gone.root"], "samples.s.files: locked/a.root and 1 more: Permission denied"),
        ("locked/list.txt", "samples.s.files: locked/list.txt: Permission denied"),
    ],
)
def test_a_directory_without_permission(raw_config, data, files, wanted):
    """Seen by another user than root, to whom everything is permitted; `glob` would pass by such a directory."""
    (data / "locked").mkdir()
    for name in ("a.root", "list.txt"):
        (data / "locked" / name).touch()
    (data / "locked").chmod(0)
    data.chmod(0o755)
    code = f"""
import json, os
from jetmill.settings.samples import Sample
from jetmill.inputs.files import find_files
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps(find_files({{"s": Sample(files={files!r})}}, "")[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=data, capture_output=True, text=True, check=False)
    (data / "locked").chmod(0o755)
    assert json.loads(done.stdout) == [wanted], done.stderr


def test_an_empty_list_file(raw_config, data):
    (data / "list.txt").write_text("# nothing\n")
    assert refusal(raw_config, s="list.txt") == "samples.s.files: no files are named"


def test_every_sample_with_a_problem_is_reported(raw_config, data):
    message = refusal(raw_config, one="none/*", two="tt/a.root", three="z.root")
    assert [line.split(".")[1] for line in message.splitlines()] == ["one", "three"]


def test_batches_hold_every_file_once(raw_config):
    samples = {name: {"toy": {"process": "qcd", "files": n}} for name, n in (("tt", 5), ("qcd", 4), ("one", 1))}
    work = plan(raw_config, samples=samples, input={"files_per_batch": 2})
    found = [(b.sample, b.number, len(b.files), b.first_file) for b in work.batches]
    assert found == [
        *(("tt", "0000", 2, 0), ("tt", "0001", 2, 2), ("tt", "0002", 1, 4)),
        *(("qcd", "0000", 2, 0), ("qcd", "0001", 2, 2), ("one", "0000", 1, 0)),
    ]
    for sample, files in work.files.items():
        assert [f for b in work.batches if b.sample == sample for f in b.files] == files
    assert work.batch("tt", "0002") == work.batches[2]
    assert batch_files(work)[2] == "<output_dir>/clean/tt/batch_0002.h5"
    assert batch_files(work, "variations/position/")[5] == "<output_dir>/variations/position/clean/one/batch_0000.h5"


@pytest.mark.parametrize(
    ("files_per_batch", "groups"),
    [(1, {"0000": 50, "0001": 50, "0002": 20}), (20, {"0000": 2, "0001": 2, "0002": 2}), (60, {"0000": 1, "0001": 1})],
)
def test_small_batches_are_counted_together(raw_config, monkeypatch, files_per_batch, groups):
    monkeypatch.setattr("jetmill.inputs.files.isfile", lambda _: True)
    samples = {"tt": {"files": [f"{n}.root" for n in range(120)]}}
    work = plan(raw_config, samples=samples, input={"files_per_batch": files_per_batch})
    assert {number: len(work.batches[rows]) for number, rows in work.bin_groups.items()} == groups
    assert [batch for rows in work.bin_groups.values() for batch in work.batches[rows]] == work.batches


@pytest.mark.parametrize(("width", "sizes"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (50, [7])])
def test_ranges_hold_every_variable_once(raw_config, width, sizes):
    raw_config["jets"]["variables"] = [f"v{i}" for i in range(7)]
    work = plan(raw_config, scaling={"variables_per_range": width})
    assert [(of, len(names)) for of, names in work.ranges] == [("jets", size) for size in sizes]
    assert [v for _, names in work.ranges for v in names] == raw_config["jets"]["variables"]
    assert work.range_numbers == [f"{i:02d}" for i in range(len(sizes))]


def with_constituents(raw, **changes):
    tracks = {"variables": ["d0", "z0", "qp"], "scaling": {"log": ["qp"], "method": "robust"}, "labels": ["origin"]}
    tracks |= {"label_classes": {"origin": ["pileup", "b", "c"]}}
    constituents = {"tracks": tracks, "flows": {"variables": ["pt"]}}
    return plan(raw, input={"format": "hdf5"}, constituents=constituents, **changes)


def test_ranges_of_constituents(raw_config):
    raw_config["jets"]["variables"] = [f"v{i}" for i in range(5)]
    work = with_constituents(raw_config, scaling={"variables_per_range": 2, "clip": 3.0})
    expected = [("jets", ("v0", "v1")), ("jets", ("v2", "v3")), ("jets", ("v4",))]
    expected += [("tracks", ("d0", "z0")), ("tracks", ("qp",)), ("flows", ("pt",))]
    assert work.ranges == expected
    assert work.variables == {"jets": tuple(f"v{i}" for i in range(5)), "tracks": ("d0", "z0", "qp"), "flows": ("pt",)}
    found = {of: (s.method, s.log, s.clip) for of, s in work.merge_settings.rules.items()}
    assert found == {
        "jets": ("standard", (), 3),
        "tracks": ("robust", ("qp",), None),
        "flows": ("standard", (), None),
    }
    assert work.weighted_labels == {"tracks": {"origin": 3}}


def test_global_parts_draw_from_every_batch(raw_config):
    work = plan(raw_config, input={"files_per_batch": 1}, write={"parts": {"train": 3, "val": 1, "test": 2}})
    assert [work.parts(s) for s in ("train", "val", "test")] == [["0000", "0001", "0002"], ["0000"], ["0000", "0001"]]
    assert [work.slice_of_keys("train", p) for p in work.parts("train")] == [(0, 3), (1, 3), (2, 3)]
    assert work.batches[work.sources("0002")] == work.batches
    files = [("train", 0), ("train", 1), ("train", 2), ("val", 0), ("test", 0), ("test", 1)]
    assert part_files(work, "hdf5") == [f"<results>/hdf5/{split}/part_{n:04d}.h5" for split, n in files]
    assert part_files(work, "torch", "val", "test") == [
        f"<results>/torch/{split}/part_{n:04d}.pt" for split, n in files[3:]
    ]
    assert part_files(work, "tfrecords") == [f"<results>/tfrecords/{s}/metadata.json" for s in ("train", "val", "test")]
    assert part_files(work, "upp", "train") == ["<results>/upp/train/pp_output_train.h5"]
    assert list(joined_files(work, "hdf5").values()) == [f"<results>/{split}.h5" for split in ("train", "val", "test")]
    assert joined_files(work, "structured")["train"] == "<results>/structured/train.h5"
    assert joined_files(work, "parquet") == {}


def test_resampled_validation_is_one_output_more(raw_config):
    assert plan(raw_config).outputs == ("train", "val", "test")
    raw_config["balance"]["resampling"] = {"method": "count", "validation": True}
    work = plan(raw_config, write={"parts": {"train": 3, "val": 2}})
    assert work.outputs == ("train", "val", "test", "val_resampled")
    assert work.parts("val_resampled") == work.parts("val") == ["0000", "0001"]
    assert work.slice_of_keys("val_resampled", "0001") == (1, 2)
    assert len(part_files(work, "hdf5")) == 8
    assert "parts: train 3, val 2, test 1, val_resampled 2 ->" in summary(work)


def test_only_the_outputs_that_are_asked_for(raw_config):
    raw_config["balance"]["resampling"] = {"method": "count", "validation": True}
    work = plan(raw_config, write={"outputs": ["test", "train"], "parts": {"train": 2}})
    assert work.outputs == ("train", "test", "val_resampled")
    files = ["train/part_0000", "train/part_0001", "test/part_0000", "val_resampled/part_0000"]
    assert part_files(work, "hdf5") == [f"<results>/hdf5/{file}.h5" for file in files]
    assert "parts: train 2, test 1, val_resampled 1 ->" in summary(work)


def test_batch_parts_draw_from_their_batch(raw_config):
    work = plan(raw_config, input={"files_per_batch": 1}, write={"shuffle": "batch"})
    assert work.parts("val") == ["0000", "0001", "0002", "0003"]
    for number, part in enumerate(work.parts("train")):
        assert work.slice_of_keys("train", part) == (0, 1)
        assert work.batches[work.sources(part)] == [work.batches[number]]


def test_weights(raw_config):
    raw_config["balance"]["weights"] = ["flat", {"reference": "b"}]
    assert plan(raw_config).balance_settings.weights == {
        "flat": {"method": "flat"},
        "reference_b": {"method": "reference", "reference": "b"},
    }


def test_summary(raw_config):
    work = plan(raw_config, input={"files_per_batch": 3}, output_dir="out")
    assert "tt: 4 files in 2 batches" in summary(work)
    assert "variables: 2 of jets, in 1 ranges; 2 classes (b, light)" in summary(work)
    assert "parts: train 1, val 1, test 1 -> out/" in summary(work)


def test_summary_of_constituents(raw_config):
    work = with_constituents(raw_config)
    assert "variables: 2 of jets, 3 of tracks, 1 of flows, in 3 ranges; 2 classes" in summary(work)


def finished(work, directory):
    """Leave the manifest of a run with 1,200 jets in each output."""
    places = [f"{name}/{output}" for name in work.config.write.formats for output in work.outputs]
    outputs = [{"path": f"{place}/part_{part}", "jets": 600} for place in places for part in "01"]
    manifest = {"outputs": outputs}
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_the_closing_message_promises_only_what_is_there(raw_config, tmp_path):
    work = plan(raw_config, output_dir=str(tmp_path))
    assert closing_message(work) == f"Done. The requested files are in {tmp_path}/."
    finished(work, tmp_path)
    assert closing_message(work).splitlines() == [
        f"Done: 1,200 train, 1,200 val, 1,200 test jets in {tmp_path}/",
        f'Scaled arrays: import jetmill; train = jetmill.load("{tmp_path}/train.h5")',
        f"Report: {tmp_path}/report/index.html",
        f"Check of the files, at any time: jetmill verify {tmp_path}",
    ]


@pytest.mark.parametrize("formats", [["structured"], ["tfrecords", "parquet"], ["hdf5", "torch"]])
@pytest.mark.parametrize("plots", [True, False])
def test_the_closing_message_names_every_format(raw_config, tmp_path, formats, plots):
    work = plan(raw_config, output_dir=str(tmp_path), write={"formats": formats}, report={"plots": plots})
    finished(work, tmp_path)
    places = {
        "hdf5": "/train.h5",
        "structured": "/structured/train.h5",
        "tfrecords": "/tfrecords/train",
        "parquet": "/parquet/train/",
        "torch": "/torch/train/part_0000.pt",
    }
    for name, place in places.items():
        assert (f"{tmp_path}{place}" in closing_message(work)) == (name in formats)
    assert ("/report/" in closing_message(work)) == plots


def test_how_much_the_parts_read(raw_config, tmp_path):
    work = plan(raw_config, output_dir=str(tmp_path), input={"files_per_batch": 1}, write={"parts": {"train": 4}})
    assert cleaned_megabytes(work) == 0 == cleaned_megabytes(work, "train", "0000")
    (tmp_path / "clean").mkdir()
    batches = [
        {"bytes": 8_000_000, "splits": [6, 1, 1]},
        {"bytes": 4_000_000, "splits": [0, 0, 0]},
        {"bytes": 10_000_000, "splits": [8, 2, 0]},
    ]
    rest = {"sample": "tt", "path": "b.h5", "cutflow": [], "constituents": {}, "inputs": [], "warnings": []}
    write_json(
        tmp_path / "clean/batches.json", {"types": {}, "native": {}, "batches": [rest | batch for batch in batches]}
    )
    assert cleaned_megabytes(work) == 22
    assert cleaned_megabytes(work, "train", "0001") == (6 + 8) / 4
    assert cleaned_megabytes(work, "val", "0000") == 1 + 2
    by_batch = plan(raw_config, output_dir=str(tmp_path), input={"files_per_batch": 1}, write={"shuffle": "batch"})
    assert cleaned_megabytes(by_batch, "train", "0002") == 8
    assert cleaned_megabytes(work, variation="variations/position/") == 0
    # That of another version is made again.
    write_json(tmp_path / "clean/batches.json", {"types": {}, "batches": [{"bytes": 1}]})
    assert cleaned_megabytes(work, "train", "0000") == 0
    # A list that is damaged is for the job that needs it to tell.
    (tmp_path / "clean/batches.json").write_text("[{")
    assert cleaned_megabytes(work, "train", "0000") == 0
