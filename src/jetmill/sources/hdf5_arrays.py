"""HDF5 with an array per variable, of jets (n,) and of constituents (n, slots), as in public top-tagging samples."""

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


def open_arrays(path: str, settings: Input, constituents: Mapping[str, Constituents]) -> AbstractContextManager[Source]:
    """Open the arrays of a file."""
    from jetmill.sources.datasets import arrays

    return arrays.open_arrays(path, settings, constituents)


def write_toys(path: Path, process: str, n_jets: int, rng: np.random.Generator, number: int) -> None:  # noqa: ARG001
    """Write the fields of toy dumps as arrays ``jets_pt``, ``tracks_d0`` and so on, 0 in empty slots."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, records in dumps.toy_dump(n_jets, process, rng).items():
            fields = records.dtype.names or ()
            for field in fields:
                values = np.where(records["valid"], records[field], 0) if "valid" in fields else records[field]
                file.create_dataset(f"{name}_{field}", data=values, compression="lzf")
    logger.info("%12d jets", n_jets)


FORMAT = InputFormat(
    name="hdf5_arrays",
    description=(
        "an array per variable, of jets (n,) and of constituents (n, slots) with 0 or NaN in empty slots, as in the"
        " ATLAS top-tagging open data"
    ),
    suffix="h5",
    open=open_arrays,
    experiment=dumps.EXPERIMENT,
    write_toys=write_toys,
    defaults={"jets": "jets", "event_id": [], "chunk_bytes": 8_000_000},
)
