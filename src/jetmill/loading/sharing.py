"""How the batches of an epoch are shared by the processes of a training: its ranks, and the workers of each rank."""

import numpy as np

from jetmill.errors import JetmillError


def batch_edges(n_jets: int, batch_size: int, world_size: int = 1, *, drop_last: bool = False) -> np.ndarray:
    """Return where batches begin and end, with equally many batches for each rank.

    One rank alone has batches of `batch_size` jets, the last one with the rest. Several have batches of that size or a
    little less, which differ by at most one jet. Every jet is in one batch, unless there are fewer jets than batches:
    then each batch has one jet, and fewer than `world_size` jets are left out. With `drop_last` all batches have
    `batch_size` jets, and fewer than `batch_size * world_size` jets are left out.

    Returns
    -------
    ndarray of int64, shape (n_batches + 1,)
        `n_batches` is a multiple of `world_size`.
    """
    if drop_last:
        return batch_size * np.arange(n_jets // (batch_size * world_size) * world_size + 1)
    if world_size == 1:
        return np.append(np.arange(0, n_jets, batch_size), n_jets)
    n_batches = -(-n_jets // (batch_size * world_size)) * world_size
    if n_batches > n_jets:
        n_batches = n_jets = n_jets // world_size * world_size
    return n_jets * np.arange(n_batches + 1) // max(n_batches, 1)


def share(n_batches: int, rank: int, world_size: int, worker: int = 0, n_workers: int = 1) -> slice:
    """Return the consecutive batches of a worker of a rank; raises JetmillError if there is no such rank or worker."""
    for name, number, many in (("rank", rank, world_size), ("worker", worker, n_workers)):
        if not 0 <= number < many:
            raise JetmillError(f"{name} must be from 0 to {many - 1}, as there are {many} (found: {number})")
    of_rank = n_batches // world_size
    return slice(*(rank * of_rank + of_rank * w // n_workers for w in (worker, worker + 1)))
