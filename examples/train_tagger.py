"""Train a small tagger on the results of the default run, and compare it with the reference tagger in the ntuples.

    make run
    python examples/train_tagger.py results/toy --reader files

needs PyTorch and takes less than two minutes on a CPU. It prints how many c and light jets each tagger takes one of,
when it takes 70 % of the b jets, and draws ROC curves, each with and without weights. Any reader does:

load        jetmill.load, everything in memory
files       FileDataset, blocks of rows of the finished file
stream      StreamDataset, batches made on the fly from the cleaned columns
lightning   JetDataModule (needs Lightning)
tensorflow  stream_dataset for Keras (needs TensorFlow)
records     record_dataset (needs TensorFlow, and write.formats: [hdf5, tfrecords])
tensors     the .pt parts (needs write.formats: [hdf5, torch])
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from torch.utils.data import DataLoader

import jetmill

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
# From the number of an epoch to its inputs, labels and weights.
Epoch = Callable[[int], Iterator[Batch]]
INPUTS, LABELS, WEIGHT = NAMES = ["jets/inputs", "jets/labels", "jets/weight"]
SIGNAL, BACKGROUNDS = ["b", "bb"], ["c", "udsg"]
# Outputs of the reference tagger, in the order of the classes.
REFERENCE = ["btagDeepB_b", "btagDeepB_bb", "btagDeepC", "btagDeepL"]
EFFICIENCY = 0.7


# Readers: from the results and the size of a batch to its epochs.


def read_load(results: Path, size: int) -> Epoch:
    """All jets in memory."""
    jets = jetmill.load(results / "train.h5")
    return _shuffled(jets.inputs, jets.labels.astype(np.int64), jets.weight, size)


def read_tensors(results: Path, size: int) -> Epoch:
    """Parts as dictionaries of tensors."""
    parts = [torch.load(path, weights_only=True) for path in sorted((results / "torch/train").glob("*.pt"))]
    return _shuffled(*(np.concatenate([part[name] for part in parts]) for name in ("inputs", "labels", "weight")), size)


def read_files(results: Path, size: int) -> Epoch:
    """Blocks of rows of the finished file."""
    from jetmill.loading.torch import BlockSampler, FileDataset

    data = FileDataset(results / "train.h5", NAMES)
    return _of_loader(DataLoader(data, batch_size=None, sampler=BlockSampler(len(data), size)))


def read_stream(results: Path, size: int) -> Epoch:
    """Batches made on the fly."""
    from jetmill.loading.torch import StreamDataset

    return _of_loader(DataLoader(StreamDataset(jetmill.Stream(results, batch_size=size)), batch_size=None))


def read_lightning(results: Path, size: int) -> Epoch:
    """Read with the data module of Lightning."""
    from jetmill.loading.lightning import JetDataModule

    return _of_loader(JetDataModule(results, batch_size=size, datasets=NAMES).train_dataloader())


def read_tensorflow(results: Path, size: int) -> Epoch:
    """Batches made on the fly, for Keras."""
    from jetmill.loading.tensorflow import stream_dataset

    return _of_keras(stream_dataset(jetmill.Stream(results, batch_size=size), as_supervised=True))


def read_records(results: Path, size: int) -> Epoch:
    """TFRecords, for Keras."""
    from jetmill.loading.tensorflow import record_dataset

    return _of_keras(record_dataset(results / "tfrecords/train", batch_size=size, as_supervised=True))


READERS = {name.removeprefix("read_"): found for name, found in list(globals().items()) if name.startswith("read_")}


def _shuffled(inputs: np.ndarray, labels: np.ndarray, weight: np.ndarray, size: int) -> Epoch:
    def epoch(number: int) -> Iterator[Batch]:
        order = np.random.default_rng(number).permutation(len(labels))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield torch.from_numpy(inputs[rows]), torch.from_numpy(labels[rows]), torch.from_numpy(weight[rows])

    return epoch


def _of_loader(loader: DataLoader) -> Epoch:
    return lambda _: ((batch[INPUTS], batch[LABELS], batch[WEIGHT]) for batch in loader)


def _of_keras(data) -> Epoch:
    def epoch(_: int) -> Iterator[Batch]:
        for x, y, weight in data:
            one_hot = torch.from_numpy(y.numpy())
            yield torch.from_numpy(x.numpy()), one_hot.argmax(dim=1), torch.from_numpy(weight.numpy())

    return epoch


class DeepSets(torch.nn.Module):
    """The same network for each track of a jet, their sum, and a network for that and the variables of the jet.

    The variables of track k are those whose names end in ``_k``.
    """

    def __init__(self, variables: tuple[str, ...], n_classes: int, width: int = 64):
        super().__init__()
        found = [re.fullmatch(r"(.+)_(\d)", name) for name in variables]
        slots: dict[str, dict[int, int]] = {}
        for place, match in enumerate(found):
            if match:
                slots.setdefault(match[1], {})[int(match[2])] = place
        n_tracks = max(map(len, slots.values()))
        of_tracks = [list(places.values()) for places in slots.values() if len(places) == n_tracks]
        used = {place for places in of_tracks for place in places}
        # (track, variable)
        self.register_buffer("of_tracks", torch.tensor(of_tracks).T)
        self.register_buffer("of_jets", torch.tensor([k for k in range(len(variables)) if k not in used]))
        relu = torch.nn.ReLU
        self.track = torch.nn.Sequential(
            torch.nn.Linear(len(of_tracks), width), relu(), torch.nn.Linear(width, width), relu()
        )
        self.jet = torch.nn.Sequential(
            torch.nn.Linear(width + len(self.of_jets), width),
            relu(),
            torch.nn.Linear(width, width),
            relu(),
            torch.nn.Linear(width, n_classes),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return scores (n_jets, n_classes) before the softmax, from inputs (n_jets, n_variables)."""
        inputs = inputs.float().clamp(-10, 10)
        tracks = self.track(inputs[:, self.of_tracks]).sum(dim=1)
        return self.jet(torch.cat([tracks, inputs[:, self.of_jets]], dim=1))


