"""A part as a dictionary of tensors, readable with ``torch.load(path, weights_only=True)``."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jetmill.errors import JetmillError
from jetmill.files import atomic_write
from jetmill.loading.jets import Jets, load
from jetmill.packages import FORMATS

logger = logging.getLogger(__name__)


def write_torch(part: str | Path, output: str | Path) -> None:
    """Write a finished part as ``.pt``.

    Keys: ``inputs`` (n_jets, n_variables) in the precision of the part, ``is_default`` bool of the
    same shape, ``labels`` int64 (n_jets,), ``weight`` and further weights float32, ``bins`` int8
    to int32 (n_jets, n_axes), ``reference`` float32 (n_jets, n_outputs), and the lists of names
    ``variables``, ``classes``, ``reference_outputs``. If they are asked for, ``conditional`` (n_jets, n) and
    ``additional_labels_<name>`` (n_jets,). For each collection of constituents
    ``<collection>_inputs``, ``_valid``, ``_labels_<name>`` (int64) and the names ``_variables``.

    Raises
    ------
    JetmillError
        If PyTorch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise JetmillError(str(FORMATS["torch"])) from None
    jets = load(part)
    reference = np.stack(list(jets.reference.values()), axis=1) if jets.reference else np.empty((len(jets), 0))
    tensors = {
        "inputs": torch.from_numpy(jets.inputs),
        "is_default": torch.from_numpy(jets.is_default),
        "labels": torch.from_numpy(jets.labels.astype(np.int64)),
        "bins": torch.from_numpy(jets.bins),
        "reference": torch.from_numpy(reference.astype(np.float32)),
        **{name: torch.from_numpy(values) for name, values in jets.weights.items()},
        **{f"additional_labels_{name}": torch.from_numpy(x) for name, x in jets.additional_labels.items()},
        **({} if jets.conditional is None else {"conditional": torch.from_numpy(jets.conditional)}),
        **{f"{name}_{key}": torch.from_numpy(values) for name, key, values in _constituents(jets)},
        "variables": list(jets.variables),
        "classes": list(jets.classes),
        "reference_outputs": list(jets.reference),
        **{f"{name}_variables": list(c.variables) for name, c in jets.constituents.items()},
    }
    # Given a path, it would put its name into the file.
    with atomic_write(output) as partial, partial.open("wb") as file:
        torch.save(tensors, file)
    logger.info("%12d jets written", len(jets))


def _constituents(jets: Jets) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield collection, key and values of what becomes a tensor."""
    for name, c in jets.constituents.items():
        yield name, "inputs", c.inputs
        yield name, "valid", c.valid
        for label, values in c.labels.items():
            yield name, f"labels_{label}", values.astype(np.int64)
