"""Training batches made on the fly, without writing the finished files: same jets, same values.

A stream holds a slice of the jets in memory at a time, and yields dictionaries of arrays whose keys
are the datasets of the finished files: ``jets/inputs``, ``jets/labels``, ``jets/weight``, ``tracks/inputs``.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from jetmill.balancing.selection import PartSpec, jets_of_keys, select_jets
from jetmill.balancing.tables import written_jets
from jetmill.errors import JetmillError, nearest
from jetmill.files import open_intermediate_file
from jetmill.formats.content.rows import Rows
from jetmill.formats.content.scaled import scaled_rows
from jetmill.formats.files.names import Names
from jetmill.loading.batches import Arrays, in_batches
from jetmill.loading.run import Configuration, Run, check_positive
from jetmill.loading.sharing import batch_edges, share
from jetmill.randomness import generator, mix
from jetmill.splitting import SPLITS, TEST_OF, VAL_RESAMPLED

# Slices consist of whole ranges.
KEY_RANGES = 2**16


class Stream:
    """Jets of an output, from the cleaned columns of a run.

    Parameters
    ----------
    config
        The configuration of the run, as a mapping or a YAML file; or the directory of a finished run. Of the run only
        ``balance.h5``, ``scalers.json`` and what they are made from are needed.
    output
        ``train``, ``val``, ``test`` or ``val_resampled``.
    batch_size
        Jets in a batch; the last one of an epoch has the rest.
    jets_in_memory
        Largest number of jets, but for fluctuations, that are prepared and shuffled at a time.
    seed
        Seed of the order.

    Raises
    ------
    JetmillError
        If files of the run are missing.
    """

    def __init__(
        self,
        config: Configuration,
        output: str = "train",
        *,
        batch_size: int = 1000,
        jets_in_memory: int = 100_000,
        seed: int = 0,
    ):
        self._run = Run.of(config)
        check_positive(batch_size=batch_size, jets_in_memory=jets_in_memory)
        per_sample = [TEST_OF + sample for sample in self._run.config.samples]
        resampled = [VAL_RESAMPLED] if self._run.config.balance.resampling.validation else []
        known = (*SPLITS, *resampled, *per_sample)
        if output not in known:
            raise JetmillError(f"no output '{output}'; there are {', '.join(known)}.{nearest(output, known)}")
        with open_intermediate_file(self._run.balance) as file:
            self.n_jets = int(written_jets(file, output)[0].sum())
        self.batch_size, self._output, self._seed = batch_size, output, seed
        self._jets_in_memory = jets_in_memory
        self.names = Names(self._run.config.jets.name)

    @property
    def objects(self) -> list[str]:
        """Collections of constituents that are truth, no inputs."""
        return list(self._run.config.content.objects)

    def __len__(self) -> int:
        """Return the number of batches of an epoch, of all workers together."""
        return -(-self.n_jets // self.batch_size)

    def epoch(
        self,
        number: int = 0,
        worker: int = 0,
        n_workers: int = 1,
        *,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> Iterator[Arrays]:
        """Return the batches of an epoch, in an order that depends on the seed and its number.

        Parameters
        ----------
        worker, n_workers
            Number of this worker, of how many: together they yield every jet once.
        rank, world_size
            Number of this process, of how many that train one model, each with its own workers: each yields different
            jets and as many batches (`jetmill.loading.sharing.batch_edges`).
        drop_last
            Whether to leave out the jets of a last batch that is smaller.
        """
        edges = batch_edges(self.n_jets, self.batch_size, world_size, drop_last=drop_last)
        mine = share(len(edges) - 1, rank, world_size, worker, n_workers)
        ends = edges[mine.start : mine.stop + 1]
        # A batch that begins or ends within a slice needs all of it, which others prepare too: take many slices.
        at_least = 1 if n_workers * world_size == 1 else 8 * n_workers * world_size
        slices = self._slices(number, at_least, int(ends[0]), int(ends[-1]))
        return in_batches(slices, np.diff(ends).tolist(), self._run.types)

    @cached_property
    def jets_of_keys(self) -> np.ndarray:
        """Jets in each of `KEY_RANGES` equal ranges of keys, int64; they are counted when it is first asked for."""
        with open_intermediate_file(self._run.balance) as file:
            return jets_of_keys(self._part(0, 1), file, KEY_RANGES)

    def _part(self, k: int, n_slices: int) -> PartSpec:
        return PartSpec.from_batches(self._run.batches, self._output, (k, n_slices))

    def _slices(self, epoch: int, at_least: int, start: int, stop: int) -> Iterator[tuple[dict[str, Rows], np.ndarray]]:
        """Yield the slices of an epoch, as far as they are among the jets from `start` to `stop`."""
        wanted = max(at_least, -(-self.n_jets // self._jets_in_memory))
        n_slices = min(KEY_RANGES, 1 << (wanted - 1).bit_length())
        order = generator(self._seed, "slices", epoch).permutation(n_slices)
        if (start, stop) == (0, self.n_jets):
            yield from (self._slice(int(k), n_slices, epoch) for k in order)
            return
        sizes = self.jets_of_keys.reshape(n_slices, -1).sum(axis=1)[order]
        ends = np.cumsum(sizes)
        for k, first, end in zip(order.tolist(), (ends - sizes).tolist(), ends.tolist(), strict=True):
            if first < stop and end > start:
                rows, places = self._slice(k, n_slices, epoch)
                yield rows, places[max(start - first, 0) : stop - first]
                # Free the memory before the next slice.
                del rows, places

    def _slice(self, k: int, n_slices: int, epoch: int) -> tuple[dict[str, Rows], np.ndarray]:
        """Return one of equal ranges of the keys of all batches, and the order of its jets."""
        run = self._run
        with open_intermediate_file(run.balance) as file:
            selected = list(select_jets(self._part(k, n_slices), file))
        salt = generator(self._seed, "order", epoch).integers(2**64, dtype=np.uint64)
        order = np.argsort(mix(np.concatenate([p.order for p in selected]) ^ salt), kind="stable")
        content = run.config.content
        if not all(jets.batch.truth for jets in selected):
            content = content.without_truth()
        return scaled_rows(selected, run.tables, run.scalers, content), order
