"""ROOT trees: event trees are flattened to jets, jet trees are taken as they are."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np
import uproot

from jetmill.errors import JetmillError, nearest
from jetmill.ragged import jet_of, position_in_jet, starts_of
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources.chunk import ConstituentColumns
from jetmill.sources.damage import UnreadableError, damage_named
from jetmill.sources.remote import is_remote, options
from jetmill.sources.trees.columns import Column
from jetmill.sources.trees.constituents import read as read_constituents
from jetmill.sources.trees.damage import classes_of_sound_files
from jetmill.sources.trees.layout import Layout, Place
from jetmill.sources.trees.lists import Lists
from jetmill.sources.trees.rntuple import RNTuple
from jetmill.sources.trees.tree import Arrays, Tree
from jetmill.sources.trees.ttree import TTree


class TreeChunk:
    """Jets of some entries of a tree."""

    def __init__(
        self, jets: "TreeOfJets", arrays: Arrays, columns: dict[str, np.ndarray], per_entry: np.ndarray, first: int
    ):
        self.columns = columns
        self.entry = first + jet_of(per_entry)
        self.position = position_in_jet(per_entry)
        self._jets, self._arrays, self._per_entry = jets, arrays, per_entry

    def constituents(self, collection: str, names: Sequence[str], jets: np.ndarray) -> ConstituentColumns:
        """Return the constituents of the jets where the mask `jets` is true."""
        return ConstituentColumns(*self._jets.constituents(collection, names, self._arrays, self._per_entry, jets))


class TreeOfJets:
    """One tree of an open ROOT file, seen as jets."""

    def __init__(self, tree: Tree, identity: dict[str, int | str], layout: Layout, chunk_bytes: int):
        self.identity = identity
        self._tree, self._layout, self._chunk_bytes = tree, layout, chunk_bytes

    def variables(self) -> list[str]:
        """Return the names of all variables of the jets themselves that are numbers, sorted."""
        with self._damage_named():
            return self._layout.variables()

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable; raises JetmillError for a branch that is not there."""
        with self._damage_named():
            return {name: self._layout.place(name).dtype for name in names}

    def constituent_variables(self, collection: str) -> list[str]:
        """Return the names of all variables of a collection that are numbers, sorted."""
        with self._damage_named():
            return self._layout.constituent_variables(collection)

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of constituents; raises JetmillError for a branch that is not there."""
        with self._damage_named():
            return self._layout.constituent_dtypes(collection, names)

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[TreeChunk]:
        """Yield all jets in file order, about `input.chunk_bytes` at a time."""
        path = self._tree.path
        with self._damage_named():
            entries = self._tree.num_entries
            places = {name: self._layout.place(name) for name in names}
            per_jet = [p.column if p.index is None else p.index for p in places.values()]
            jagged = [column for column in dict.fromkeys(per_jet) if self._tree.held(column).depth]
            if self._layout.on_event and not jagged:
                raise JetmillError(f"{path}: none of {', '.join(names)} is a branch with one number per jet")
            counter = self._tree.counter(jagged[0]) if self._layout.on_event else None
            more = [
                c for name, variables in constituents.items() for c in self._layout.link(name, variables)[1].columns
            ]
            used = [*per_jet, *(p.column for p in places.values()), *more, *([] if counter is None else [counter])]
            chunks = self._tree.read(list(dict.fromkeys(used)), int(self.identity["size"]), self._chunk_bytes)
        first = 0
        why = "the connection was cut, or it is damaged" if is_remote(path) else "it is damaged"
        with damage_named(path, f"cannot be read to the end; {why}"):
            for n, arrays in chunks:
                yield self._flatten(n, arrays, places, jagged, counter, first)
                first += n
        if first != entries:
            raise UnreadableError(f"{path}: {first} of {entries} entries could be read; it is damaged")

    def constituents(
        self, collection: str, names: Sequence[str], arrays: Arrays, per_entry: np.ndarray, jets: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return counts and variables of the constituents of some jets of a chunk."""
        columns, link = self._layout.link(collection, names)
        return read_constituents(link, arrays, columns, per_entry, jets, self._tree.path)

    def _flatten(
        self,
        n: int,
        arrays: Arrays,
        places: dict[str, Place],
        jagged: list[Column],
        counter: Column | None,
        first: int,
    ) -> TreeChunk:
        if not self._layout.on_event:
            columns = {name: arrays[p.column].values for name, p in places.items()}
            return TreeChunk(self, arrays, columns, np.ones(n, dtype=np.int64), first)
        path = self._tree.path
        (count,) = arrays[jagged[0]].counts
        if counter is not None and not np.array_equal(arrays[counter].values, count):
            raise UnreadableError(f"{path}: '{jagged[0]}' does not hold the jets that '{counter}' counts")
        per_jet = {}
        for column in jagged:
            if not np.array_equal(arrays[column].counts[0], count):
                raise JetmillError(
                    f"{path}: branches '{column}' and '{jagged[0]}' have different numbers of jets per event"
                )
            per_jet[column] = arrays[column].values
        columns = {}
        for name, place in places.items():
            if place.index is not None:
                columns[name] = self._matched_values(place, arrays[place.column], per_jet[place.index], count)
            elif place.column in per_jet:
                columns[name] = per_jet[place.column]
            else:
                columns[name] = np.repeat(arrays[place.column].values, count)
        return TreeChunk(self, arrays, columns, count, first)

    def _matched_values(self, place: Place, elements: Lists, index: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Return the element of its event that the index of each jet points to, NaN if to none: (n_jets,)."""
        (sizes,), event = elements.counts, jet_of(count)
        index = index.astype(np.int64)
        beyond = index >= sizes[event]
        if beyond.any() and not place.out_of_range:
            wrong = int(np.flatnonzero(beyond)[0])
            raise JetmillError(
                f"{self._tree.path}: '{place.index}' holds {index[wrong]}, but there are {sizes[event[wrong]]} of"
                f" '{place.column}' in that event; if it means none, set input.matched.<name>.out_of_range: missing"
            )
        found = (index >= 0) & ~beyond
        matched = np.full(len(index), np.nan, dtype=place.dtype)
        matched[found] = elements.values[(starts_of(sizes)[event] + index)[found]]
        return matched

    def _damage_named(self) -> AbstractContextManager[None]:
        return damage_named(self._tree.path, f"tree '{self._tree.name}' cannot be read; it is damaged")


@contextmanager
def open_tree(path: str, settings: Input, constituents: Mapping[str, Constituents]) -> Iterator[TreeOfJets]:
    """Open a TTree or an RNTuple of a ROOT file.

    Parameters
    ----------
    path
        The file, or its URL, which is read piece by piece.
    settings
        Name of the tree, what an entry is, prefixes of branches, seconds to wait for a server.
    constituents
        Collections, with where they are in the tree.

    Raises
    ------
    UnreadableError
        If the file is missing, not a ROOT file or damaged, or its server does not deliver it.
    JetmillError
        If it has no such tree, or the package that its URL needs is not installed.
    """
    name, remote = settings.tree, is_remote(path)
    how = options(path, settings.timeout) if remote else {}
    with ExitStack() as stack:
        stack.enter_context(classes_of_sound_files())
        what = "cannot be opened, or is not a readable ROOT file" if remote else "not a readable ROOT file"
        with damage_named(path, what):
            try:
                file = stack.enter_context(uproot.open(path, **how))
            except FileNotFoundError:
                raise UnreadableError(f"{path}: no such file") from None
            end, size = file.file.fEND, file.file.source.num_bytes
            if not 0 < end <= size:
                raise UnreadableError(f"{path}: cut short or not a readable ROOT file; {size} of {end} bytes are there")
            # ROOT gives every file a UUID when it is written.
            identity = {"size": size, "uuid": str(file.file.uuid)}
            kinds = {key: _kind(name) for key, name in file.classnames(cycle=False).items()}
        kind = _kind_of_tree(path, name, kinds)
        with damage_named(path, f"tree '{name}' cannot be read"):
            tree: Tree = TTree(path, file[name]) if kind == "TTree" else RNTuple(path, name, file[name])
        yield TreeOfJets(tree, identity, Layout(tree, settings, constituents), settings.chunk_bytes)


def _kind(class_name: str) -> str:
    """Return ``TTree``, ``RNTuple`` or "" for the name of a class in a file."""
    is_ntuple = class_name.startswith("ROOT::") and class_name.endswith("RNTuple")
    return "RNTuple" if is_ntuple else class_name if class_name == "TTree" else ""


def _kind_of_tree(path: str, name: str, kinds: Mapping[str, str]) -> str:
    """Return what kind of tree it is, or raise if a file, of which `kinds` has all objects, has no such tree."""
    trees = {key: kind for key, kind in kinds.items() if kind}
    if name in trees:
        return trees[name]
    held = [key if kind == "TTree" else f"{key} (an RNTuple)" for key, kind in sorted(trees.items())]
    message = f"no tree '{name}'; it holds {', '.join(held) or 'no tree at all'}.{nearest(name, trees)}"
    # Damaged names may hold anything.
    raise JetmillError(f"{path}: {message}".replace("\n", "\\n"))
