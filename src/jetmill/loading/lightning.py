"""The finished files of a run for Lightning."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from jetmill.loading.torch import BlockSampler, FileDataset, Tensors


class JetDataModule(LightningDataModule):
    """Batches of ``train.h5``, ``val.h5`` and ``test.h5`` as dictionaries of tensors, by dataset.

    With several ranks each gets jets of its own and as many batches as the others. Training jets have another order in
    each epoch, the others that of the file.

    Parameters
    ----------
    results
        Directory of a finished run.
    batch_size
        Jets in a batch.
    datasets
        Names of the datasets to read; all if not given. Few are faster.
    num_workers
        Processes that read, for each rank.
    drop_last
        Whether to leave out training batches that are smaller.
    seed
        Seed of the order.

    Raises
    ------
    JetmillError
        If the run has no such file or dataset.
    """

    def __init__(
        self,
        results: str | Path,
        *,
        batch_size: int = 1000,
        datasets: Sequence[str] | None = None,
        num_workers: int = 0,
        drop_last: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        self._results, self._datasets, self._num_workers = Path(results), datasets, num_workers
        self._batch_size, self._drop_last, self._seed = batch_size, drop_last, seed

    def train_dataloader(self) -> "DataLoader[Tensors]":
        """Return the training jets."""
        return self._loader("train", shuffle=True, drop_last=self._drop_last)

    def val_dataloader(self) -> "DataLoader[Tensors]":
        """Return the validation jets."""
        return self._loader("val")

    def test_dataloader(self) -> "DataLoader[Tensors]":
        """Return the test jets."""
        return self._loader("test")

    def _loader(self, output: str, *, shuffle: bool = False, drop_last: bool = False) -> "DataLoader[Tensors]":
        data = FileDataset(self._results / f"{output}.h5", self._datasets)
        blocks = BlockSampler(len(data), self._batch_size, seed=self._seed, shuffle=shuffle, drop_last=drop_last)
        return DataLoader(
            data,
            batch_size=None,
            sampler=blocks,
            num_workers=self._num_workers,
            persistent_workers=self._num_workers > 0,
        )
