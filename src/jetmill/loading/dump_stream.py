"""Training batches made on the fly from input files that a run has not seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from jetmill.balancing.binning import Axis, find_bins
from jetmill.cleaning.cleaner import Cleaner
from jetmill.columns.schema import LABEL, Column, Kind, as_read, counts, variable
from jetmill.errors import JetmillError, nearest
from jetmill.formats.content.rows import Rows
from jetmill.formats.content.scaled import scaled_rows
from jetmill.loading.batches import Arrays, in_batches
from jetmill.loading.run import Configuration, Run, check_positive
from jetmill.randomness import generator


class DumpStream:
    """Jets of input files that a run has not seen, cleaned and scaled on the fly with the results of the run.

    Each jet that passes the cuts is yielded once, whatever its split, shuffled within a chunk of a few thousand. Jets
    outside the bins have weight 0.

    Parameters
    ----------
    config
        As for `Stream`.
    files
        Input files, of the format in the configuration.
    sample
        The sample that they belong to.
    batch_size
        Jets in a batch; the last one has the rest.
    seed
        Seed of the order.
    """

    def __init__(
        self,
        config: Configuration,
        files: Sequence[str | Path],
        *,
        sample: str,
        batch_size: int = 1000,
        seed: int = 0,
    ):
        self._run = Run.of(config)
        check_positive(batch_size=batch_size)
        if sample not in self._run.config.samples:
            raise JetmillError(f"there is no sample '{sample}'.{nearest(sample, self._run.config.samples)}")
        self._files, self._sample, self.batch_size = [str(path) for path in files], sample, batch_size
        self._seed = seed

    def __iter__(self) -> Iterator[Arrays]:
        return in_batches(self._chunks(), repeat(self.batch_size), self._run.types)

    def _chunks(self) -> Iterator[tuple[dict[str, Rows], np.ndarray]]:
        run, truth = self._run, self._run.config.samples[self._sample].truth
        cleaner, content = Cleaner(run.config.cleaning, self._sample, truth=truth), run.config.content
        content = content if truth else content.without_truth()
        axes = [Axis(name, edges) for name, edges in run.tables.edges.items()]
        for number, path in enumerate(self._files):
            with cleaner.open(path, number) as file:
                # The types of the run, unless those of the file hold more.
                known = run.batches[0].types.items()
                types = {c: t for c, t in known if c in file.types and np.can_cast(file.types[c], t)}
                for chunk, cleaned, _ in file.chunks():
                    if not len(chunk.entry):
                        continue
                    columns = {column: as_read(column, values, types) for column, values in cleaned.items()}
                    bin_index = find_bins(
                        [columns[variable(axis.variable)] for axis in axes], axes, len(columns[LABEL])
                    )
                    jets = _InMemory(self._sample, columns[LABEL], bin_index, columns)
                    rows = scaled_rows([jets], run.tables, run.scalers, content)
                    order = generator(self._seed, "dump", path, int(chunk.entry[0])).permutation(len(jets))
                    yield rows, order


@dataclass(frozen=True)
class _InMemory:
    """Cleaned jets whose columns are in memory, as `jetmill.formats.content.scaled.Jets`."""

    sample: str
    label: np.ndarray
    bin_index: np.ndarray
    columns: Mapping[Column, np.ndarray]

    def __len__(self) -> int:
        return len(self.label)

    def of_kind(self, kind: Kind) -> list[Column]:
        return [column for column in self.columns if column.kind is kind]

    def read(self, columns: Sequence[Column]) -> list[np.ndarray]:
        return [self.columns[column] for column in columns]

    def read_constituents(self, collection: str, columns: Sequence[Column]) -> tuple[np.ndarray, list[np.ndarray]]:
        return self.columns[counts(collection)].astype(np.int64), self.read(columns)
