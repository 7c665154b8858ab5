"""The card of the Parquet files, which says which files make each split.

Without it Hugging Face's ``load_dataset`` goes by words in the names of files and directories, and puts
``val_resampled`` to ``val``.
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from jetmill.files import atomic_write

# The names that Hugging Face gives these splits.
SPLIT_NAMES = {"val": "validation", "val_resampled": "validation_resampled"}
TEXT = """
One row per jet: variables in their own units, constituents as lists. `datasets.load_dataset` of this directory has the
splits above.
"""


def write_card(outputs: Sequence[str], path: str | Path) -> None:
    """Write ``README.md``, as it is described at https://huggingface.co/docs/hub/datasets-manual-configuration.

    Parameters
    ----------
    outputs
        Directories of parts beside the card.
    """
    files = [{"split": SPLIT_NAMES.get(name, name), "path": f"{name}/part_*.parquet"} for name in outputs]
    header = yaml.safe_dump({"configs": [{"config_name": "default", "data_files": files}]}, sort_keys=False)
    with atomic_write(path) as partial:
        partial.write_text(f"---\n{header}---\n{TEXT}")
