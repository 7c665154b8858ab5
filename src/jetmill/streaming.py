"""Training batches made on the fly, without writing the finished files: same jets, same values.

A stream holds a slice of the jets in memory at a time, and yields dictionaries of arrays whose keys
are the datasets of the finished files: ``jets/inputs``, ``jets/labels``, ``jets/weight``, ``tracks/inputs``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from jetmill.balancing.binning import Axis, cell_index
from jetmill.balancing.tables import written_jets
from jetmill.columns import schema as store
from jetmill.columns.batch_list import read_batch_list
from jetmill.config.checks import load
from jetmill.config.models import Config
from jetmill.config.yaml_files import read_yaml
from jetmill.errors import JetmillError, nearest
from jetmill.files import open_intermediate_file
from jetmill.randomness import generator, mix
from jetmill.scaling.scalers import read_scalers
from jetmill.sharing import batch_edges, share
from jetmill.sources import open_source
from jetmill.splitting import SPLITS, VAL_RESAMPLED
from jetmill.stages.clean import Recipes
from jetmill.writing import layout
from jetmill.writing.assembling import Tables, dataset_types, scaled_rows
from jetmill.writing.picking import PartOf, jets_of_keys, pick
from jetmill.writing.rows import Rows, take

Arrays = dict[str, np.ndarray]
Configuration = str | Path | Mapping[str, Any]

# Slices begin and end where these do.
KEY_RANGES = 2**16


class Stream:
    """Jets of an output, from the cleaned columns of a run.

    Parameters
    ----------
    config
        The configuration of the run, as a mapping or a YAML file; or the directory of a finished run.
        Of the run only ``balance.h5`` and ``scalers.json`` and what they are made from are needed.
    output
        ``train``, ``val``, ``test`` or ``val_resampled``.
    batch_size
        Jets in a batch; the last one of an epoch has the rest.
    jets_in_memory
        Jets that are prepared and shuffled at a time, at most, but for fluctuations.
    seed
        Of the order.

    Raises
    ------
    JetmillError
        If the run has not come far enough.
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
        self._run = _Run.of(config)
        _check_positive(batch_size=batch_size, jets_in_memory=jets_in_memory)
        known = (*SPLITS, *([VAL_RESAMPLED] if self._run.config.balance.resampling.validation else []))
        if output not in known:
            raise JetmillError(f"no output '{output}'; there are {', '.join(known)}.{nearest(output, known)}")
        with open_intermediate_file(self._run.balance) as file:
            self.n_jets = int(written_jets(file, output)[0].sum())
        self.batch_size, self._output, self._seed = batch_size, output, seed
        self._jets_in_memory = jets_in_memory

    def __len__(self) -> int:
        """Return the number of batches of an epoch, of all workers together."""
        return -(-self.n_jets // self.batch_size)

    def epoch(
        self, number: int = 0, worker: int = 0, n_workers: int = 1, *, rank: int = 0, world_size: int = 1
    ) -> Iterator[Arrays]:
        """Return the batches of an epoch, in an order that depends on the seed and its number.

        Parameters
        ----------
        worker, n_workers
            Of several workers, which one this is: together they yield every jet once.
        rank, world_size
            Of several processes that train one model, each with workers of its own, which one this is: each yields
            other jets and as many batches (`jetmill.sharing.batch_edges`).
        """
        edges = batch_edges(self.n_jets, self.batch_size, world_size)
        mine = share(len(edges) - 1, rank, world_size, worker, n_workers)
        ends = edges[mine.start : mine.stop + 1]
        # What begins or ends within a slice has all of it prepared, by others too: there should be many.
        at_least = 1 if n_workers * world_size == 1 else 8 * n_workers * world_size
        slices = self._slices(number, at_least, int(ends[0]), int(ends[-1]))
        return _in_batches(slices, np.diff(ends).tolist(), self._run.types)

    @cached_property
    def jets_of_keys(self) -> np.ndarray:
        """Jets in each of `KEY_RANGES` equal ranges of keys, int64; they are counted when it is first asked for."""
        with open_intermediate_file(self._run.balance) as file:
            return jets_of_keys(self._part(0, 1), file, KEY_RANGES)

    def _part(self, k: int, n_slices: int) -> PartOf:
        return PartOf(self._output, (k, n_slices), self._run.batches, self._run.column_types)

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
                # Before the next slice is made.
                del rows, places

    def _slice(self, k: int, n_slices: int, epoch: int) -> tuple[dict[str, Rows], np.ndarray]:
        """Return one of equal ranges of the keys of all batches, and the order of its jets."""
        run = self._run
        with open_intermediate_file(run.balance) as file:
            picked = list(pick(self._part(k, n_slices), file))
        salt = generator(self._seed, "order", epoch).integers(2**64, dtype=np.uint64)
        order = np.argsort(mix(np.concatenate([p.order for p in picked]) ^ salt), kind="stable")
        return scaled_rows(picked, run.tables, run.scalers, run.config.content), order


class DumpStream:
    """Jets of input files, cleaned and scaled on the fly with what a run has found.

    All jets that pass the cuts, whatever their split, each once: for files that the run has not seen.
    Jets are shuffled within what is read at a time, a few thousand. Jets outside the bins have weight 0.

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
        Of the order.
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
        self._run = _Run.of(config)
        _check_positive(batch_size=batch_size)
        if sample not in self._run.config.samples:
            raise JetmillError(f"there is no sample '{sample}'.{nearest(sample, self._run.config.samples)}")
        self._files, self._sample, self.batch_size = [str(path) for path in files], sample, batch_size
        self._seed = seed

    def __iter__(self) -> Iterator[Arrays]:
        return _in_batches(self._chunks(), repeat(self.batch_size), self._run.types)

    def _chunks(self) -> Iterator[tuple[dict[str, Rows], np.ndarray]]:
        run, settings = self._run, self._run.config.cleaning
        recipes = Recipes(settings, self._sample)
        axes = [Axis(variable, edges) for variable, edges in run.tables.edges.items()]
        for number, path in enumerate(self._files):
            with open_source(path, settings.input, settings.constituents) as source:
                types = recipes.types_of(path, source)
                # Computed with as in the run, unless the type of the file holds more.
                of_run = {n: t for n, t in run.column_types.items() if n in types and np.can_cast(types[n], t)}
                for chunk in recipes.chunks(source):
                    if not len(chunk.entry):
                        continue
                    cleaned, _ = recipes.clean(chunk, number)
                    columns = {
                        name: store.as_read(name, x.astype(types.get(name, x.dtype)), of_run)
                        for name, x in cleaned.items()
                    }
                    cell = cell_index([columns[store.variable(axis.variable)] for axis in axes], axes)
                    jets = _InMemory(self._sample, columns[store.LABEL], cell, columns)
                    rows = scaled_rows([jets], run.tables, run.scalers, run.config.content)
                    where = (self._seed, "dump", path, int(chunk.entry[0]))
                    yield rows, generator(*where).permutation(len(jets))


def _check_positive(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise JetmillError(f"{name} must be at least 1 (found: {size})")


def read_config(config: Configuration) -> Config:
    """Return a configuration from a mapping, a YAML file, or the manifest of a finished run.

    Raises
    ------
    JetmillError
        If there is none, or it is wrong.
    """
    if isinstance(config, Mapping):
        return load(config)
    path = Path(config)
    if path.is_dir():
        manifest = path / "manifest.json"
        if not manifest.exists():
            raise JetmillError(
                f"{path}: has no manifest.json, which a finished run has; give its configuration instead"
            )
        # Where the run is now, whatever it was called when it was made.
        return load(json.loads(manifest.read_text())["config"] | {"output_dir": str(path)})
    raw = read_yaml(path)
    if not isinstance(raw, Mapping):
        raise JetmillError(f"{path}: holds no configuration")
    return load(raw)


@dataclass(frozen=True)
class _Run:
    """What streams need of a run."""

    config: Config
    balance: Path
    tables: Tables
    scalers: dict
    batches: list[tuple[str, str]]
    column_types: Mapping[str, str]

    @classmethod
    def of(cls, configuration: Configuration) -> "_Run":
        config = read_config(configuration)
        directory = Path(config.output_dir)
        balance, scalers = directory / "balance.h5", directory / "scalers.json"
        batches = directory / "clean" / "batches.json"
        for path in (balance, scalers, batches):
            if not path.exists():
                raise JetmillError(f"{path}: no such file; `snakemake --cores 8 {balance} {scalers}` makes it")
        with open_intermediate_file(balance) as file:
            tables = Tables.read(file)
        listed = read_batch_list(batches)
        found = [(batch.sample, batch.path) for batch in listed]
        if gone := [path for _, path in found if not Path(path).exists()]:
            raise JetmillError(f"{gone[0]}: no such file; `snakemake --cores 8 {gone[0]}` makes it")
        return cls(config, balance, tables, read_scalers(scalers), found, listed[0].types)

    @property
    def types(self) -> dict[str, str]:
        return dataset_types(self.config.content)


@dataclass(frozen=True)
class _InMemory:
    """Cleaned jets whose columns are in memory, as `jetmill.writing.assembling.Jets`."""

    sample: str
    label: np.ndarray
    cell: np.ndarray
    columns: Arrays

    def __len__(self) -> int:
        return len(self.label)

    def names(self, group: str) -> list[str]:
        return [name.removeprefix(f"{group}/") for name in self.columns if name.startswith(f"{group}/")]

    def read(self, names: Sequence[str]) -> list[np.ndarray]:
        return [self.columns[name] for name in names]

    def read_constituents(self, collection: str, names: Sequence[str]) -> tuple[np.ndarray, list[np.ndarray]]:
        return self.columns[store.counts(collection)].astype(np.int64), self.read(names)


def _in_batches(
    slices: Iterable[tuple[dict[str, Rows], np.ndarray]], sizes: Iterable[int], types: Mapping[str, str]
) -> Iterator[Arrays]:
    """Yield batches of so many jets each from rows and their order; the last one has the rest."""

    def taken(rows: dict[str, Rows], places: np.ndarray) -> Arrays:
        return {name: take(r, places).astype(types.get(name, r.dtype), copy=False) for name, r in rows.items()}

    rest: Arrays = {}
    remaining = iter(sizes)
    size = next(remaining, 0)
    for rows, order in slices:
        start = 0
        if rest:
            start = size - len(rest[layout.LABELS])
            more = taken(rows, order[:start])
            rest = {name: np.concatenate([rest[name], more[name]]) for name in rest}
            if len(rest[layout.LABELS]) < size:
                del rows, order
                continue
            yield rest
            rest, size = {}, next(remaining, 0)
        while 0 < size <= len(order) - start:
            yield taken(rows, order[start : start + size])
            start, size = start + size, next(remaining, 0)
        if start < len(order):
            rest = taken(rows, order[start:])
        # Before the next slice is made.
        del rows, order
    if rest:
        yield rest
