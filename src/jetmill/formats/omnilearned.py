"""HDF5 as OmniLearned trains on: point clouds, classes, and variables of jets.

https://github.com/ViniciusMikuni/OmniLearned
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jetmill.files import atomic_write
from jetmill.formats.content.unscaled import FLAVOUR
from jetmill.formats.files import layout
from jetmill.formats.files.names import names_of
from jetmill.formats.format import Format

if TYPE_CHECKING:
    import h5py

    from jetmill.settings.config import Config

# What the first variables of a collection are: OmniLearned computes with them, and knows empty slots by the third.
KINEMATICS = ("relative eta", "relative phi", "log pT", "log energy")
TRANSVERSE_MOMENTUM = 2
# Rows of the index that are written at a time.
INDEX_ROWS = 2**20


def write(joined: str | Path, output: str | Path, *, compression: str) -> None:
    """Write ``<output>.h5`` and its index into a directory (docs/output.md), from a finished output."""
    import h5py

    with layout.reopen_finished(joined) as source, atomic_write(output, directory=True) as partial:
        jets = source[names_of(source).jets]
        layout.check_parts(joined, jets)
        with h5py.File(partial / f"{Path(output).name}.h5", "w") as file:
            for name, (records, values_of, dtype) in contents(source).items():
                shape = (len(records), *values_of(records[:0]).shape[1:])
                target = layout.create(file, name, shape, np.dtype(dtype), compression)
                for rows in layout.blocks(records.shape, records.dtype):
                    target[rows] = values_of(records[rows])
        _write_index(partial / "file_index.npy", len(jets))


def contents(source: "h5py.File") -> "dict[str, tuple[h5py.Dataset, Callable[[np.ndarray], np.ndarray], str]]":
    """Return dataset to records, a function from these to its values, and the type of these."""
    config = json.loads(source.attrs["config"])
    ((name, collection),) = ((n, c) for n, c in config["constituents"].items() if c["objects"] is None)
    jets, clouds = source[names_of(source).jets], source[name]

    def cloud(records: np.ndarray) -> np.ndarray:
        values = _table(records, collection["variables"], collection["scaling"]["log"])
        momentum = values[..., TRANSVERSE_MOMENTUM]
        # A logarithm of exactly 0 would be an empty slot.
        momentum[momentum == 0] = np.finfo(np.float32).tiny
        return np.where(records["valid"][..., None], values, 0)

    def variables(records: np.ndarray) -> np.ndarray:
        return _table(records, config["jets"]["variables"], config["scaling"]["log"])

    found: dict[str, tuple[h5py.Dataset, Callable[[np.ndarray], np.ndarray], str]] = {
        "data": (clouds, cloud, "f4"),
        "pid": (jets, lambda records: records[FLAVOUR], "i8"),
        "global": (jets, variables, "f4"),
    }
    if collection["label_classes"]:
        label = next(iter(collection["label_classes"]))
        # -1 alone says that there is none.
        found["data_pid"] = clouds, lambda records: np.maximum(records[label], -1), "i8"
    return found


def _table(records: np.ndarray, variables: Sequence[str], logs: Sequence[str]) -> np.ndarray:
    """Return variables of records along a last axis, float32, with the logarithms that are scaled."""
    values = np.stack([records[variable] for variable in variables], axis=-1).astype(np.float32)
    log = np.isin(variables, logs)
    np.log(values, out=values, where=log & (values > 0))
    return values


def _write_index(path: Path, n_jets: int) -> None:
    """Write the list of files and rows, int32 (n_jets, 2), that OmniLearned draws jets from.

    Without one it makes it, and then gives every rank all jets.
    """
    with path.open("wb") as file:
        header = {"descr": "<i4", "fortran_order": False, "shape": (n_jets, 2)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n_jets, INDEX_ROWS):
            rows = np.arange(start, min(start + INDEX_ROWS, n_jets))
            file.write(np.stack([np.zeros_like(rows), rows], axis=1).astype("<i4").tobytes())


def mistakes(config: "Config") -> Iterator[tuple[str, str]]:
    """Yield a key and what OmniLearned would not understand."""
    inputs = {name: c for name, c in config.constituents.items() if c.objects is None}
    if len(inputs) != 1:
        yield (
            "write.formats",
            f"omnilearned takes one collection of constituents (found: {', '.join(inputs) or 'none'})",
        )
    for name, collection in inputs.items():
        if len(collection.variables) < len(KINEMATICS):
            yield (
                f"constituents.{name}.variables",
                f"omnilearned wants {', '.join(KINEMATICS)} first (found: {', '.join(collection.variables)})",
            )


FORMAT = Format(
    name="omnilearned",
    description="point clouds for OmniLearned",
    write=write,
    title="Point clouds for OmniLearned",
    loading="ln -s omnilearned {results}/custom, then omnilearned train --dataset custom --path {results} ...",
    main=lambda output: f"{output}.h5",
    made_from="structured",
    options=("compression",),
    mistakes=mistakes,
)
