"""HDF5: structured datasets of jets (n,) and of constituents (n, slots), as in ATLAS dumps."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources.chunk import Source
from jetmill.sources.input_format import InputFormat
from jetmill.toys import dumps

logger = logging.getLogger(__name__)


def open_hdf5(path: str, settings: Input, constituents: Mapping[str, Constituents]) -> AbstractContextManager[Source]:
    """Open the datasets of a file."""
    from jetmill.sources.datasets.reader import open_datasets

    return open_datasets(path, settings, constituents)


def write_toys(path: Path, process: str, n_jets: int, rng: np.random.Generator, number: int) -> None:  # noqa: ARG001
    """Write structured datasets ``jets`` and ``tracks``."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, records in dumps.toy_dump(n_jets, process, rng).items():
            file.create_dataset(name, data=records, chunks=(min(1000, n_jets), *records.shape[1:]), compression="lzf")
    logger.info("%12d jets", n_jets)


FORMAT = InputFormat(
    name="hdf5",
    description="structured datasets of jets (n,) and constituents (n, slots), as in ATLAS dumps",
    suffix="h5",
    open=open_hdf5,
    experiment=dumps.EXPERIMENT,
    write_toys=write_toys,
    # Records in the cache of the processor are split into fields several times faster.
    defaults={"jets": "jets", "event_id": ["eventNumber"], "chunk_bytes": 8_000_000},
)
