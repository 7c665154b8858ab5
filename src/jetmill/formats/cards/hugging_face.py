"""Hugging Face: which Parquet files make each split."""

from jetmill.formats.cards.card import Card, Results
from jetmill.formats.files.names import names_in

# The names that Hugging Face gives these splits.
SPLIT_NAMES = {"val": "validation", "val_resampled": "validation_resampled"}
TEXT = """
One row per {one}: variables in their own units, constituents as lists. `datasets.load_dataset` of this directory has
the splits above.
"""


def text(results: Results) -> str:
    """Return a card that says which files make each split (https://huggingface.co/docs/hub/datasets-manual-configuration).

    Without it Hugging Face's ``load_dataset`` goes by words in the names of files and directories, and adds
    ``val_resampled`` to ``val``.
    """
    import yaml

    files = [{"split": SPLIT_NAMES.get(name, name), "path": f"{name}/part_*.parquet"} for name in results.outputs]
    one = names_in(results.config).jet
    header = yaml.safe_dump({"configs": [{"config_name": "default", "data_files": files}]}, sort_keys=False)
    return f"---\n{header}---\n{TEXT.format(one=one)}"


CARD = Card("parquet/README.md", text, wanted=lambda config: True)  # noqa: ARG005
