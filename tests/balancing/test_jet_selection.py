from dataclasses import replace

import h5py
import numpy as np
import pytest
from batches import at, cleaned, write_batch

from jetmill.balancing.selection import PartSpec, final_order, select_jets
from jetmill.randomness import mix, selection_key
from jetmill.splitting import SPLITS

N_BINS = 6  # 2 times 3 bins
SIZES = (270, 120, 90)  # jets of each split of a sample


class Store:
    """Jets of two samples, each with a number and a few constituents, cut into batches."""

    def __init__(self, directory, n_batches):
        self.batches = []
        n = sum(SIZES)
        for start, sample in ((0, "tt"), (n, "qcd")):
            rng = np.random.default_rng(start)
            split = np.repeat(range(3), SIZES)
            jets = {
                "key": rng.integers(0, 2**64, size=n, dtype=np.uint64),
                "label": rng.integers(0, 2, size=n).astype(np.uint8),
                "bin": rng.integers(0, N_BINS, size=n).astype(np.uint32),
                "variables/number": start + np.arange(n),
                "count": rng.integers(0, 4, size=n),
            }
            for batch, places in enumerate(np.array_split(rng.permutation(n), n_batches)):
                places = places[np.lexsort((jets["key"][places], split[places]))]
                columns = {name: values[places] for name, values in jets.items()}
                counts, bin_index = columns.pop("count"), columns.pop("bin")
                # Bins of 2 times 3 bins: x from 0 to 2, y from 0 to 3.
                columns["variables/x"], columns["variables/y"] = bin_index // 3 + 0.5, bin_index % 3 + 0.5
                columns["constituents/tracks/offsets"] = np.concatenate([[0], np.cumsum(counts)])
                columns["constituents/tracks/variables/of"] = np.repeat(columns["variables/number"], counts)
                self.batches.append(cleaned(sample, directory / f"{sample}_{batch}.h5"))
                splits = np.bincount(split[places], minlength=3)
                write_batch(self.batches[-1].path, iter(columns.items()), {"splits": splits})

    def part(self, output="train", number=0, n_parts=1):
        return PartSpec(output, (number, n_parts), self.batches)

    def columns(self, split):
        """Return sample, key, label, bin and number of all jets of a split."""
        found = []
        for listed in self.batches:
            with listed.open() as batch:
                (rows,) = batch.rows(SPLITS.index(split))
                columns = [batch.read(at(name), rows) for name in ("key", "label", "variables/number")]
                x, y = (np.floor(batch.read(at(f"variables/{name}"), rows)) for name in "xy")
                found.append([np.full(len(columns[0]), listed.sample), *columns, (3 * x + y).astype(np.uint32)])
        return [np.concatenate(column) for column in zip(*found, strict=True)]


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"), 3)


@pytest.fixture(scope="module")
def tables():
    """Return how often jets are taken, and the threshold to take them once more, by sample: (2, 2, 3)."""
    rng = np.random.default_rng(2)
    return {
        s: (rng.integers(0, 4, (2, 2, 3)), rng.integers(0, 2**64, (2, 2, 3), dtype=np.uint64)) for s in ("tt", "qcd")
    }


@pytest.fixture(scope="module")
def balance_file(tmp_path_factory, tables):
    with h5py.File(tmp_path_factory.mktemp("balance") / "b.h5", "w") as file:
        file.attrs["classes"], file.attrs["variables"] = ["b", "light"], ["x", "y"]
        file["edges/x"], file["edges/y"] = np.arange(3.0), np.arange(4.0)
        for sample, (repeats, threshold) in tables.items():
            file[f"repeats/train/{sample}"], file[f"threshold/train/{sample}"] = repeats, threshold
        yield file


def numbers(selected):
    return np.concatenate([p.read([at("variables/number")])[0] for p in selected]).astype(np.int64)


def times_wanted(jets, tables):
    """Return how often each training jet is wanted, by number."""
    wanted = {}
    for sample, key, label, number, bin_index in zip(*jets.columns("train"), strict=True):
        repeats, threshold = (table[label].flat[bin_index] for table in tables[sample])
        wanted[int(number)] = int(repeats) + (int(selection_key(np.array([key]))[0]) < int(threshold))
    return wanted


@pytest.mark.parametrize("output", ["val", "test", "val_resampled"])
def test_without_tables_every_jet_is_taken_once(jets, balance_file, output):
    split = output.partition("_")[0]
    selected = list(select_jets(jets.part(output), balance_file))
    assert [p.sample for p in selected] == ["tt"] * 3 + ["qcd"] * 3
    np.testing.assert_array_equal(np.sort(numbers(selected)), np.sort(jets.columns(split)[3]))
    np.testing.assert_array_equal(np.concatenate([p.order for p in selected]), mix(jets.columns(split)[1]))
    for i, name in ((2, "label"), (4, "bin_index")):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in selected]), jets.columns(split)[i])


