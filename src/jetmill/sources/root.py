"""ROOT files: event trees are flattened to jets, jet trees are taken as they are."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import awkward as ak
import numpy as np
import uproot

from jetmill.errors import JetmillError, nearest
from jetmill.sources.chunk import Constituents

# Uncompressed bytes read at a time. The arrays of a chunk are about this large in memory.
CHUNK_BYTES = 32_000_000


@dataclass
class RootChunk:
    """Jets of some entries of a tree."""

    columns: dict[str, np.ndarray]
    entry: np.ndarray
    position: np.ndarray

    def constituents(self, collection: str, names: Sequence[str], jets: np.ndarray) -> Constituents:
        """Trees are read without constituents; the configuration refuses to ask for them."""
        raise NotImplementedError


class RootTree:
    """One tree of an open ROOT file, seen as jets.

    In a tree of events the variable ``pt`` is the branch ``Jet_pt`` (for ``jets="Jet"``) with one
    number per jet, or else the branch ``pt`` with one number per event, given to each of its jets.
    """

    def __init__(self, path: str, identity: dict[str, int | str], tree: uproot.TTree, level: str, jets: str):
        self.identity = identity
        self._path, self._tree, self._level, self._jets = path, tree, level, jets
        self._known = set(tree.keys())

    def dtypes(self, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable; raises JetmillError for a branch that is not there."""
        return {name: self._locate(name)[1] for name in names}

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Trees are read without constituents; the configuration refuses to ask for them."""
        raise NotImplementedError

    def chunks(self, names: Sequence[str], constituents: Mapping[str, Sequence[str]]) -> Iterator[RootChunk]:
        """Yield all jets in file order, about `CHUNK_BYTES` at a time."""
        if constituents:
            raise NotImplementedError
        entries = self._tree.num_entries
        branches = {name: self._locate(name)[0] for name in names}
        jagged = [b for b in branches.values() if self._is_jagged(b)]
        if self._level == "event" and not jagged:
            raise JetmillError(f"{self._path}: none of {', '.join(names)} is a branch with one number per jet")
        size = sum(self._tree[b].uncompressed_bytes for b in branches.values())
        step = max(1, int(CHUNK_BYTES * entries / max(size, 1)))
        counter = self._counter(jagged)
        first = 0
        with _damage_named(f"{self._path}: cannot be read to the end; it is damaged"):
            for arrays in self._tree.iterate([*branches.values(), *counter], step_size=step, library="ak"):
                yield self._flatten(arrays, branches, jagged, counter, first)
                first += len(arrays)
        if first != entries:
            raise JetmillError(f"{self._path}: {first} of {entries} entries could be read; it is damaged")

    def _counter(self, jagged: list[str]) -> list[str]:
        """Return the branch that counts the jets of an event, if the tree has one."""
        counted = self._tree[jagged[0]].count_branch if jagged else None
        return [counted.name] if counted is not None and counted.name in self._known else []

    def _flatten(
        self, arrays: ak.Array, branches: dict[str, str], jagged: list[str], counter: list[str], first: int
    ) -> RootChunk:
        entry = np.arange(first, first + len(arrays))
        if self._level == "jet":
            columns = {name: ak.to_numpy(arrays[b]) for name, b in branches.items()}
            return RootChunk(columns, entry, np.zeros_like(entry))
        count = ak.to_numpy(ak.num(arrays[jagged[0]]))
        if counter and not np.array_equal(ak.to_numpy(arrays[counter[0]]), count):
            raise JetmillError(f"{self._path}: '{jagged[0]}' does not hold the jets that '{counter[0]}' counts")
        columns = {}
        for name, branch in branches.items():
            array = arrays[branch]
            if branch in jagged:
                if not np.array_equal(ak.to_numpy(ak.num(array)), count):
                    raise JetmillError(
                        f"{self._path}: branches '{branch}' and '{jagged[0]}' have different numbers of jets per event"
                    )
                columns[name] = ak.to_numpy(ak.flatten(array))
            else:
                columns[name] = np.repeat(ak.to_numpy(array), count)
        starts = np.repeat(np.cumsum(count) - count, count)
        return RootChunk(columns, np.repeat(entry, count), np.arange(len(starts)) - starts)

    def _locate(self, name: str) -> tuple[str, np.dtype]:
        """Return the branch of a variable and the type of its numbers."""
        wanted = f"{self._jets}_{name}" if self._jets else name
        for branch in (wanted, name):
            if branch not in self._known:
                continue
            interpretation = self._tree[branch].interpretation
            if isinstance(interpretation, uproot.AsJagged) and self._level == "event":
                interpretation = interpretation.content
            if isinstance(interpretation, uproot.AsDtype) and not interpretation.to_dtype.shape:
                return branch, interpretation.to_dtype.newbyteorder("=")
            per = "jet" if self._level == "event" else "entry"
            raise JetmillError(
                f"{self._path}: branch '{branch}' ({self._tree[branch].typename}) is not one number per {per}"
            )
        raise JetmillError(
            f"{self._path}: tree '{self._tree.name}' has no branch '{wanted}'"
            f"{f' or {name!r}' if wanted != name else ''}.{nearest({wanted, name}, self._known)}"
        )

    def _is_jagged(self, branch: str) -> bool:
        return isinstance(self._tree[branch].interpretation, uproot.AsJagged)


@contextmanager
def open_root(path: str, *, tree: str, level: str, jets: str) -> Iterator[RootTree]:
    """Open a tree of a ROOT file.

    Parameters
    ----------
    path
        The file.
    tree
        Name of the tree.
    level
        ``event``: an entry is an event, branches of jets are jagged. ``jet``: an entry is a jet.
    jets
        Prefix of the branches of jets, ``Jet`` for ``Jet_pt``; may be empty.

    Raises
    ------
    JetmillError
        If the file is not there, not a ROOT file, damaged, or has no such tree.
    """
    with ExitStack() as stack:
        with _damage_named(f"{path}: not a readable ROOT file"):
            try:
                file = stack.enter_context(uproot.open(path))
            except FileNotFoundError:
                raise JetmillError(f"{path}: no such file") from None
            end, size = file.file.fEND, file.file.source.num_bytes
            if not 0 < end <= size:
                raise JetmillError(f"{path}: cut short or not a readable ROOT file; {size} of {end} bytes are there")
            # ROOT gives every file a UUID when it is written.
            identity = {"size": size, "uuid": str(file.file.uuid)}
            trees = {key for key, kind in file.classnames(cycle=False).items() if kind == "TTree"}
        if tree not in trees:
            held = ", ".join(sorted(trees)) or "no tree at all"
            raise JetmillError(f"{path}: no tree '{tree}'; it holds {held}.{nearest(tree, trees)}")
        with _damage_named(f"{path}: tree '{tree}' cannot be read"):
            found = RootTree(path, identity, file[tree], level, jets)
        yield found


@contextmanager
def _damage_named(what: str) -> Iterator[None]:
    """Turn whatever a damaged file makes uproot raise, which can be anything, into a message."""
    try:
        yield
    except (JetmillError, MemoryError):
        raise
    except Exception as error:
        raise JetmillError(f"{what} ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
