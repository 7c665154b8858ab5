"""The columns of cleaned jets and their names."""

from collections.abc import Mapping

import numpy as np

KEY, LABEL, VARIABLES, REFERENCE, EVENT = "key", "label", "variables", "reference", "event"
ADDITIONAL_LABELS, CONSTITUENTS, WEIGHTS = "additional_labels", "constituents", "weights"


def offsets(collection: str) -> str:
    """Return the dataset that says where the constituents of each jet start."""
    return f"{CONSTITUENTS}/{collection}/offsets"


def counts(collection: str) -> str:
    """Return the name of the column of their numbers while a batch is read."""
    return f"{CONSTITUENTS}/{collection}/counts"


def is_counts(name: str) -> bool:
    """Say whether a column holds numbers of constituents."""
    return name.startswith(f"{CONSTITUENTS}/") and name.count("/") == 2


def collection_of(name: str) -> str | None:
    """Return the collection that a column is of, None if it is of jets."""
    return name.split("/")[1] if name.startswith(f"{CONSTITUENTS}/") else None


def variable(name: str) -> str:
    """Return the dataset of a variable of jets."""
    return f"{VARIABLES}/{name}"


def constituent(collection: str, variable: str) -> str:
    """Return the dataset of a variable of constituents."""
    return f"{CONSTITUENTS}/{collection}/variables/{variable}"


def is_constituent_variable(name: str) -> bool:
    """Say whether a dataset is a variable of constituents."""
    return name.startswith(CONSTITUENTS) and f"/{VARIABLES}/" in name


def as_read(name: str, values: np.ndarray, types: Mapping[str, str]) -> np.ndarray:
    """Return stored values of a column in the type that all jets of a run have it in.

    Where the run is not known (`types` lacks the column), variables of constituents are floats.
    """
    small = values.dtype.kind != "f" and is_constituent_variable(name)
    return values.astype(types.get(name, np.float32 if small else values.dtype), copy=False)


def constituent_label(collection: str, label: str) -> str:
    """Return the dataset of a label of constituents."""
    return f"{CONSTITUENTS}/{collection}/labels/{label}"
