"""Labels of jets: the position of their class, or `NO_CLASS` in samples without truth."""

from collections.abc import Sequence

import numpy as np

from jetmill.errors import JetmillError

NO_CLASS = 255
# What jets without a class are called beside the names of classes.
DATA = "data"


def count_classes(labels: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    """Return the number of jets of each class, or of `DATA` if none has a class; labels are integers (n_jets,).

    Raises
    ------
    JetmillError
        If there is a label that is not the position of a class.
    """
    if labels.size and (labels == NO_CLASS).all():
        return {DATA: labels.size}
    if labels.size and not 0 <= labels.min() <= labels.max() < len(classes):
        raise JetmillError(f"labels are {labels.min()} to {labels.max()}, of {len(classes)} classes")
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
