"""ROOT files: event trees are flattened to jets, jet trees are taken as they are."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import awkward as ak
import numpy as np
import uproot

from jetmill.errors import JetmillError, first_line, nearest
from jetmill.ragged import jet_of, position_in_jet, starts_of
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input, Matched
from jetmill.sources.chunk import ConstituentColumns
from jetmill.sources.damage import UnreadableError, damage_named
from jetmill.sources.remote import is_remote, options
from jetmill.sources.trees.branches import UNKNOWN, Held, held_by
from jetmill.sources.trees.constituents import ElementLinks, IndexLists, Link, Nested
from jetmill.sources.trees.constituents import read as read_constituents
from jetmill.sources.trees.damage import classes_of_sound_files
from jetmill.variables.missing import stored_type

# Uncompressed bytes read at a time, about the size of the arrays of a chunk in memory. Most of the system time of a
# job is spent on touching memory for the first time; twice as many bytes take a third longer.
CHUNK_BYTES = 16_000_000
# Not even zeros are compressed by this factor.
MOST_COMPRESSED = 2**16


@dataclass(frozen=True)
class _Place:
    """The place of a variable of jets in the tree.

    Attributes
    ----------
    branch
        The branch.
    dtype
        Type of the variable.
    index
        Branch of jets with the index of their element in `branch`, for objects that jets are matched to.
    out_of_range
        Whether an index beyond the last element means that there is none.
    """

    branch: str
    dtype: np.dtype
    index: str | None = None
    out_of_range: bool = False


class RootChunk:
    """Jets of some entries of a tree."""

    def __init__(
        self, tree: "RootTree", arrays: ak.Array, columns: dict[str, np.ndarray], per_entry: np.ndarray, first: int
    ):
        self.columns = columns
        self.entry = first + jet_of(per_entry)
        self.position = position_in_jet(per_entry)
        self._tree, self._arrays, self._per_entry = tree, arrays, per_entry

    def constituents(self, collection: str, names: Sequence[str], jets: np.ndarray) -> ConstituentColumns:
        """Return the constituents of the jets where the mask `jets` is true."""
        return ConstituentColumns(*self._tree.constituents(collection, names, self._arrays, self._per_entry, jets))


class RootTree:
    """One tree of an open ROOT file, seen as jets.

    In a tree of events the variable ``pt`` is the branch ``Jet_pt`` (or ``Jet.pt``, for ``jets="Jet"``) with
    one number per jet, or else the branch ``pt`` with one number per event, given to each of its jets. With
    ``matched`` the variable ``gen_pt`` is the element of the branch ``GenJet_pt`` that the jet's index points to.
    """

    def __init__(
        self,
        path: str,
        identity: dict[str, int | str],
        tree: uproot.TTree,
        settings: Input,
        constituents: Mapping[str, Constituents],
    ):
        self.identity = identity
        self._path, self._tree, self._settings, self._collections = path, tree, settings, constituents
        self._known = set(tree.keys())
        self._on_event = settings.level == "event"
        self._links: dict[tuple[str, ...], tuple[dict[str, str], Link]] = {}
        self._known_types: dict[str, Held] = {}

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable; raises JetmillError for a branch that is not there."""
        with self._damage_named():
            return {name: self._locate(name).dtype for name in names}

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of constituents; raises JetmillError for a branch that is not there."""
        with self._damage_named():
            branches, _ = self._link(collection, names)
            return {name: self._numbers(branch, "one number per constituent")[1] for name, branch in branches.items()}

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[RootChunk]:
        """Yield all jets in file order, about `CHUNK_BYTES` at a time."""
        with self._damage_named():
            entries = self._tree.num_entries
            places = {name: self._locate(name) for name in names}
            per_jet = [p.branch if p.index is None else p.index for p in places.values()]
            jagged = [b for b in dict.fromkeys(per_jet) if self._held(b).depth]
            if self._on_event and not jagged:
                raise JetmillError(f"{self._path}: none of {', '.join(names)} is a branch with one number per jet")
            more = [b for name, variables in constituents.items() for b in self._link(name, variables)[1].branches]
            read = list(dict.fromkeys([*per_jet, *(p.branch for p in places.values()), *more, *self._counter(jagged)]))
            step = max(1, int(CHUNK_BYTES * entries / max(1, self._bytes(read))))
        first = 0
        why = "the connection was cut, or it is damaged" if is_remote(self._path) else "it is damaged"
        with damage_named(self._path, f"cannot be read to the end; {why}"):
            for arrays in self._tree.iterate(read, step_size=step, library="ak"):
                yield self._flatten(arrays, places, jagged, first)
                first += len(arrays)
        if first != entries:
            raise UnreadableError(f"{self._path}: {first} of {entries} entries could be read; it is damaged")

    def _bytes(self, branches: Sequence[str]) -> int:
        """Return the bytes of some branches in memory, or raise if the numbers in the tree are impossible."""
        size, entries = 0, self._tree.num_entries
        for name in branches:
            branch = self._tree[name]
            if branch.num_entries != entries:
                raise ValueError(f"'{name}' has {branch.num_entries} entries, the tree {entries}")
            size += max(branch.uncompressed_bytes, branch.compressed_bytes)
        if size > MOST_COMPRESSED * int(self.identity["size"]):
            raise ValueError(f"{size} bytes are announced, in a file of {self.identity['size']}")
        return size

    def constituents(
        self, collection: str, names: Sequence[str], arrays: ak.Array, per_entry: np.ndarray, jets: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return counts and variables of the constituents of some jets of a chunk."""
        branches, link = self._link(collection, names)
        return read_constituents(link, arrays, branches, per_entry, jets, self._path)

    def _counter(self, jagged: list[str]) -> list[str]:
        """Return the branch that counts the jets of an event, if the tree has one."""
        counted = self._tree[jagged[0]].count_branch if jagged and self._on_event else None
        return [counted.name] if counted is not None and counted.name in self._known else []

    def _flatten(self, arrays: ak.Array, places: dict[str, _Place], jagged: list[str], first: int) -> RootChunk:
        if not self._on_event:
            columns = {name: ak.to_numpy(arrays[p.branch]) for name, p in places.items()}
            return RootChunk(self, arrays, columns, np.ones(len(arrays), dtype=np.int64), first)
        count = ak.to_numpy(ak.num(arrays[jagged[0]])).astype(np.int64)
        for counter in self._counter(jagged):
            if not np.array_equal(ak.to_numpy(arrays[counter]), count):
                raise UnreadableError(f"{self._path}: '{jagged[0]}' does not hold the jets that '{counter}' counts")
        per_jet = {}
        for branch in jagged:
            array = arrays[branch]
            if not np.array_equal(ak.to_numpy(ak.num(array)), count):
                raise JetmillError(
                    f"{self._path}: branches '{branch}' and '{jagged[0]}' have different numbers of jets per event"
                )
            per_jet[branch] = ak.to_numpy(ak.flatten(array))
        columns = {}
        for name, place in places.items():
            if place.index is not None:
                columns[name] = self._matched_values(place, arrays[place.branch], per_jet[place.index], count)
            elif place.branch in per_jet:
                columns[name] = per_jet[place.branch]
            else:
                columns[name] = np.repeat(ak.to_numpy(arrays[place.branch]), count)
        return RootChunk(self, arrays, columns, count, first)

    def _matched_values(self, place: _Place, array: ak.Array, index: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Return the element of its event that the index of each jet points to, NaN if to none: (n_jets,)."""
        sizes, event = ak.to_numpy(ak.num(array)).astype(np.int64), jet_of(count)
        index = index.astype(np.int64)
        beyond = index >= sizes[event]
        if beyond.any() and not place.out_of_range:
            wrong = int(np.flatnonzero(beyond)[0])
            raise JetmillError(
                f"{self._path}: '{place.index}' holds {index[wrong]}, but there are {sizes[event[wrong]]} of"
                f" '{place.branch}' in that event; if it means none, set input.matched.<name>.out_of_range: missing"
            )
        found, values = (index >= 0) & ~beyond, ak.to_numpy(ak.flatten(array))
        matched = np.full(len(index), np.nan, dtype=place.dtype)
        matched[found] = values[(starts_of(sizes)[event] + index)[found]]
        return matched

    def _locate(self, name: str) -> _Place:
        """Return where a variable of jets is."""
        for prefix in sorted(self._settings.matched, key=len, reverse=True):
            if name.startswith(f"{prefix}_"):
                return self._locate_matched(self._settings.matched[prefix], name.removeprefix(f"{prefix}_"))
        wanted = self._names(self._settings.jets, name)
        if self._on_event:
            wanted += self._names(self._settings.event, name)
        for branch in [*wanted, name]:
            if branch not in self._known:
                continue
            what = "one number per jet or event" if self._on_event else "one number per entry"
            held, dtype = self._numbers(branch, what)
            if held.fixed or held.depth > self._on_event:
                raise self._not(branch, what)
            return _Place(branch, dtype)
        raise self._no_branch([*wanted, name])

    def _locate_matched(self, matched: Matched, name: str) -> _Place:
        """Return where a variable of objects that jets are matched to is."""
        index = self._branch(self._settings.jets, matched.index)
        self._check_index(index, "one integer per jet")
        branch = self._branch(matched.branches, name)
        held, dtype = self._numbers(branch, "one number per element")
        if held.depth != 1:
            raise self._not(branch, "one number per element")
        return _Place(branch, stored_type(dtype), index, matched.out_of_range == "missing")

    def _link(self, collection: str, names: Sequence[str]) -> tuple[dict[str, str], Link]:
        """Return the branch of each variable of a collection, and the link between jets and constituents."""
        key = (collection, *names)
        if key not in self._links:
            branches = self._constituent_branches(collection, names)
            self._links[key] = branches, self._find_link(collection, names, branches)
        return self._links[key]

    def _find_link(self, collection: str, names: Sequence[str], branches: dict[str, str]) -> Link:
        origin = self._collections[collection].tree
        if not names:
            raise JetmillError(
                f"{self._path}: constituents.{collection} reads no variable of the tree, which says how many there are"
            )
        if origin.links is not None:
            own = [b for b in branches.values() if b in self._table(origin.links)]
            linked = [b for b in branches.values() if b not in own]
            index = None if origin.index is None else self._index(origin.links, origin.index)
            target = origin.branches or collection
            if index is not None and not self._table(target):
                raise self._no_branch(self._names(target, names[0]))
            if linked and index is None:
                raise JetmillError(
                    f"{self._path}: '{linked[0]}' is not in the table '{origin.links}';"
                    f" constituents.{collection}.tree.index must say which branch of it points there"
                )
            return IndexLists(self._index(origin.links, origin.jet_index), index, own, linked)
        if origin.element_links is not None:
            links = self._branch(self._settings.jets, origin.element_links)
            held = self._held(links)
            if held.depth != 2 or not {"m_persKey", "m_persIndex"} <= held.fields:
                raise self._not(links, "a list of ElementLinks for each jet")
            return ElementLinks(links, list(dict.fromkeys(branches.values())))
        return Nested(branches)

    def _constituent_branches(self, collection: str, names: Sequence[str]) -> dict[str, str]:
        """Return the branch of each variable of a collection: of its own table, or of that of the links."""
        origin = self._collections[collection].tree
        found = {}
        for name in names:
            wanted = self._names(origin.branches or collection, name)
            wanted += self._names(origin.links, name) if origin.links else []
            if not (there := [branch for branch in wanted if branch in self._known]):
                raise self._no_branch(wanted)
            nested = origin.links is None and origin.element_links is None
            what = f"one number per {'constituent' if nested else 'element'}"
            if self._numbers(there[0], what)[0].depth != (2 if nested and self._on_event else 1):
                raise self._not(there[0], what)
            found[name] = there[0]
        return found

    def _held(self, branch: str) -> Held:
        """Return what a branch holds, or raise if uproot cannot read it."""
        if branch not in self._known_types:
            found = self._tree[branch]
            try:
                self._known_types[branch] = held_by(found)
            except UNKNOWN as error:
                what = f"branch '{branch}' ({found.typename}) cannot be read ({first_line(error)})"
                raise JetmillError(f"{self._path}: {what}") from error
        return self._known_types[branch]

    def _numbers(self, branch: str, expected: str) -> tuple[Held, np.dtype]:
        """Return what a branch holds and the type of its numbers, or raise if they are none."""
        held = self._held(branch)
        if held.dtype is None:
            raise self._not(branch, expected)
        return held, held.dtype

    def _damage_named(self) -> AbstractContextManager[None]:
        return damage_named(self._path, f"tree '{self._tree.name}' cannot be read; it is damaged")

    def _not(self, branch: str, what: str) -> JetmillError:
        return JetmillError(f"{self._path}: branch '{branch}' ({self._tree[branch].typename}) is not {what}")

    def _index(self, table: str, name: str) -> str:
        """Return a branch of a table that holds an index for each row, or raise."""
        branch = self._branch(table, name)
        self._check_index(branch, "one integer per link")
        return branch

    def _check_index(self, branch: str, expected: str) -> None:
        held, dtype = self._numbers(branch, expected)
        if held.depth != 1 or dtype.kind not in "iu":
            raise self._not(branch, expected)

    def _branch(self, table: str, name: str) -> str:
        """Return a branch of a table, or raise."""
        wanted = self._names(table, name) or [name]
        if not (there := [branch for branch in wanted if branch in self._known]):
            raise self._no_branch(wanted)
        return there[0]

    def _names(self, table: str, name: str) -> list[str]:
        """Return what a branch of a table can be called: ``Jet_pt`` in NanoAOD, ``Jet.pt`` in PHYSLITE."""
        return [f"{table}_{name}", f"{table}.{name}"] if table else []

    def _table(self, table: str) -> set[str]:
        return {branch for branch in self._known if branch.startswith((f"{table}_", f"{table}."))}

    def _no_branch(self, wanted: list[str]) -> JetmillError:
        usual = [w for w in wanted if "." not in w or len(wanted) == 1] or wanted
        names = " or ".join(f"'{name}'" for name in dict.fromkeys(usual))
        hint = nearest(set(wanted), self._known)
        return JetmillError(f"{self._path}: tree '{self._tree.name}' has no branch {names}.{hint}")


@contextmanager
def open_tree(path: str, settings: Input, constituents: Mapping[str, Constituents]) -> Iterator[RootTree]:
    """Open a tree of a ROOT file.

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
        If the file is not there, not a ROOT file or damaged, or its server does not give it.
    JetmillError
        If it has no such tree, or the package that its URL needs is not installed.
    """
    tree, remote = settings.tree, is_remote(path)
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
            kinds = file.classnames(cycle=False)
        _check_tree(path, tree, kinds)
        with damage_named(path, f"tree '{tree}' cannot be read"):
            found = RootTree(path, identity, file[tree], settings, constituents)
        yield found


def _check_tree(path: str, tree: str, kinds: Mapping[str, str]) -> None:
    """Raise if a file, of which `kinds` has the class of each object, has no such tree."""
    if kinds.get(tree) == "TTree":
        return
    ntuples = {key for key, kind in kinds.items() if kind.startswith("ROOT::") and kind.endswith("RNTuple")}
    if tree in ntuples:
        advice = "write it as a TTree first, with RDataFrame's Snapshot for instance"
        raise JetmillError(f"{path}: '{tree}' is an RNTuple; only TTrees can be read yet: {advice}")
    trees = {key for key, kind in kinds.items() if kind == "TTree"}
    held = [*sorted(trees), *(f"{name} (an RNTuple)" for name in sorted(ntuples))]
    message = f"no tree '{tree}'; it holds {', '.join(held) or 'no tree at all'}.{nearest(tree, trees | ntuples)}"
    # Damaged names may hold anything.
    raise JetmillError(f"{path}: {message}".replace("\n", "\\n"))
