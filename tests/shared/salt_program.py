"""The real salt: a step of a training, and the numbers that reach its network."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# One step on all jets as a single batch; keeps what the first normalised inputs, targets, predictions and losses were.
PROGRAM = """
import sys
import numpy as np
import torch
from salt.main import main

kept = {}

def keep(module, given, made):
    kind = type(module).__name__
    if kind == "InputNorm":
        new = {f"normalised_{name}": x for name, x in made.items()}
    elif kind == "MaskDecoder" and len(given) > 1:
        new = {f"objects_{name}": x for name, x in made[1]["objects"].items()} | made[2]
    elif kind.endswith("Task"):
        new = {f"{module.name}_predicted": made[0], f"{module.name}_loss": made[1]}
    else:
        return
    for name, x in new.items():
        if x is not None:
            kept.setdefault(name, x.detach().numpy().copy())

torch.nn.modules.module.register_module_forward_hook(keep)
main(sys.argv[2:])
np.savez(sys.argv[1], **kept)
"""


def one_step(results, n_jets, directory):
    """Train a step with all training jets by ``salt fit``; return the arrays that PROGRAM keeps."""
    salt = Path(sys.prefix) / "salt"
    if not (salt / "salt/main.py").exists():
        pytest.skip(f"salt is not installed in {salt}, see requirements-salt.txt")
    pytest.importorskip("torch", reason="PyTorch is not installed")
    config = ["--config", results / "salt/GN2.yaml", f"--data.batch_size={n_jets}", "--data.num_workers=1"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "kept.npz", "fit", *config, "--force", "--trainer.fast_dev_run=1"],
        env=os.environ | {"PYTHONPATH": str(salt), "CUDA_VISIBLE_DEVICES": ""},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(directory / "kept.npz") as kept:
        return dict(kept)
