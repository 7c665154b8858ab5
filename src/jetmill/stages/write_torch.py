"""A part as a dictionary of tensors, readable with ``torch.load(path, weights_only=True)``."""

import logging
from pathlib import Path

import numpy as np

from jetmill.errors import JetmillError
from jetmill.files import complete
from jetmill.loading import load

logger = logging.getLogger(__name__)


def write_torch(part: str | Path, output: str | Path) -> None:
    """Write a finished part as ``.pt``.

    Keys: ``inputs`` (n_jets, n_variables) in the precision of the part, ``is_default`` bool of the
    same shape, ``labels`` int64 (n_jets,), ``weight`` and further weights float32, ``bins`` uint8
    or int32 (n_jets, n_axes), ``reference`` float32 (n_jets, n_outputs), and the lists of names
    ``variables``, ``classes``, ``reference_outputs``.

    Raises
    ------
    JetmillError
        If PyTorch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise JetmillError("write.formats: torch needs PyTorch; `pip install torch`, or leave it out") from None
    jets = load(part)
    reference = np.stack(list(jets.reference.values()), axis=1) if jets.reference else np.empty((len(jets), 0))
    bins = jets.bins if jets.bins.dtype == np.uint8 else jets.bins.astype(np.int32)
    tensors = {
        "inputs": torch.from_numpy(jets.inputs),
        "is_default": torch.from_numpy(jets.is_default),
        "labels": torch.from_numpy(jets.labels.astype(np.int64)),
        "bins": torch.from_numpy(bins),
        "reference": torch.from_numpy(reference.astype(np.float32)),
        **{name: torch.from_numpy(values) for name, values in jets.weights.items()},
        "variables": list(jets.variables),
        "classes": list(jets.classes),
        "reference_outputs": list(jets.reference),
    }
    with complete(output) as partial:
        torch.save(tensors, partial)
    logger.info("%12d jets written", len(jets))
