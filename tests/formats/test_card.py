"""The card beside Parquet files: Hugging Face's `load_dataset` finds the splits of the run, none mixed with another."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jetmill.formats.cards import hugging_face
from jetmill.formats.cards.card import Results

OUTPUTS = ["train", "val", "test", "val_resampled"]
SPLITS = {"train": "train", "validation": "val", "test": "test", "validation_resampled": "val_resampled"}


def card(outputs):
    return hugging_face.CARD.text(Results("results", outputs, {}, None, {}))


@pytest.fixture
def directory(tmp_path):
    """Two parts of each output, whose number stands in every row."""
    for number, output in enumerate(OUTPUTS):
        for part in range(2):
            path = tmp_path / f"parquet/{output}/part_{part:04d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                pa.table({"output": [number] * (number + 1), "tracks_pt": [[1.0, 2.0]] * (number + 1)}), path
            )
    (tmp_path / "parquet/README.md").write_text(card(OUTPUTS))
    return tmp_path / "parquet"


def test_every_part_is_in_the_split_of_its_directory(directory):
    _, header, _ = (directory / "README.md").read_text().split("---\n")
    (config,) = yaml.safe_load(header)["configs"]
    assert config["config_name"] == "default"
    found = {entry["split"]: sorted(directory.glob(entry["path"])) for entry in config["data_files"]}
    assert found == {split: sorted((directory / output).iterdir()) for split, output in SPLITS.items()}
    assert all(len(paths) == 2 for paths in found.values())


def test_only_what_is_written_is_named(tmp_path):
    header = card(["train", "test"]).split("---\n")[1]
    assert [entry["split"] for entry in yaml.safe_load(header)["configs"][0]["data_files"]] == ["train", "test"]


def test_hugging_face_reads_it(directory, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    found = datasets.load_dataset(str(directory), cache_dir=str(tmp_path / "cache"))
    assert {split: (len(rows), set(rows["output"])) for split, rows in found.items()} == {
        split: (2 * (OUTPUTS.index(output) + 1), {OUTPUTS.index(output)}) for split, output in SPLITS.items()
    }