def train(epoch_of: Epoch, model: DeepSets, epochs: int) -> None:
    """Minimise the weighted cross entropy."""
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.02 ** (1 / epochs))
    for number in range(epochs):
        start, total, n_jets = time.perf_counter(), 0.0, 0
        for inputs, labels, weight in epoch_of(number):
            loss = torch.nn.functional.cross_entropy(model(inputs), labels, reduction="none") @ weight / len(labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total, n_jets = total + loss.item() * len(labels), n_jets + len(labels)
        schedule.step()
        print(f"epoch {number + 1:2d}: loss {total / n_jets:.4f}, {n_jets} jets in {time.perf_counter() - start:.1f} s")


def rejection(passed: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return one over the efficiency of a background, and its statistical error; both infinite if no jet passes.

    The error is that of a weighted mean of `passed` (n,), for a fixed cut.
    """
    efficiency = np.average(passed, weights=weight)
    if not efficiency:
        return float("inf"), float("inf")
    error = np.sqrt(np.sum((weight * (passed - efficiency)) ** 2)) / weight.sum()
    return float(1 / efficiency), float(error / efficiency**2)


def cut_at(discriminant: np.ndarray, weight: np.ndarray, efficiency: float) -> float:
    """Return the cut that a share `efficiency` of the jets passes."""
    order = np.argsort(discriminant)[::-1]
    share = np.cumsum(weight[order]) / weight.sum()
    return float(discriminant[order[np.searchsorted(share, efficiency)]])


def compare(jets: jetmill.Jets, taggers: dict[str, np.ndarray], output: Path) -> dict:
    """Draw ROC curves, and return the rejections of each tagger and background, with and without weights."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    at = {name: jets.labels == jets.classes.index(name) for name in jets.classes}
    is_signal = np.any([at[name] for name in SIGNAL], axis=0)
    figure, panels = plt.subplots(1, 2, figsize=(11, 5), sharey=True)
    found: dict = {}
    for panel, (kind, weight) in zip(
        panels, {"without weights": np.ones(len(jets)), "with weights": jets.weight.astype(float)}.items(), strict=True
    ):
        for number, (tagger, score) in enumerate(taggers.items()):
            for background, style in zip(BACKGROUNDS, ("--", "-"), strict=True):
                rest = at[background]
                signal, other = score[is_signal], score[rest]
                cut = cut_at(signal, weight[is_signal], EFFICIENCY)
                found.setdefault(kind, {}).setdefault(tagger, {})[background] = rejection(other > cut, weight[rest])
                efficiencies = np.linspace(0.3, 1, 71)[:-1]
                cuts = [cut_at(signal, weight[is_signal], e) for e in efficiencies]
                passing = [np.average(other > c, weights=weight[rest]) for c in cuts]
                curve = 1 / np.maximum(passing, 1e-6)
                panel.plot(efficiencies, curve, style, color=f"C{number}", label=f"{tagger}, {background}")
        panel.set(xlabel="efficiency for b jets", yscale="log", title=kind, ylim=(1, 3000))
        panel.legend()
    panels[0].set_ylabel("rejection of background")
    figure.savefig(output / "roc.png", dpi=150, bbox_inches="tight")
    plt.close(figure)
    return found


def b_or_not(scores: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Return the discriminant of b jets, from scores (n_jets, n_classes): the share of b and bb."""
    signal = scores[:, [classes.index(name) for name in SIGNAL]].sum(axis=1)
    return signal / np.maximum(scores.sum(axis=1), 1e-12)


def main() -> None:
    """Train and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="directory of a finished run")
    parser.add_argument("--reader", choices=READERS, default="files")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path("tagger"), help="directory of the plot and the numbers")
    options = parser.parse_args()
    torch.manual_seed(1)
    options.output.mkdir(parents=True, exist_ok=True)
    test = jetmill.load(options.results / "test.h5")
    model = DeepSets(test.variables, len(test.classes))
    train(READERS[options.reader](options.results, options.batch_size), model, options.epochs)
    with torch.no_grad():
        scores = model(torch.from_numpy(test.inputs)).softmax(dim=1).numpy()
    reference = np.nan_to_num(np.stack([test.spectators[name] for name in REFERENCE], axis=1))
    taggers = {"Deep Sets": b_or_not(scores, test.classes), "reference": b_or_not(reference, test.classes)}
    found = compare(test, taggers, options.output)
    for kind, of_taggers in found.items():
        for tagger, rejections in of_taggers.items():
            numbers = ", ".join(f"{name} {value:.1f} +- {error:.1f}" for name, (value, error) in rejections.items())
            print(f"{tagger}, {kind}: rejection at {EFFICIENCY:.0%} of b jets: {numbers}")
    (options.output / "rejections.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
