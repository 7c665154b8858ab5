"""The content of a finished HDF5 file: datasets, parts, jets of each class, values that are not finite."""

from collections.abc import Sequence

import h5py
import numpy as np

from jetmill.errors import JetmillError
from jetmill.formats.files.layout import blocks, datasets
from jetmill.formats.format import Hdf5Check


def sources_of(file: h5py.File) -> list[str]:
    """Return the files that the datasets of a file point to, as written in it; none if it holds all data itself."""
    virtual = [d for d in datasets(file).values() if d.is_virtual]
    return sorted({source.file_name for dataset in virtual for source in dataset.virtual_sources()})


def class_counts(file: h5py.File, check: Hdf5Check, n_classes: int) -> np.ndarray:
    """Count the jets of each class in a finished file, in blocks, int64 (n_classes,).

    Raises
    ------
    JetmillError
        If there is a label that is not the position of a class.
    """
    dataset = file[check.labels]
    labels = dataset if check.field is None else dataset.fields(check.field)
    counts = np.zeros(n_classes, dtype=np.int64)
    for rows in blocks(dataset.shape, dataset.dtype):
        found = np.asarray(labels[rows])
        if found.min() < 0 or found.max() >= n_classes:
            raise JetmillError(f"{file.filename}: labels are {found.min()} to {found.max()}, of {n_classes} classes")
        counts += np.bincount(found, minlength=n_classes)
    return counts


def count_infinite(dataset: h5py.Dataset, fields: Sequence[str] | None) -> tuple[int, int]:
    """Return how many values are not finite, of how many."""
    n = n_values = 0
    for rows in blocks(dataset.shape, dataset.dtype):
        block = dataset[rows]
        for values in [block] if fields is None else [block[name] for name in fields]:
            n += values.size - int(np.isfinite(values).sum())
            n_values += values.size
    return n, n_values
