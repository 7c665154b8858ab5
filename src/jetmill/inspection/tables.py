"""Trees, RNTuples and datasets of a file, as tables of variables that can be read in part."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from math import prod
from typing import Any

import numpy as np

from jetmill.errors import JetmillError
from jetmill.sources.damage import UnreadableError, damage_named
from jetmill.sources.remote import is_remote, options

# Entries that are read at most, and bytes of a variable: the beginning of a large file.
ENTRIES = 10_000
BYTES = 4_000_000
TIMEOUT = 60


@dataclass(frozen=True)
class Variable:
    """A variable of a table.

    Attributes
    ----------
    name
        As jetmill and other programs call it.
    type
        As the file says it.
    depth
        How many lists its numbers are in, in an entry: 0 for one number, 1 for a list, 2 for a list of lists.
    collection
        What it belongs to; "" for the entry itself.
    entry_bytes
        Bytes of an entry, about.
    """

    name: str
    type: str
    depth: int
    collection: str
    entry_bytes: float

    @property
    def short(self) -> str:
        """Its name within the collection."""
        return self.name.removeprefix(self.collection).lstrip("_.:") or self.name


@dataclass(frozen=True)
class Table:
    """A tree, an RNTuple or a dataset.

    Attributes
    ----------
    kind
        ``TTree``, ``RNTuple``, ``dataset`` or ``arrays``, an array of an HDF5 file for each variable.
    shape
        Entries, and slots of a dataset.
    variables
        By name.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    variables: Mapping[str, Variable]
    _read: Callable[[str, int], Any]

    @property
    def collections(self) -> dict[str, list[Variable]]:
        """Collections and their variables, the largest first; those of the entry under ""."""
        found: dict[str, list[Variable]] = {}
        for one in self.variables.values():
            found.setdefault(one.collection, []).append(one)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))

    def read(self, name: str) -> tuple[np.ndarray, int]:
        """Return the values of a variable in the first entries, (n,), and the number of these entries.

        Raises
        ------
        JetmillError
            If it has no numbers.
        """
        per_entry = max(1.0, self.variables[name].entry_bytes)
        n = int(min(self.shape[0], ENTRIES, max(10, BYTES / per_entry)))
        values = self._read(name, n)
        if not (isinstance(values, np.ndarray) and values.dtype.kind in "fiub"):
            raise JetmillError(f"'{name}' ({self.variables[name].type}) holds no numbers")
        return values.reshape(-1), n


@contextmanager
def open_tables(path: str) -> Iterator[list[Table]]:
    """Open a ROOT or HDF5 file, or the URL of a ROOT file.

    Raises
    ------
    UnreadableError
        If it is not there, or neither.
    """
    with ExitStack() as stack:
        what = "cannot be opened, or is no ROOT file" if is_remote(path) else "not a ROOT or HDF5 file that can be read"
        with damage_named(path, what):
            tables = list(_open(path, stack))
        yield tables


def _open(path: str, stack: ExitStack) -> Iterator[Table]:
    import h5py
    import uproot

    if not is_remote(path) and h5py.is_hdf5(path):
        yield from _datasets(stack.enter_context(h5py.File(path, "r")))
        return
    try:
        file = stack.enter_context(uproot.open(path, **(options(path, TIMEOUT) if is_remote(path) else {})))
    except FileNotFoundError:
        raise UnreadableError(f"{path}: no such file") from None
    yield from _trees(file)


def entries(path: str, tree: str, dataset: str) -> int | None:
    """Return the entries of a tree, or the rows of a dataset if the file is HDF5; None if it cannot be told."""
    import h5py
    import uproot

    try:
        if not is_remote(path) and h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return len(file[dataset])
        with uproot.open(path, **(options(path, TIMEOUT) if is_remote(path) else {})) as file:
            return int(file[tree].num_entries)
    except (OSError, KeyError, TypeError, AttributeError, JetmillError):
        return None


def _datasets(file: Any) -> Iterator[Table]:
    import h5py

    found: list[Any] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) and item.shape else None)
    arrays = {d.name.lstrip("/"): d for d in found if not d.dtype.names}
    for dataset in found:
        if names := dataset.dtype.names:
            size = prod(dataset.shape[1:]) * dataset.dtype.itemsize
            of = {f: Variable(f, str(dataset.dtype[f]), dataset.ndim - 1, "", size) for f in names}
            yield Table(dataset.name.lstrip("/"), "dataset", dataset.shape, of, partial(_read_dataset, dataset))
    # Arrays of as many rows, one for each variable.
    for n in dict.fromkeys(len(d) for d in arrays.values()):
        of = {
            name: Variable(name, str(d.dtype), d.ndim - 1, "", prod(d.shape[1:]) * d.dtype.itemsize)
            for name, d in arrays.items()
            if len(d) == n
        }
        yield Table(f"/[{n}]", "arrays", (n,), _grouped(of), lambda name, n: np.asarray(arrays[name][:n]))


