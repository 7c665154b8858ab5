"""Two processes that train one model, with torch.distributed on this machine: other jets, as many batches."""

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from stream_runs import made

import jetmill
from jetmill.errors import JetmillError

pytestmark = [
    pytest.mark.readers,
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed"),
]

# One rank: in each case it trains for some epochs and writes down which jets it saw. Seeds of ranks differ, as they do.
RANK = """
import json, sys
import jetmill, torch, torch.distributed as dist
from torch.utils.data import DataLoader
from jetmill.loading.torch import BlockSampler, FileDataset, StreamDataset

def train(rank, world, meeting, config, results, kind, output="val", workers=0, start="fork", persistent=False,
          epochs=(0, 1, 0)):
    torch.manual_seed(rank)
    if kind == "stream":
        data, sampler = StreamDataset(jetmill.Stream(config, output, batch_size=20, jets_in_memory=60)), None
        of_epoch = data
    else:
        data = FileDataset(f"{results}/{output}.h5")
        of_epoch = sampler = BlockSampler(len(data), 20)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
    loader = DataLoader(
        data,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        multiprocessing_context=start if workers else None,
        persistent_workers=persistent,
    )
    seen = []
    for epoch in epochs:
        if epoch is not None:
            of_epoch.set_epoch(epoch)
        batches = []
        for batch in loader:
            batches.append(torch.stack([x for name, x in batch.items() if name.startswith("jets/event/")], 1).tolist())
            # As backward does: it hangs if a rank has no batch left.
            dist.all_reduce(torch.ones(1))
        assert len(loader) == len(batches)
        seen.append(batches)
    dist.destroy_process_group()
    return seen

if __name__ == "__main__":
    rank, cases = json.loads(sys.argv[1])
    print(json.dumps([train(rank, *case, **options) for *case, options in cases]))
"""
# The run, files or a stream of it, and what else is not the default.
CASES = {
    "in the process": ("two", "stream", {}),
    "three workers": ("two", "stream", {"workers": 3}),
    "persistent worker": ("two", "stream", {"workers": 1, "persistent": True}),
    "spawned worker": ("two", "stream", {"workers": 1, "start": "spawn", "epochs": [1]}),
    "resampled": ("one", "stream", {"output": "val_resampled", "workers": 1, "epochs": [4]}),
    "files": ("two", "file", {}),
    "files and workers": ("two", "file", {"workers": 2}),
    "stream without set_epoch": ("two", "stream", {"epochs": [None, None]}),
    "file without set_epoch": ("two", "file", {"epochs": [None, None]}),
    "workers without set_epoch": ("two", "stream", {"workers": 2, "epochs": [None, None]}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the jets of each batch of each epoch of each of two ranks, by case."""
    directory = tmp_path_factory.mktemp("ranks")
    (directory / "train.py").write_text(RANK)
    cases = []
    for number, (name, kind, options) in enumerate(CASES.values()):
        run = made(name, tmp_path_factory)
        results = str(run.results)
        cases.append([2, f"{directory}/meeting_{number}", run.config | {"output_dir": results}, results, kind, options])
    started = [
        subprocess.Popen(
            [sys.executable, directory / "train.py", json.dumps([rank, cases])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = [process.communicate(timeout=300) for process in started]
    for process, (_, errors) in zip(started, ended, strict=True):
        assert process.returncode == 0, errors
    ranks = [json.loads(printed.splitlines()[-1]) for printed, _ in ended]
    return dict(zip(CASES, zip(*ranks, strict=True), strict=True))


def events(run, output):
    return np.stack([x for n, x in run.arrays(output).items() if n.startswith("jets/event/")], 1).astype(int).tolist()


def assert_shared(by_rank, expected):
    """Every jet of the file is in one batch of one rank in each epoch, as often as in the file."""
    for of_epoch in zip(*by_rank, strict=True):
        assert len({len(batches) for batches in of_epoch}) == 1
        sizes = [len(batch) for batches in of_epoch for batch in batches]
        assert max(sizes) - min(sizes) <= 1
        jets = sorted(jet for batches in of_epoch for batch in batches for jet in batch)
        assert jets == sorted(expected)


def order(of_rank, epoch):
    return [jet for batch in of_rank[epoch] for jet in batch]


@pytest.mark.parametrize("case", ["in the process", "three workers", "persistent worker", "files", "files and workers"])
def test_ranks_share_the_jets_of_each_epoch(two, trained, case):
    assert_shared(trained[case], events(two, "val"))
    for of_rank in trained[case]:
        assert order(of_rank, 0) != order(of_rank, 1)
        assert order(of_rank, 0) == order(of_rank, 2)


def test_a_spawned_worker_makes_the_batches_of_a_forked_one(two, trained):
    assert_shared(trained["spawned worker"], events(two, "val"))
    for spawned, forked in zip(trained["spawned worker"], trained["persistent worker"], strict=True):
        assert spawned[0] == forked[1]


def test_ranks_of_a_resampled_output(one, trained):
    """Where jets are there several times."""
    assert_shared(trained["resampled"], events(one, "val_resampled"))


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_without_set_epoch_ranks_still_agree(kind, two, trained):
    by_rank = trained[f"{kind} without set_epoch"]
    assert_shared(by_rank, events(two, "val"))
    for of_rank in by_rank:
        assert order(of_rank, 0) != order(of_rank, 1)


def test_workers_without_set_epoch_have_one_order(two, trained):
    by_rank = trained["workers without set_epoch"]
    assert_shared(by_rank, events(two, "val"))
    assert order(by_rank[0], 0) == order(by_rank[0], 1)


# Ranks that are given, in one process


def batches_of(dataset, sampler=None):
    from torch.utils.data import DataLoader

    loader = DataLoader(dataset, batch_size=None, sampler=sampler)
    return [np.stack([x.numpy() for n, x in b.items() if n.startswith("jets/event/")], 1).tolist() for b in loader]


@pytest.mark.parametrize("world", [1, 3, 7])
def test_ranks_that_are_given(two, world):
    from jetmill.loading.torch import BlockSampler, FileDataset, StreamDataset

    def stream():
        return jetmill.Stream(two.config, "val", batch_size=64, jets_in_memory=200)

    path, n = two.results / "val.h5", stream().n_jets
    of_streams, of_files = [], []
    for rank in range(world):
        place = {"rank": rank, "world_size": world}
        data, file, sampler = StreamDataset(stream(), **place), FileDataset(path), BlockSampler(n, 64, **place)
        of_streams.append([batches_of(data)])
        of_files.append([batches_of(file, sampler)])
        assert len(data) == len(of_streams[-1][0]) == len(sampler) == len(of_files[-1][0])
    expected = sorted(events(two, "val"))
    for by_rank in (of_streams, of_files):
        assert sorted(jet for of_rank in by_rank for jet in order(of_rank, 0)) == expected
        assert len({len(of_rank[0]) for of_rank in by_rank}) == 1


def test_set_epoch_makes_an_epoch_the_same_again(two):
    from jetmill.loading.torch import BlockSampler, FileDataset, StreamDataset

    stream = jetmill.Stream(two.config, "val", batch_size=64)
    data, file = StreamDataset(stream), FileDataset(two.results / "val.h5")
    sampler = BlockSampler(len(file), 64)
    for of_epoch, read in ((data, lambda: batches_of(data)), (sampler, lambda: batches_of(file, sampler))):
        found = []
        for epoch in (3, 3, 4):
            of_epoch.set_epoch(epoch)
            found.append(read())
        assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("world", [1, 2])
def test_whole_batches_in_one_order(two, world):
    """As a validation wants them: `shuffle` and `drop_last`."""
    from jetmill.loading.torch import BlockSampler, FileDataset, StreamDataset

    path, stream = two.results / "val.h5", jetmill.Stream(two.config, "val", batch_size=64)
    in_file = [events(two, "val")[start : start + 64] for start in range(0, stream.n_jets // 64 * 64, 64)]
    found = []
    for rank in range(world):
        options = {"rank": rank, "world_size": world, "shuffle": False, "drop_last": True}
        data, sampler = StreamDataset(stream, **options), BlockSampler(stream.n_jets, 64, **options)
        batches = batches_of(data)
        assert batches == batches_of(data)
        assert {len(batch) for batch in batches} == {64}
        assert len(data) == len(batches) == len(sampler) == stream.n_jets // (64 * world)
        found += batches_of(FileDataset(path), sampler)
    assert found == in_file[: len(found)]


def test_half_of_a_rank(two):
    from jetmill.loading.torch import BlockSampler, StreamDataset

    stream = jetmill.Stream(two.config, "val")
    for make in (lambda **place: StreamDataset(stream, **place), lambda **place: BlockSampler(10, 2, **place)):
        for place in ({"rank": 1}, {"world_size": 2}):
            with pytest.raises(JetmillError, match="rank and world_size belong together; give both or none"):
                make(**place)
        with pytest.raises(JetmillError, match=r"rank must be from 0 to 1, as there are 2 \(found: 2\)"):
            make(rank=2, world_size=2)
