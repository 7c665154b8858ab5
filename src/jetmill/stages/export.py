"""Scalers and class weights for umami and salt."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import yaml

from jetmill.balancing.selection import PartSpec, training_blocks
from jetmill.balancing.tables import written_jets
from jetmill.columns.schema import constituent_label
from jetmill.files import atomic_write, open_intermediate_file
from jetmill.formats.content.scaled import check_label
from jetmill.scaling.exports import class_dict, label_warnings, norm_dict, scale_dict
from jetmill.scaling.moments import read_statistics
from jetmill.scaling.scalers import read_scalers
from jetmill.settings.scaling import TARGETS

logger = logging.getLogger(__name__)


def export(
    source: PartSpec,
    ranges: Sequence[str | Path],
    scalers_path: str | Path,
    balance_path: str | Path,
    scale_dict_path: str | Path,
    norm_dict_path: str | Path,
    class_dict_path: str | Path,
    *,
    labels: Mapping[str, Mapping[str, int]],
    jets_name: str = "jets",
    block_jets: int = 2**13,
) -> None:
    """Write umami's scale dict and salt's ``norm_dict.yaml`` and ``class_dict.yaml``.

    Parameters
    ----------
    source
        The whole training split.
    labels
        Collection to label of constituents to its number of values.
    jets_name
        What the jets are called.
    block_jets
        Jets whose labels of constituents are read at a time.

    Raises
    ------
    JetmillError
        If a label has a value beyond that number.
    """
    scalers, statistics = read_scalers(scalers_path), read_statistics(ranges)
    scalers.pop(TARGETS, None)
    with open_intermediate_file(balance_path) as file:
        classes, class_counts = list(file.attrs["classes"]), written_jets(file, "train")[0]
        label_counts = _count(source, file, labels, block_jets)
    with atomic_write(scale_dict_path) as partial:
        partial.write_text(json.dumps(scale_dict(scalers, label_counts, jets_name), indent=4))
    with atomic_write(norm_dict_path) as partial:
        partial.write_text(yaml.safe_dump(norm_dict(scalers, statistics), sort_keys=False))
    weights = class_dict(class_counts, label_counts, jets_name)
    with atomic_write(class_dict_path) as partial:
        partial.write_text(yaml.safe_dump(weights, sort_keys=False))
    for name, n in zip(classes, class_counts, strict=True):
        logger.info("%12d training jets of class %s", n, name)
    for of, rows in label_counts.items():
        for name, counts in rows.items():
            logger.info("%12d %s with %s: %s", counts.sum(), of, name, ", ".join(map(str, counts)))
    for sentence in label_warnings(weights, jets_name):
        logger.warning("%s", sentence)


def _count(
    source: PartSpec, balance_file: h5py.File, labels: Mapping[str, Mapping[str, int]], block_jets: int
) -> dict[str, dict[str, np.ndarray]]:
    """Return how often each value of each label is written, int64 (n_values,)."""
    counts = {of: {name: np.zeros(n, dtype=np.int64) for name, n in rows.items()} for of, rows in labels.items()}
    for of, rows in counts.items():
        columns = {constituent_label(of, name): name for name in rows}
        blocks = training_blocks(source.batches, balance_file, of, list(columns), block_jets)
        for column, values, times in blocks:
            name = columns[column]
            table, known = rows[name], values >= 0
            check_label(of, name, values if times is None else values[times > 0], len(table))
            of_known = None if times is None else times[known]
            # Sums of whole numbers of float64 are exact up to 2**53.
            table += np.bincount(values[known], of_known, minlength=len(table)).astype(np.int64)[: len(table)]
    return counts