def _read_dataset(dataset: Any, name: str, n: int) -> np.ndarray:
    records = dataset[:n]
    if "valid" in dataset.dtype.names and dataset.ndim > 1:
        records = records[records["valid"].astype(bool)]
    return np.asarray(records[name])


def _trees(file: Any) -> Iterator[Table]:
    for key, kind in file.classnames(cycle=False).items():
        if kind == "TTree" or kind.endswith("RNTuple"):
            tree = file[key]
            if not tree.num_entries:
                continue
            variables = _grouped(_branches(tree) if kind == "TTree" else _fields(tree))
            keys = {variable.name: place for place, variable in variables.items()}
            read = partial(_read_tree, tree, keys)
            by_name = {variable.name: variable for variable in variables.values()}
            yield Table(key, "TTree" if kind == "TTree" else "RNTuple", (tree.num_entries,), by_name, read)


def _branches(tree: Any) -> dict[str, Variable]:
    """Return the branches that hold numbers, or links, by their key."""
    found, n = {}, tree.num_entries
    counters = {branch.count_branch.name for branch in tree.itervalues() if branch.count_branch is not None}
    for key, branch in tree.items():
        # A split branch is its parts.
        if branch.branches or (branch.name in counters and branch.count_branch is None):
            continue
        found[key] = _variable(key.rpartition("/")[2], branch.typename, branch.uncompressed_bytes / n)
    return found


def _fields(ntuple: Any) -> dict[str, Variable]:
    """Return the fields without fields below them."""
    # The time of ntuple.keys() is quadratic in the fields.
    fields = {field.path: field for field in ntuple.all_fields if field.path}
    parents = {key.rpartition(".")[0] for key in fields}
    found = {}
    for key in fields:
        if key in parents:
            continue
        above = [".".join(key.split(".")[:n]) for n in range(1, key.count(".") + 1)]
        # NanoAOD has nameless collections.
        depth = sum(_variable("", fields[p].typename, 0).depth or p.startswith("_collection") for p in above)
        name = key.rpartition(".")[2] if key.startswith("_collection") else key
        variable = _variable(name, fields[key].typename.replace("std::", ""), 100)
        found[key] = replace(variable, depth=variable.depth + depth)
    return found


def _variable(name: str, type_name: str, entry_bytes: float) -> Variable:
    plain = type_name.replace("std::", "").replace("ROOT::VecOps::R", "").replace("Vec<", "vector<")
    while found := re.fullmatch(r"(.*)vector<(.*)>(.*)", plain):
        plain = f"{found[1]}{found[2].strip()}[]{found[3]}"
    return Variable(name, plain, plain.count("[]"), "", entry_bytes)


def _grouped(variables: Mapping[str, Variable]) -> dict[str, Variable]:
    """Find the collections, which names tell: ``Jet_pt``, ``Jet.pt``, ``AnalysisJetsAuxDyn:pt``."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for key, variable in variables.items():
        groups.setdefault((_prefix(variable.name), variable.depth > 0), []).append(key)
    found: dict[str, Variable] = {}
    for (prefix, is_list), keys in groups.items():
        names = [variables[key].name for key in keys]
        # fjet_clus_pt beside fjet_pt, which is a number.
        if is_list and (prefix, False) in groups and "." not in names[0]:
            prefix = _common(names) or prefix
        collection = prefix if len(keys) > 1 else ""
        found |= {key: replace(variables[key], collection=collection) for key in keys}
    return {key: found[key] for key in variables}


def _prefix(name: str) -> str:
    for separator in (":", ".", "_"):
        if separator in name.strip(separator):
            return name.partition(separator)[0]
    return ""


def _common(names: Sequence[str]) -> str:
    """Return the words that all names begin with."""
    words = zip(*(name.split("_")[:-1] for name in names), strict=False)
    return "_".join(first for first, *others in takewhile(lambda each: len(set(each)) == 1, words))


def _read_tree(tree: Any, keys: Mapping[str, str], name: str, n: int) -> Any:
    import awkward as ak

    try:
        array = tree[keys[name]].array(entry_stop=n, library="ak")
        return None if ak.fields(array) else ak.to_numpy(ak.drop_none(ak.flatten(array, axis=None)))
    except Exception as error:
        raise JetmillError(f"'{name}' cannot be read ({type(error).__name__})") from None


def find(tables: Sequence[Table], name: str) -> Table | None:
    """Return the table of a name, None if there is none."""
    return next((table for table in tables if table.name == name), None)
