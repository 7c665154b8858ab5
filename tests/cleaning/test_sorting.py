"""The final order of the jets of a batch: the same whatever fits into memory, which is bounded."""

import tracemalloc

import h5py
import numpy as np
import pytest
import workflow_runs as runs
from batches import clean_batch, columns_of
from stage_runs import run_stages

from jetmill.balancing.selection import PartSpec
from jetmill.cleaning.column_buffer import ColumnBuffer, Limits
from jetmill.columns import schema as store
from jetmill.columns.batch_file import create_batch
from jetmill.columns.batch_list import read_batch_list
from jetmill.config.load import load
from jetmill.plan import Plan
from jetmill.stages.balance import balance
from jetmill.stages.bin_jets import bin_jets
from jetmill.stages.export import export

SPLITS = {
    "event": {"by": "event", "test": 0.3, "val": 0.2},
    "jet": {"by": "jet", "test": 0.3, "val": 0.2},
    "modulo": {"by": "modulo", "modulo": 7, "val": [1], "test": [2, 3]},
    "expression": {"by": "expression", "test": "eventNumber % 7 == 2 & pt > 20", "val": "count(tracks) < 3"},
}
LIMITS = {
    "runs": Limits(run_bytes=1),
    "short runs": Limits(run_values=30),
    "both": Limits(2000, 100),
    "a chunk at a time": Limits(1, 1),
}


EVENT = store.Column(store.Kind.EVENT, "eventNumber")


def write_dump(path, number, n=150, pt="f4"):
    rng = np.random.default_rng(number)
    jets = np.zeros(n, [("pt", pt), ("flavour", "i4"), ("eventNumber", "u8"), ("target", "i8" if number else "i4")])
    jets["pt"], jets["flavour"] = rng.uniform(0, 100, n), rng.choice([0, 4, 5], n)
    jets["eventNumber"], jets["target"] = np.arange(n) // 2 + n * number, rng.integers(-9, 9, n)
    tracks = np.zeros((n, 6), [("d0", "f4"), ("hits", "u1"), ("origin", "i4"), ("valid", "?")])
    tracks["valid"] = np.arange(6) < rng.integers(0, 7, n)[:, None]
    tracks["d0"], tracks["hits"] = rng.normal(size=(n, 6)), rng.integers(0, 20, (n, 6))
    tracks["origin"] = rng.integers(0, 4, (n, 6))
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return path


