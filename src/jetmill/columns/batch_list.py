"""The list of cleaned batches and their content, so that later jobs need not open all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path
from typing import Any

from jetmill.columns.batch_file import Batch
from jetmill.columns.promotion import Types, merge
from jetmill.columns.schema import Column
from jetmill.files import read_json, write_json
from jetmill.splitting import EACH_ITS_OWN, Groups

CONSTITUENT_STEPS = ("read", "selected", "kept")


@dataclass(frozen=True)
class CleanedBatch:
    """A cleaned batch.

    Attributes
    ----------
    sample
        Name of its sample.
    truth
        Whether its jets have classes.
    path, bytes
        The column file and its size.
    splits
        Jets of each split.
    cutflow
        Pairs of a cut and the number of jets left after it.
    constituents
        Collection to the numbers of constituents that were read, selected and kept (`CONSTITUENT_STEPS`).
    inputs, warnings
        Its input files, as listed in the manifest, and the warnings of the clean job.
    types
        Types in which columns are read, the same for all batches of a list, as they hold the values of all.
    native
        Types of variables that are small integers in the files of all batches, and never missing.
    groups
        For each split, the groups of rows that it is made of.
    fields
        Paths of the columns of all fields in its input files, if they are kept.
    """

    sample: str
    path: str
    bytes: int
    splits: list[int]
    cutflow: list[tuple[str, int]]
    constituents: dict[str, list[int]]
    inputs: list[dict[str, Any]]
    warnings: list[str]
    types: dict[Column, str]
    native: dict[Column, str] = field(default_factory=dict)
    groups: Groups = EACH_ITS_OWN
    truth: bool = True
    fields: list[str] = field(default_factory=list)

    def open(self) -> Batch:
        """Open the column file for reading."""
        return Batch(self.path, self.types, self.groups)


def write_batch_lists(
    paths: Sequence[str | Path], outputs: Mapping[str | Path, Mapping[str, Groups]]
) -> list[CleanedBatch]:
    """Write lists of column files as JSON, and return the first one; paths are relative to the list.

    Parameters
    ----------
    outputs
        List to write, to the groups that the splits of samples are made of there, if not each of its own.

    Raises
    ------
    JetmillError
        If no type holds all values of a column.
    """
    found = [_read_batch(path) for path in paths]
    merged = merge(of_batch for _, of_batch in found)
    types, native = (
        {column.path: str(dtype) for column, dtype in of_columns.items()}
        for of_columns in (merged.read(), merged.native())
    )
    for output, groups in outputs.items():
        base = Path(output).parent
        entries = [_listed(entry, groups) | {"path": relpath(entry["path"], base)} for entry, _ in found]
        write_json(output, {"types": types, "native": native, "batches": entries})
    return read_batch_list(next(iter(outputs)))


def read_batch_list(path: str | Path) -> list[CleanedBatch]:
    """Read a list of column files, in the order of the samples and files of the configuration."""
    base, found = Path(path).parent, read_json(path)
    types, native = (
        {Column.from_path(column): dtype for column, dtype in found[key].items()} for key in ("types", "native")
    )
    return [
        CleanedBatch(**entry | {"path": str(base / entry["path"])}, types=types, native=native)
        for entry in found["batches"]
    ]


def sum_cutflows(flows: Sequence[Sequence[tuple[str, int]]]) -> list[tuple[str, int]]:
    """Add up the cutflows of several batches, which have the same steps."""
    return [(step, sum(flow[i][1] for flow in flows)) for i, (step, _) in enumerate(flows[0])]


def with_dropped(flow: Sequence[tuple[str, int]], dropped: int) -> list[tuple[str, int]]:
    """Return a cutflow with a last step, training jets that are dropped outside the bins."""
    return [*flow, ("training jets outside the bins dropped", flow[-1][1] - int(dropped))]


def _listed(entry: dict[str, Any], groups: Mapping[str, Groups]) -> dict[str, Any]:
    """Return the entry of a batch with its groups, and the jets of each split in place of those of each group."""
    if entry["sample"] not in groups:
        return entry
    of_splits, jets = groups[entry["sample"]], entry["splits"]
    return entry | {"groups": of_splits, "splits": [sum(jets[k] for k in of_split) for of_split in of_splits]}


def _read_batch(path: str | Path) -> tuple[dict[str, Any], Types]:
    """Return the entry of a batch in the list, and the types of its columns."""
    with Batch(path) as batch:
        types = Types.from_json(batch.attribute("types"))
        listed = {
            "sample": batch.attribute("sample"),
            "truth": batch.attribute("truth"),
            "fields": [column.path for column in types.found if column.is_field],
            "path": str(path),
            "bytes": Path(path).stat().st_size,
            "splits": batch.attribute("splits").tolist(),
            "cutflow": batch.attribute("cutflow"),
            "constituents": batch.attribute("constituents"),
            "inputs": batch.attribute("inputs"),
            "warnings": batch.attribute("warnings"),
        }
        return listed, types
