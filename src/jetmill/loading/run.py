"""What streams need of a run: configuration, balance tables, scalers and cleaned batches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jetmill.columns.batch_list import CleanedBatch, read_batch_list
from jetmill.columns.mapped_batch import MappedCleanedBatch
from jetmill.config.load import load
from jetmill.config.yaml_files import read_yaml
from jetmill.errors import JetmillError
from jetmill.files import open_intermediate_file
from jetmill.formats.content.scaled import Tables, dataset_types
from jetmill.scaling.scalers import Scaler, read_scalers
from jetmill.settings.config import Config

Configuration = str | Path | Mapping[str, Any]


def check_positive(**sizes: int) -> None:
    """Raise JetmillError if a size is less than 1."""
    for name, size in sizes.items():
        if size < 1:
            raise JetmillError(f"{name} must be at least 1 (found: {size})")


def read_config(config: Configuration) -> Config:
    """Return a configuration from a mapping, a YAML file, or the manifest of a finished run.

    Raises
    ------
    JetmillError
        If there is none, or it is wrong.
    """
    if isinstance(config, Mapping):
        return load(config)
    path = Path(config)
    if path.is_dir():
        manifest = path / "manifest.json"
        if not manifest.exists():
            raise JetmillError(
                f"{path}: has no manifest.json, which a finished run has; give its configuration instead"
            )
        # The directory may have been moved.
        return load(json.loads(manifest.read_text())["config"] | {"output_dir": str(path)})
    raw = read_yaml(path)
    if not isinstance(raw, Mapping):
        raise JetmillError(f"{path}: holds no configuration")
    return load(raw)


@dataclass(frozen=True)
class Run:
    """What streams need of a run."""

    config: Config
    balance: Path
    tables: Tables
    scalers: Mapping[str, Mapping[str, Scaler]]
    batches: Sequence[CleanedBatch]

    @classmethod
    def of(cls, configuration: Configuration) -> "Run":
        """Read it, from a configuration or the directory of a finished run."""
        config = read_config(configuration)
        directory = Path(config.output_dir)
        balance, scalers = directory / "balance.h5", directory / "scalers.json"
        batches = directory / "clean" / "batches.json"
        for path in (balance, scalers, batches):
            if not path.exists():
                if config.split.folds and not directory.name.startswith("fold_"):
                    raise JetmillError(f"{directory}: holds folds; give one of them, as {directory / 'fold_0'}")
                raise JetmillError(f"{path}: no such file; `snakemake --cores 8 {balance} {scalers}` makes it")
        with open_intermediate_file(balance) as file:
            tables = Tables.read(file)
        listed = read_batch_list(batches)
        if gone := [batch.path for batch in listed if not Path(batch.path).exists()]:
            raise JetmillError(f"{gone[0]}: no such file; `snakemake --cores 8 {gone[0]}` makes it")
        return cls(config, balance, tables, read_scalers(scalers), [*map(MappedCleanedBatch.of, listed)])

    @property
    def types(self) -> dict[str, str]:
        """Dataset to its type where it is not that of the rows."""
        return dataset_types(self.config.content)
