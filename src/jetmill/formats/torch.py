"""The arrays of a part as a dictionary of tensors, readable with ``torch.load(path, weights_only=True)``."""

import logging
from pathlib import Path

import numpy as np

from jetmill.files import atomic_write
from jetmill.formats.files import layout
from jetmill.formats.files.names import names_of
from jetmill.formats.format import Format
from jetmill.packages import Package

PACKAGE = Package("write.formats: torch", "PyTorch", ("torch",), "torch")

# Of each variable, as attributes of inputs.
SCALING = ("shift", "scale", "default", "log", "clip")

logger = logging.getLogger(__name__)


def write(part: str | Path, output: str | Path) -> None:
    """Write a finished part as ``.pt`` (docs/output.md)."""
    torch = PACKAGE.load()
    with layout.reopen_finished(part) as file:
        names = names_of(file)
        arrays = {
            "inputs": file[names.inputs][()],
            "is_default": file[names.is_default][()],
            "labels": file[names.labels][()].astype(np.int64),
            "sample": file[names.sample][()].astype(np.int64),
        }
        for name, values in file.get(names.event, {}).items():
            # PyTorch computes little with uint64; large numbers keep their bits.
            arrays[f"event_{name}"] = values[()].astype(np.int64)
        n_jets = len(arrays["labels"])
        if names.bins in file:
            arrays["bins"] = file[names.bins][()]
        spectators = {name: values[()] for name, values in file.get(names.spectators, {}).items()}
        arrays["spectators"] = np.stack([*spectators.values()], axis=1) if spectators else np.empty((n_jets, 0))
        arrays["spectators"] = arrays["spectators"].astype(np.float32)
        arrays |= {name: values[()] for name, values in file[names.jets].items() if name.startswith("weight")}
        for name, values in file.get(names.additional_labels, {}).items():
            arrays[f"additional_labels_{name}"] = values[()]
        for name, values in file.get(names.fields, {}).items():
            arrays[f"fields_{name}"] = values[()]
        if names.conditional in file:
            arrays["conditional"] = file[names.conditional][()]
        if names.targets in file:
            arrays["targets"] = file[names.targets][()]
        applied = file[names.inputs].attrs
        arrays |= {key: np.asarray(applied[key]) for key in SCALING}
        lists = {
            "variables": applied[names.variables],
            "integers": [v for v, is_one in zip(applied[names.variables], applied["integer"], strict=True) if is_one],
            "samples": file[names.sample].attrs["samples"],
            "classes": file[names.labels].attrs["label_classes"],
            "spectator_names": spectators,
        }
        for collection in layout.collections(file):
            inputs = file[layout.constituent_inputs(collection)]
            arrays[f"{collection}_inputs"] = inputs[()]
            arrays |= {f"{collection}_{key}": np.asarray(inputs.attrs[key]) for key in SCALING}
            arrays[f"{collection}_valid"] = file[layout.valid(collection)][()]
            for label in layout.constituent_labels(file, collection):
                values = file[layout.constituent_label(collection, label)][()]
                arrays[f"{collection}_labels_{label}"] = values if values.dtype.kind == "f" else values.astype(np.int64)
            for name in layout.constituent_fields(file, collection):
                arrays[f"{collection}_fields_{name}"] = file[layout.constituent_field(collection, name)][()]
            lists[f"{collection}_variables"] = inputs.attrs["variables"]
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    # Given a path, torch would store its name in the file.
    with atomic_write(output) as partial, partial.open("wb") as target:
        torch.save(tensors | {key: list(values) for key, values in lists.items()}, target)
    logger.info("%12d jets written", n_jets)


FORMAT = Format(
    name="torch",
    description="the arrays of each part as a .pt file",
    write=write,
    title="Tensors of each part",
    loading='import torch\n{output} = torch.load("{results}/torch/{output}/part_0000.pt", weights_only=True)',
    suffix="pt",
    made_from="hdf5",
    package=PACKAGE,
    environment="torch",
)
