"""Batches made on the fly, against the files that the same run writes, read with h5py alone.

Four runs, made by calling the stages: `one` and `two` as in `format_runs` (resampled, float32, all variables
of jets put to tracks; float16, clipped, not resampled), `root` (ntuples), `small` (a part per batch, an empty
validation split, a dozen test jets).
"""

import shutil
import tracemalloc
from functools import partial
from itertools import islice
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
import workflow_runs as runs
import yaml
from format_runs import ETA_EDGES, PT_EDGES
from stream_runs import (
    CONFIGS,
    Made,
    assert_same_batches,
    assert_same_jets,
    fingerprints,
    identity,
    lengths,
    made,
    make,
    together,
)

import jetmill
from jetmill.errors import JetmillError
from jetmill.loading import streams as streaming

OUTPUTS = [
    *(("one", output) for output in ("train", "val", "test", "val_resampled")),
    *((name, output) for name in ("two", "root", "small") for output in ("train", "val", "test")),
]


# Streams


@pytest.mark.parametrize(("run", "output"), OUTPUTS, indirect=["run"])
def test_a_stream_is_what_the_file_holds(run, output):
    expected = run.arrays(output)
    n_jets = len(expected["jets/labels"])
    stream = run.stream(output, batch_size=300, jets_in_memory=500)
    batches = list(stream.epoch())
    assert stream.n_jets == n_jets
    assert lengths(batches) == [300] * (n_jets // 300) + [n_jets % 300] * (n_jets % 300 > 0)
    assert len(stream) == len(batches)
    if n_jets:
        assert_same_jets(together(batches), expected)


def test_the_files_are_what_they_are_meant_to_be(one, two, from_root, small):
    event = identity(one.arrays("train"))
    assert np.unique(event, axis=0, return_counts=True)[1].max() > 1
    assert one.arrays("train")["jets/inputs"].dtype == np.float32
    assert one.arrays("train")["tracks/inputs"].shape[2] == 11
    assert two.arrays("train")["tracks/inputs"].dtype == np.float16
    assert {"jets/weight", "jets/weight_flat", "jets/event/event"} <= set(from_root.arrays("val"))
    assert len(small.arrays("val")["jets/labels"]) == 0
    assert 0 < len(small.arrays("test")["jets/labels"]) < 30


@pytest.mark.parametrize("jets_in_memory", [3, 100, 10**6])
@pytest.mark.parametrize("batch_size", [1, 70, 10**6])
def test_any_size(one, batch_size, jets_in_memory):
    expected = one.arrays("val_resampled")
    n_jets = len(expected["jets/labels"])
    jets_in_memory = max(jets_in_memory, n_jets // 15)
    batches = list(one.stream("val_resampled", batch_size=batch_size, jets_in_memory=jets_in_memory).epoch())
    assert set(lengths(batches[:-1])) <= {batch_size}
    assert_same_jets(together(batches), expected)


@pytest.mark.parametrize("n_workers", [1, 3, 5])
@pytest.mark.parametrize("jets_in_memory", [120, 10**6])
def test_workers_share_the_jets(one, n_workers, jets_in_memory):
    stream = one.stream("val_resampled", batch_size=50, jets_in_memory=jets_in_memory)
    by_worker = [list(stream.epoch(5, worker, n_workers)) for worker in range(n_workers)]
    assert max(map(len, by_worker)) - min(map(len, by_worker)) <= 1
    batches = [b for of_worker in by_worker for b in of_worker]
    assert lengths(batches) == [50] * (stream.n_jets // 50) + [stream.n_jets % 50]
    assert_same_jets(together(batches), one.arrays("val_resampled"))


def test_more_workers_than_jets(small):
    stream = small.stream("test", batch_size=4)
    n_workers = stream.n_jets + 1
    assert 2 < n_workers < 23
    batches = [b for worker in range(n_workers) for b in stream.epoch(0, worker, n_workers)]
    assert_same_jets(together(batches), small.arrays("test"))


def test_an_empty_output(small):
    stream = small.stream("val")
    assert (stream.n_jets, len(stream)) == (0, 0)
    assert [list(stream.epoch(0, worker, 2)) for worker in range(2)] == [[], []]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_the_order_is_reproducible(one, n_workers):
    options = {"batch_size": 400, "jets_in_memory": 800, "seed": 4}
    stream = one.stream(**options)
    for worker in range(n_workers):
        first = list(stream.epoch(2, worker, n_workers))
        assert_same_batches(list(stream.epoch(2, worker, n_workers)), first)
        assert_same_batches(list(one.stream(**options).epoch(2, worker, n_workers)), first)


def test_the_order_depends_on_epoch_and_seed(one):
    orders = [
        identity(together(list(one.stream(jets_in_memory=jets, seed=seed).epoch(epoch))))
        for jets in (1000, 10**6)
        for seed, epoch in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1))
    ]
    orders.append(identity(one.arrays("train")))
    for i, a in enumerate(orders):
        for b in orders[:i]:
            # By chance: jets are drawn several times.
            assert (a == b).all(axis=1).mean() < 0.02


def test_epochs_can_be_read_side_by_side(one):
    stream = one.stream("val", batch_size=50, jets_in_memory=100)
    alone = [list(stream.epoch(0)), list(stream.epoch(1))]
    assert_same_batches([b for pair in zip(*alone, strict=True) for b in pair],
                        [b for pair in zip(stream.epoch(0), stream.epoch(1), strict=True) for b in pair])  # fmt: skip


def test_jets_are_mixed(one, two):
    arrays = [together(list(two.stream(jets_in_memory=10**6).epoch(k))) for k in range(2)]
    n = len(arrays[0]["jets/labels"])
    for name in ("jets/labels", "jets/sample"):
        values = arrays[0][name].astype(float)
        assert abs(values[: n // 2].mean() - values[n // 2 :].mean()) < 5 * values.std() * np.sqrt(4 / n)
    # Where a jet is in one epoch says nothing about the next.
    places = [np.lexsort(identity(a).T) for a in arrays]
    assert abs(np.corrcoef(*places)[0, 1]) < 5 / np.sqrt(n)
    # Copies of a jet are not next to each other.
    event = identity(together(list(one.stream().epoch())))
    assert (event[1:] == event[:-1]).all(axis=1).mean() < 0.01


def test_slices_come_in_any_order(one):
    """Else the first jets of an epoch would always be the same."""
    stream = one.stream(jets_in_memory=300)
    first = [{tuple(i) for i in identity(next(stream.epoch(k)))[:200].tolist()} for k in range(6)]
    assert len({frozenset(f) for f in first}) == 6
    assert min(len(a & b) for a in first for b in first) < 50


@pytest.fixture
def slices(monkeypatch):
    """Return the jets of each slice that is prepared."""
    sizes, original = [], streaming.scaled_rows

    def scaled_rows(jets, *arguments):
        sizes.append(sum(map(len, jets)))
        return original(jets, *arguments)

    monkeypatch.setattr(streaming, "scaled_rows", scaled_rows)
    return sizes


@pytest.mark.parametrize(("run", "output"), [("one", "train"), ("two", "train")], indirect=["run"])
def test_slices_are_as_large_as_asked(run, output, slices):
    stream = run.stream(output, batch_size=100, jets_in_memory=500)
    n = len(list(stream.epoch()))
    assert n == len(stream)
    assert sum(slices) == stream.n_jets
    # The next power of two.
    assert stream.n_jets / 500 <= len(slices) < 2 * stream.n_jets / 500
    # Repeats of a jet are in one slice.
    assert max(slices) < 500 + 6 * np.sqrt(500 * 3)


def test_slices_are_made_when_they_are_needed(one, slices):
    batches = one.stream(batch_size=100, jets_in_memory=500).epoch()
    assert slices == []
    next(batches)
    assert len(slices) == 1


def test_memory_is_bounded(two):
    def peak(jets_in_memory, n_batches):
        batches = two.stream(batch_size=50, jets_in_memory=jets_in_memory).epoch()
        tracemalloc.start()
        for _ in islice(batches, n_batches):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10**6, None)
    assert peak(300, None) < 0.3 * peak(10**6, None)
    # A slice is gone before the next is made.
    assert peak(2300, None) < 1.25 * peak(2300, 1)


def test_batches_are_their_own(small):
    """What a user changes in a batch does not reach the next."""
    stream = small.stream(batch_size=70)
    expected = list(stream.epoch())
    changed = []
    for batch in stream.epoch():
        changed.append({name: x.copy() for name, x in batch.items()})
        for x in batch.values():
            x[...] = 0
    assert_same_batches(changed, expected)


# Which run


@pytest.fixture
def own(tmp_path):
    """A run of this test."""
    return make(tmp_path / "results", CONFIGS["small"] | {"write": {"parts": {"train": 2}}})


def without_files(results):
    """Leave what a stream needs."""
    for path in results.iterdir():
        if path.name not in ("balance.h5", "scalers.json", "clean"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_the_configuration_is_a_mapping_or_a_file_or_a_run(small, tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(small.config | {"output_dir": "results"}))
    monkeypatch.chdir(small.results.parent)
    expected = list(small.stream("test").epoch())
    for config in (path, str(path), small.config | {"output_dir": "results"}):
        assert_same_batches(list(jetmill.Stream(config, "test").epoch()), expected)


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("name", ["one", "two", "root", "small"])
def test_a_finished_run_by_its_directory(name, kind, tmp_path_factory):
    run = made(name, tmp_path_factory)
    expected = list(run.stream("test").epoch())
    assert_same_batches(list(jetmill.Stream(kind(run.results), "test").epoch()), expected)


def test_a_moved_run(own, tmp_path):
    expected = own.arrays("train")
    moved = tmp_path / "else/where"
    moved.parent.mkdir()
    shutil.move(own.results, moved)
    manifest = (moved / "manifest.json").read_text()
    shutil.rmtree(moved / "toy")
    without_files(moved)
    (moved / "manifest.json").write_text(manifest)
    assert_same_jets(together(list(jetmill.Stream(moved).epoch())), expected)


def test_no_more_than_balance_and_scalers_is_needed(own):
    expected = own.arrays("train")
    without_files(own.results)
    assert_same_jets(together(list(own.stream(batch_size=30).epoch())), expected)


@pytest.mark.workflow
def test_after_what_the_tutorial_says(from_root, tmp_path, monkeypatch):
    config = CONFIGS["root"] | {"output_dir": "results"}
    done = runs.snakemake(tmp_path, "--cores", "2", "results/balance.h5", "results/scalers.json", config=config)
    assert done.code == 0, done.output
    monkeypatch.chdir(tmp_path)
    assert not any(Path("results", name).exists() for name in ("hdf5", "train.h5", "manifest.json"))
    for output in ("train", "val", "test"):
        assert_same_jets(together(list(jetmill.Stream("config.yaml", output).epoch())), from_root.arrays(output))


def test_batches_of_an_earlier_plan_are_left_out(own):
    """Snakemake leaves the column files of a run with more batches where they are."""
    config = runs.changed(own.config, {"input": {"files_per_batch": 2}})
    again = make(own.results, config)
    assert len(list(own.results.glob("clean/ttbar/*.h5"))) == 2
    assert_same_jets(together(list(again.stream().epoch())), again.arrays("train"))


@pytest.mark.parametrize("missing", ["balance.h5", "scalers.json"])
def test_a_run_that_is_not_far_enough(own, missing):
    path = own.results / missing
    path.unlink()
    with pytest.raises(JetmillError) as error:
        own.stream()
    assert str(error.value).startswith(f"{path}: no such file; `snakemake ")
    assert all(str(own.results / name) in str(error.value) for name in ("balance.h5", "scalers.json"))
    with pytest.raises(JetmillError, match=f"{missing}: no such file"):
        jetmill.DumpStream(own.config, own.files("ttbar"), sample="ttbar")


@pytest.mark.parametrize("gone", ["clean", "clean/batches.json", "clean/ttbar/batch_0001.h5"])
def test_a_run_whose_columns_are_gone(own, gone):
    path = own.results / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(JetmillError, match=gone.split("/")[0]):
        list(own.stream().epoch())


def test_an_output_that_there_is_not(one):
    with pytest.raises(JetmillError, match=r"^no output 'vall'; there are train, val, .*Did you mean 'val'\?$"):
        one.stream("vall")


def test_an_output_that_the_run_does_not_write(small):
    assert not (small.results / "val_resampled.h5").exists()
    with pytest.raises(JetmillError, match="no output 'val_resampled'"):
        small.stream("val_resampled")


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": -1}, {"jets_in_memory": 0}])
def test_sizes_must_be_positive(small, options):
    with pytest.raises(JetmillError, match=next(iter(options))):
        small.stream(**options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ": No such file or directory"),
        (b"- a\n- b\n", ": holds no configuration"),
        (b"", ": holds no configuration"),
        (b"a: [1\n", ": is not YAML"),
        (b"\x89HDF\r\n", ": is not YAML"),
    ],
)
def test_configurations_that_cannot_be_read(content, message, tmp_path):
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_bytes(content)
    for stream in (jetmill.Stream, partial(jetmill.DumpStream, files=[], sample="ttbar")):
        for config in (path, str(path)):
            with pytest.raises(JetmillError) as error:
                stream(config)
            assert str(error.value).startswith(f"{path}{message}")


def test_configurations_that_are_wrong(small, tmp_path):
    with pytest.raises(JetmillError, match=r"has no manifest\.json.*give its configuration instead"):
        jetmill.Stream(tmp_path)
    (tmp_path / "config.yaml").write_text("samples: {}\n")
    with pytest.raises(JetmillError, match="samples"):
        jetmill.Stream(tmp_path / "config.yaml")
    with pytest.raises(JetmillError, match=r"write\.prezision.*Did you mean 'precision'"):
        jetmill.Stream(runs.changed(small.config, {"write": {"prezision": "float16"}}))


# Streams of input files


def dumped(run, sample=None, **options):
    """Return the batches of all files of all samples, or of one."""
    samples = [sample] if sample else run.config["samples"]
    return [b for s in samples for b in jetmill.DumpStream(run.config, run.files(s), sample=s, **options)]


@pytest.mark.parametrize("run", ["two", "root", "small"], indirect=True)
def test_dumps_become_what_the_files_hold(run):
    assert_same_jets(together(dumped(run, batch_size=333)), run.arrays("train", "val", "test"))


PLUGIN = """
def of_jets(jets):
    return {"half": jets["mass"] / 2}


def of_tracks(tracks, jets):
    return {"share": tracks["pt"] / jets["pt_btagJes"][tracks["jet"]]}
"""


def test_dumps_with_variables_and_classes_that_cleaning_makes(tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    config = CONFIGS["small"]
    jets, tracks = config["jets"], config["constituents"]["tracks"]
    of_jets = {"plugin": str(plugin), "function": "of_jets", "reads": ["mass"], "makes": ["half"]}
    of_tracks = {"plugin": str(plugin), "function": "of_tracks", "reads": ["pt"], "makes": ["share"]}
    config = config | {
        "jets": jets
        | {
            "transforms": [of_jets],
            "variables": [*jets["variables"], "half", "n_tracks"],
            "additional_labels": [*jets["additional_labels"], "half", "mass_ratio"],
        },
        "constituents": {
            "tracks": tracks
            | {
                "transforms": [of_tracks | {"reads_jets": ["pt_btagJes"]}],
                "variables": [*tracks["variables"], "share"],
            }
        },
        "classes": {"z": {"samples": ["zprime"], "cut": "HadronConeExclTruthLabelID == 5"}, **config["classes"]},
    }
    run = make(tmp_path / "results", config)
    expected = run.arrays("train", "val", "test")
    assert expected["jets/inputs"].shape[1] == len(jets["variables"]) + 2
    assert set(expected["jets/sample"][expected["jets/labels"] == 0]) == {1}
    assert_same_jets(together(dumped(run)), expected)
    assert_same_jets(together(list(run.stream().epoch())), run.arrays("train"))


def test_dumps_of_a_resampled_run(one):
    found = fingerprints(together(dumped(one)))
    for output in ("train", "val", "test", "val_resampled"):
        expected = fingerprints(one.arrays(output))
        assert np.isin(expected, found).all()


def by_chunks(config, chunk_bytes):
    return config | {"input": config["input"] | {"chunk_bytes": chunk_bytes}}


@pytest.mark.parametrize("run", ["two", "root"], indirect=True)
def test_dumps_chunk_by_chunk(run):
    sample = next(iter(run.config["samples"]))
    file = run.files(sample)[:1]
    whole = list(jetmill.DumpStream(run.config, file, sample=sample))
    chunked = list(jetmill.DumpStream(by_chunks(run.config, 20_000), file, sample=sample))
    assert_same_jets(together(chunked), together(whole))
    assert not np.array_equal(identity(together(chunked)), identity(together(whole)))


@pytest.fixture
def ordered(two, tmp_path):
    """A dump of jets with numbered events, and its configuration."""
    path = tmp_path / "ordered.h5"
    with h5py.File(two.files("ttbar")[0]) as source, h5py.File(path, "w") as file:
        jets = source["jets"][()]
        jets["eventNumber"] = np.arange(len(jets))
        file.create_dataset("jets", data=jets, chunks=(100,))
        file.create_dataset("tracks", data=source["tracks"][()], chunks=(100, source["tracks"].shape[1]))
    return two.config, path


def test_dumps_are_shuffled_within_chunks(ordered):
    config, path = ordered
    for chunk_bytes, n_chunks in ((10**9, 1), (1, 15)):
        stream = jetmill.DumpStream(by_chunks(config, chunk_bytes), [path], sample="ttbar")
        event = together(list(stream))["jets/event/eventNumber"]
        size = 1500 // n_chunks
        np.testing.assert_array_equal(event // size, np.sort(event) // size)
        for chunk in range(n_chunks):
            inside = event[event // size == chunk].astype(int)
            assert abs(np.corrcoef(inside, np.arange(len(inside)))[0, 1]) < 5 / np.sqrt(len(inside))


def test_dumps_are_reproducible(two):
    first = dumped(two, "ttbar", seed=2)
    assert_same_batches(dumped(two, "ttbar", seed=2), first)
    stream = jetmill.DumpStream(two.config, two.files("ttbar"), sample="ttbar", seed=2)
    for _ in range(2):
        assert_same_batches(list(stream), first)
    other = together(dumped(two, "ttbar", seed=3))
    assert_same_jets(other, together(first))
    assert (identity(other) == identity(together(first))).all(axis=1).mean() < 0.02


@pytest.mark.parametrize("batch_size", [1, 999, 10**6])
def test_sizes_of_batches_of_dumps(small, batch_size):
    batches = dumped(small, "zprime", batch_size=batch_size)
    assert set(lengths(batches[:-1])) <= {batch_size}
    assert lengths(batches)[-1] <= batch_size
    assert_same_jets(together(batches), together(dumped(small, "zprime")))


def weight_tables(run):
    with h5py.File(run.results / "balance.h5") as file:
        return {name: file[f"weights/{name}"][()] for name in file.attrs["weights"]}


@pytest.mark.parametrize("name", ["two", "small"])
def test_weights_of_dumps(name, ordered, tmp_path_factory):
    """By the tables of the run, 0 outside its bins or where the variable of the bins is missing."""
    run, path = made(name, tmp_path_factory), ordered[1]
    config = run.config | {"jets": run.config["jets"] | {"select": []}}
    with h5py.File(path, "r+") as file:
        jets = file["jets"][()]
        jets["pt_btagJes"][:6] = [np.nan, 1e7, 6e6, 20e3, np.inf, 250e3]
        jets["absEta_btagJes"][6:12] = [np.nan, 2.5, 0, 2.6, -0.1, 100]
        file["jets"][...] = jets
    found = together(list(jetmill.DumpStream(config, [path], sample="zprime")))
    jets = jets[found["jets/event/eventNumber"].astype(int)]
    pt, eta = (jets[v].astype(np.float64) for v in ("pt_btagJes", "absEta_btagJes"))
    inside = (pt >= 20e3) & (pt <= 6e6) & (eta >= 0) & (eta <= 2.5)
    assert 50 < (~inside).sum() < len(jets) == 1500
    place = [
        np.clip(np.digitize(np.where(inside, x, edges[0]), edges) - 1, 0, len(edges) - 2)
        for x, edges in ((pt, PT_EDGES), (eta, ETA_EDGES))
    ]
    (average, reference) = weight_tables(run).values()
    for dataset, table in (("jets/weight", average), ("jets/weight_reference_c", reference)):
        expected = np.where(inside, table[found["jets/labels"], place[0], place[1]], 0)
        np.testing.assert_array_equal(found[dataset], expected.astype(np.float32))
        assert found[dataset].dtype == np.float32
    np.testing.assert_array_equal(found["jets/bins"], np.where(inside[:, None], np.stack(place, axis=1), -1))
    np.testing.assert_array_equal(found["jets/sample"], 1)
    np.testing.assert_array_equal(found["jets/is_default"][:, 0], ~np.isfinite(pt))


def test_weights_of_ntuples(from_root):
    """Without cuts on what is binned there are jets outside the bins; the others are those of the files."""
    select = from_root.config["jets"]["select"][3:]
    config = from_root.config | {"jets": from_root.config["jets"] | {"select": select}}
    found = together(dumped(Made(config, from_root.results)))
    expected = from_root.arrays("train", "val", "test")
    inside = np.isin(fingerprints(found), fingerprints(expected))
    assert inside.sum() == len(expected["jets/labels"])
    assert (~inside).sum() > 500
    for name in ("jets/weight", "jets/weight_flat"):
        assert (found[name][~inside] == 0).all()


def test_without_weight_tables(own):
    config = runs.changed(own.config, {"balance": {"weights": []}})
    run = make(own.results, config)
    np.testing.assert_array_equal(together(list(run.stream().epoch()))["jets/weight"], 1)
    wide = config | {"jets": config["jets"] | {"select": []}}
    found = together(list(jetmill.DumpStream(wide, run.files("ttbar"), sample="ttbar")))
    assert set(np.unique(found["jets/weight"])) == {0, 1}


@pytest.mark.parametrize("run", ["two", "root"], indirect=True)
def test_dumps_without_jets(run, tmp_path):
    sample = next(iter(run.config["samples"]))
    files = run.files(sample)[:1]
    empty = tmp_path / f"empty{files[0].suffix}"
    if empty.suffix == ".h5":
        with h5py.File(files[0]) as source, h5py.File(empty, "w") as file:
            for name in ("jets", "tracks"):
                file[name] = source[name][:0]
    else:
        with runs.uproot.open(files[0]) as source:
            names = [b.removeprefix("Jet_") for b in source["Events"].keys() if b.startswith("Jet_")]  # noqa: SIM118
            branches = source["Events"].arrays([f"Jet_{name}" for name in names])
            jets = {name: runs.ak.to_numpy(runs.ak.flatten(branches[f"Jet_{name}"]))[:0] for name in names}
        runs.write_ntuple(empty, jets, np.zeros(20, dtype=int))
    expected = list(jetmill.DumpStream(run.config, files, sample=sample))
    assert list(jetmill.DumpStream(run.config, [empty], sample=sample)) == []
    assert_same_batches(list(jetmill.DumpStream(run.config, [empty, *files, empty], sample=sample)), expected)
    assert list(jetmill.DumpStream(run.config, [], sample=sample)) == []


def test_dumps_of_which_no_jet_is_left(two):
    config = two.config | {"jets": two.config["jets"] | {"select": ["pt_btagJes > 1e9"]}}
    assert list(jetmill.DumpStream(config, two.files("ttbar"), sample="ttbar")) == []


def test_mistakes_with_dumps(two, tmp_path):
    with pytest.raises(JetmillError, match=r"^there is no sample 'ttbaar'\. Did you mean 'ttbar'\?$"):
        jetmill.DumpStream(two.config, [], sample="ttbaar")
    gone = tmp_path / "gone.h5"
    with pytest.raises(JetmillError, match=r"gone\.h5: no such file"):
        list(jetmill.DumpStream(two.config, [gone], sample="ttbar"))
    with h5py.File(gone, "w") as file:
        file["jets"] = np.zeros(3, dtype=[("pt_btagJes", "f4")])
    with pytest.raises(JetmillError, match=r"gone\.h5"):
        list(jetmill.DumpStream(two.config, [gone], sample="ttbar"))