def config(files, directory, split):
    return {
        "output_dir": str(directory),
        "samples": {"a": {"files": [str(path) for path in files]}},
        "input": {"format": "hdf5"},
        "jets": {"variables": ["pt"], "additional_labels": ["target"]},
        "constituents": {
            "tracks": {
                "variables": ["d0", "hits"],
                "labels": ["origin"],
                "label_classes": {"origin": ["u", "v", "w", "x"]},
                "max": 5,
            }
        },
        "classes": {"b": "flavour == 5", "c": "flavour == 4"},
        "split": split,
        "balance": {"bins": {"pt": [0, 100, 5]}, "resampling": {"method": "count"}},
        "write": {"parts": {"train": 2, "val": 1, "test": 1}},
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dumps")
    return [write_dump(directory / f"{k}.h5", k, pt="f8" if k == 2 else "f4") for k in range(3)]


def stored(path):
    with h5py.File(path) as file:
        return columns_of(path) | {key: file.attrs[key] for key in ("splits", "class_counts", "types")}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("limits", LIMITS)
def test_what_fits_into_memory_makes_no_difference(files, tmp_path, split, limits):
    raw = config(files, tmp_path, SPLITS[split])
    options = {"settings": load(raw).cleaning, "sample": "a", "first_file": 0}
    clean_batch(files, tmp_path / "whole.h5", **options)
    clean_batch(files, tmp_path / "pieces.h5", **options, limits=LIMITS[limits])
    one, other = stored(tmp_path / "whole.h5"), stored(tmp_path / "pieces.h5")
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(other[name], values)
    assert {name: x.dtype for name, x in other.items() if isinstance(x, np.ndarray)} == {
        name: x.dtype for name, x in one.items() if isinstance(x, np.ndarray)
    }
    assert list(tmp_path.glob(".*")) == []


def test_the_order_is_that_of_a_plain_sort(files, tmp_path):
    """Grouped by split, sorted by key, and each jet with its own constituents."""
    raw = config(files, tmp_path, SPLITS["modulo"])
    clean_batch(
        files, tmp_path / "c.h5", settings=load(raw).cleaning, sample="a", first_file=0, limits=Limits(run_values=100)
    )
    made = stored(tmp_path / "c.h5")
    truth = {}
    for path in files:
        with h5py.File(path) as file:
            for jet, tracks in zip(file["jets"][()], file["tracks"][()], strict=True):
                if jet["flavour"]:
                    hits = tracks["hits"][tracks["valid"]][:5].tolist()
                    truth.setdefault(int(jet["eventNumber"]), []).append((float(jet["pt"]), hits))
    starts, split = made["constituents/tracks/offsets"], np.repeat([0, 1, 2], made["splits"])
    assert starts[0] == 0
    assert starts[-1] == len(made["constituents/tracks/variables/hits"])
    for s in range(3):
        assert (np.diff(made["key"][split == s].astype(object)) > 0).all()
    for i, event in enumerate(made["event/eventNumber"].tolist()):
        hits = made["constituents/tracks/variables/hits"][starts[i] : starts[i + 1]].tolist()
        truth[event].remove((float(made["variables/pt"][i]), hits))
        assert split[i] == {1: 1, 2: 2, 3: 2}.get(event % 7, 0)
    assert not any(truth.values())


def test_memory_does_not_grow_with_the_batch(tmp_path):
    """Peaks of four times as many constituents are the same, and far below a single column of them."""
    limits = Limits(run_bytes=4_000_000, run_values=2**18)
    settings = load(config([write_dump(tmp_path / "a.h5", 0)], tmp_path, SPLITS["modulo"])).cleaning
    of_tracks = [store.constituent("tracks", name) for name in ("d0", "hits")] + [
        store.constituent_label("tracks", "origin")
    ]
    types = dict.fromkeys(of_tracks, np.dtype(np.float32)) | {
        store.counts("tracks"): np.dtype(np.uint16),
        EVENT: np.dtype(np.uint64),
    }
    own = {store.KEY: np.dtype(np.uint64), store.LABEL: np.dtype(np.uint8)}

    def peak(n_chunks):
        rng = np.random.default_rng(0)
        tracemalloc.start()
        with create_batch(tmp_path / "b.h5") as writer:
            jets = ColumnBuffer(writer, settings, own, limits)
            jets.expect(types, "a.h5")
            for _ in range(n_chunks):
                counts = rng.integers(0, 101, 2000).astype(np.uint16)
                made = {name: rng.random(counts.sum(), dtype=np.float32) for name in of_tracks}
                key = rng.integers(2**64, size=2000, dtype=np.uint64)
                of_jets = {
                    store.KEY: key,
                    store.LABEL: np.zeros(2000, np.uint8),
                    EVENT: key >> np.uint64(9),
                }
                jets.append(made | of_jets | {store.counts("tracks"): counts})
            columns, of_runs = jets.finish()
            writer.finish(columns, {"runs": of_runs.sum(axis=2)})
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(50), peak(200)
    assert many < 1.2 * few
    assert many < 20_000_000 < 200 * 2000 * 50 * 4


def test_blocks_of_later_stages_make_no_difference(files, tmp_path):
    raw = config(files, tmp_path / "whole", SPLITS["event"])
    whole, plan = run_stages(raw), Plan.from_raw(raw)
    batches = read_batch_list(whole / "clean/batches.json")
    bin_jets(batches, tmp_path / "bins.h5", plan.bin_settings["0000"], block_rows=17)
    balance(batches, [tmp_path / "bins.h5"], tmp_path / "balance.h5", plan.balance_settings, block_rows=17)
    exports = ("scale_dict.json", "norm_dict.yaml", "class_dict.yaml")
    export(
        PartSpec.from_batches(batches, "train", (0, 1)),
        sorted(whole.glob("scalers/*.json")),
        *(whole / "scalers.json", tmp_path / "balance.h5", *(tmp_path / name for name in exports)),
        labels=plan.weighted_labels,
        block_jets=17,
    )
    for name, theirs in (("bins.h5", "bins/0000.h5"), ("balance.h5", "balance.h5")):
        found, expected = runs.datasets(tmp_path / name), runs.datasets(whole / theirs)
        assert found.keys() == expected.keys()
        for dataset, values in expected.items():
            np.testing.assert_array_equal(found[dataset], values)
    for name in exports:
        assert (whole / name).read_text() == (tmp_path / name).read_text()