def test_jets_are_taken_as_often_as_the_tables_say(jets, balance_file, tables):
    selected = list(select_jets(jets.part(), balance_file))
    found, times = np.unique(numbers(selected), return_counts=True)
    wanted = {number: n for number, n in times_wanted(jets, tables).items() if n}
    assert dict(zip(found.tolist(), times.tolist(), strict=True)) == wanted
    assert set(wanted.values()) >= {1, 2, 3}
    # What is known of a jet stays with it.
    _, _, label, number, bin_index = jets.columns("train")
    place = np.argsort(number)[np.searchsorted(np.sort(number), numbers(selected))]
    np.testing.assert_array_equal(np.concatenate([p.label for p in selected]), label[place])
    np.testing.assert_array_equal(np.concatenate([p.bin_index for p in selected]), bin_index[place])


@pytest.mark.parametrize("n_parts", [1, 2, 5, 100])
def test_parts_share_the_jets_by_their_keys(jets, balance_file, n_parts):
    whole = list(select_jets(jets.part(), balance_file))
    parts = [list(select_jets(jets.part("train", k, n_parts), balance_file)) for k in range(n_parts)]
    together = np.concatenate([numbers(part) for part in parts])
    np.testing.assert_array_equal(np.sort(together), np.sort(numbers(whole)))
    _, key, _, number, _ = jets.columns("train")
    part_of = {int(n): int(k) * n_parts // 2**64 for n, k in zip(number, key, strict=True)}
    assert all(part_of[n] == k for k, part in enumerate(parts) for n in numbers(part).tolist())


def test_repeats_are_apart(jets, balance_file):
    selected = list(select_jets(jets.part(), balance_file))
    order = np.concatenate([p.order for p in selected])
    assert len(np.unique(order)) == len(order)
    found = numbers(selected)[final_order(selected)]
    # Of n places in random order, neighbours are copies of each other by chance.
    assert (found[1:] == found[:-1]).sum() < 8


def test_constituents_stay_with_their_jets(jets, balance_file):
    for output in ("train", "test"):
        for p in select_jets(jets.part(output), balance_file):
            (number,), (counts, (of,)) = (
                p.read([at("variables/number")]),
                p.read_constituents("tracks", [at("constituents/tracks/variables/of")]),
            )
            np.testing.assert_array_equal(np.repeat(number, counts), of)
            # By the rows of the batch, one after the other.
            with p.batch.open() as batch:
                all_counts = np.diff(batch.read(at("constituents/tracks/offsets")))
                rows = {int(n): int(c) for n, c in zip(batch.read(at("variables/number")), all_counts, strict=True)}
            assert counts.tolist() == [rows[int(n)] for n in number]


def test_as_many_jets_doubled_as_dropped_are_still_the_right_ones(jets, tmp_path):
    source = jets.part()
    source = replace(source, batches=source.batches[:1])
    with source.batches[0].open() as batch, h5py.File(tmp_path / "b.h5", "w") as file:
        key, label = (batch.read(at(name), *batch.rows(0)) for name in ("key", "label"))
        file.attrs["classes"], file.attrs["variables"] = ["b", "light"], ["x", "y"]
        file["edges/x"], file["edges/y"] = np.arange(3.0), np.arange(4.0)
        # b jets twice; as many light jets as there are b jets are dropped, those with the largest selection keys.
        n = [np.count_nonzero(label == c) for c in range(2)]
        light = int(np.argmax(n))
        repeats, threshold = np.zeros((2, 2, 3), dtype=int), np.zeros((2, 2, 3), dtype=np.uint64)
        repeats[1 - light] = 2
        threshold[light] = np.sort(selection_key(key[label == light]))[n[light] - n[1 - light]]
        file["repeats/train/tt"], file["threshold/train/tt"] = repeats, threshold
        (selected,) = select_jets(source, file)
        number = batch.read(at("variables/number"), *batch.rows(0)).astype(np.int64)
    assert len(selected) == len(key)
    times = np.bincount(numbers([selected]) - number.min(), minlength=number.max() - number.min() + 1)
    times = times[number - number.min()]
    assert set(times[label != light]) == {2}
    assert times[label == light].sum() == n[light] - n[1 - light]
    assert set(times[label == light]) == {0, 1}


def test_neither_order_nor_choice_depends_on_the_batches(jets, balance_file, tmp_path):
    joined = Store(tmp_path, 1)
    for output, n_parts in (("train", 1), ("train", 4), ("val", 2)):
        for k in range(n_parts):
            three, one = (list(select_jets(store.part(output, k, n_parts), balance_file)) for store in (jets, joined))
            assert (len(three), len(one)) == (6, 2)
            np.testing.assert_array_equal(numbers(one)[final_order(one)], numbers(three)[final_order(three)])
