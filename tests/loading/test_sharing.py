"""Batches of an epoch for the ranks of a distributed training and their workers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetmill.errors import JetmillError
from jetmill.loading.sharing import batch_edges, share

SIZES = {"n_jets": st.integers(0, 300), "batch_size": st.integers(1, 40), "world_size": st.integers(1, 9)}


@given(**SIZES)
def test_batches_of_ranks(n_jets, batch_size, world_size):
    edges = batch_edges(n_jets, batch_size, world_size).tolist()
    sizes = [stop - start for start, stop in pairwise(edges)]
    assert edges[0] == 0
    assert len(sizes) % world_size == 0
    assert all(1 <= size <= batch_size for size in sizes)
    if world_size == 1:
        assert sizes == [batch_size] * (n_jets // batch_size) + [n_jets % batch_size] * (n_jets % batch_size > 0)
    else:
        assert max(sizes, default=0) - min(sizes, default=0) <= 1
    # Every jet, unless there are too few to go round.
    enough = batch_size > 1 and n_jets >= 2 * world_size
    left_out = n_jets - edges[-1]
    assert left_out == 0 if enough or world_size == 1 else 0 <= left_out < world_size
    # No more batches than are needed.
    assert len(sizes) < -(-n_jets // batch_size) + world_size


@given(**SIZES)
def test_whole_batches_alone(n_jets, batch_size, world_size):
    edges = batch_edges(n_jets, batch_size, world_size, drop_last=True).tolist()
    assert {stop - start for start, stop in pairwise(edges)} <= {batch_size}
    assert (len(edges) - 1) % world_size == 0
    assert 0 <= n_jets - edges[-1] < batch_size * world_size


@given(**SIZES, n_workers=st.integers(1, 7))
def test_every_batch_goes_to_one_worker(n_jets, batch_size, world_size, n_workers):
    n_batches = len(batch_edges(n_jets, batch_size, world_size)) - 1
    shares = [
        [share(n_batches, rank, world_size, worker, n_workers) for worker in range(n_workers)]
        for rank in range(world_size)
    ]
    numbers = [[k for s in of_rank for k in range(s.start, s.stop)] for of_rank in shares]
    assert [k for of_rank in numbers for k in of_rank] == list(range(n_batches))
    assert len({len(of_rank) for of_rank in numbers}) == 1
    for of_rank in shares:
        lengths = [s.stop - s.start for s in of_rank]
        assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((2, 2), "rank must be from 0 to 1, as there are 2 (found: 2)"),
        ((-1, 2), "rank must be from 0 to 1, as there are 2 (found: -1)"),
        ((0, 1, 3, 3), "worker must be from 0 to 2, as there are 3 (found: 3)"),
    ],
)
def test_a_rank_or_worker_that_there_is_not(arguments, expected):
    with pytest.raises(JetmillError) as error:
        share(10, *arguments)
    assert str(error.value) == expected
