"""A training with Lightning on two ranks of this machine."""

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

pytestmark = [
    pytest.mark.readers,
    pytest.mark.skipif(find_spec("lightning") is None, reason="Lightning is not installed"),
]

# Each rank writes down the events that it trained and validated with, and what it learnt.
TRAINING = """
import json, sys, torch
from lightning.pytorch import LightningModule, Trainer
from jetmill.loading.lightning import JetDataModule

class Tagger(LightningModule):
    def __init__(self, n_inputs):
        super().__init__()
        self.layer, self.seen = torch.nn.Linear(n_inputs, 4), {"train": [], "val": []}

    def note(self, output, batch):
        self.seen[output].append([self.current_epoch, batch["jets/event/eventNumber"].tolist()])

    def training_step(self, batch, _):
        self.note("train", batch)
        loss = torch.nn.functional.cross_entropy(self.layer(batch["jets/inputs"].float()), batch["jets/labels"])
        return loss

    def validation_step(self, batch, _):
        self.note("val", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)

if __name__ == "__main__":
    results, output = sys.argv[1:]
    data = JetDataModule(results, batch_size=100, datasets=["jets/inputs", "jets/labels", "jets/event/eventNumber"])
    model = Tagger(next(iter(data.val_dataloader()))["jets/inputs"].shape[1])
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", max_epochs=2, logger=False,
                      enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
                      num_sanity_val_steps=0)
    trainer.fit(model, data)
    with open(f"{output}_{trainer.global_rank}.json", "w") as file:
        json.dump(model.seen | {"weights": model.layer.weight.tolist()}, file)
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Return what each of two ranks wrote down, and the run."""
    from stream_runs import made

    run, directory = made("two", tmp_path_factory), tmp_path_factory.mktemp("lightning")
    script = directory / "training.py"
    script.write_text(TRAINING)
    done = subprocess.run(
        [sys.executable, script, run.results, directory / "seen"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return run, [json.loads((directory / f"seen_{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("output", ["train", "val"])
def test_ranks_share_the_jets_of_each_epoch(ranks, output):
    run, of_ranks = ranks
    expected = np.sort(run.arrays(output)["jets/event/eventNumber"]).tolist()
    for epoch in range(2):
        batches = [[events for n, events in rank[output] if n == epoch] for rank in of_ranks]
        assert len(batches[0]) == len(batches[1])
        assert sorted(event for of_rank in batches for batch in of_rank for event in batch) == expected


def test_only_training_jets_have_another_order_in_each_epoch(ranks):
    for rank in ranks[1]:
        for output, same in (("train", False), ("val", True)):
            first, second = ([events for n, events in rank[output] if n == epoch] for epoch in range(2))
            assert (first == second) == same


def test_ranks_train_one_model(ranks):
    weights = [rank["weights"] for rank in ranks[1]]
    assert weights[0] == weights[1]
