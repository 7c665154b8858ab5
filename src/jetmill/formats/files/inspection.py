"""The content of a finished HDF5 file: datasets, parts, jets of each class, values that are not finite."""

from collections import Counter
from collections.abc import Sequence

import h5py
import numpy as np

from jetmill.errors import JetmillError
from jetmill.formats.files.layout import blocks, datasets
from jetmill.formats.files.names import names_of
from jetmill.formats.format import Hdf5Check
from jetmill.labels import count_classes


def sources_of(file: h5py.File) -> list[str]:
    """Return the files that the datasets of a file point to, as written in it; none if it holds all data itself."""
    virtual = [d for d in datasets(file).values() if d.is_virtual]
    return sorted({source.file_name for dataset in virtual for source in dataset.virtual_sources()})


def class_counts(file: h5py.File, check: Hdf5Check, classes: Sequence[str]) -> dict[str, int]:
    """Count the jets of each class in a finished file, in blocks, as `jetmill.labels.count_classes`."""
    found = file[names_of(file).jets]
    dataset = found if check.dataset is None else found[check.dataset]
    labels = dataset if check.field is None else dataset.fields(check.field)
    counts: Counter[str] = Counter()
    try:
        for rows in blocks(dataset.shape, dataset.dtype):
            counts.update(count_classes(np.asarray(labels[rows]), classes))
    except JetmillError as error:
        raise JetmillError(f"{file.filename}: {error}") from None
    return dict(counts) if counts else dict.fromkeys(classes, 0)


def count_infinite(dataset: h5py.Dataset, fields: Sequence[str] | None) -> tuple[int, int]:
    """Return how many values are not finite, of how many."""
    n = n_values = 0
    for rows in blocks(dataset.shape, dataset.dtype):
        block = dataset[rows]
        for values in [block] if fields is None else [block[name] for name in fields]:
            n += values.size - int(np.isfinite(values).sum())
            n_values += values.size
    return n, n_values
