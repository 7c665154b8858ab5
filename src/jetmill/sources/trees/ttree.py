"""TTrees."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import awkward as ak
import uproot
from uproot.interpretation.identify import UnknownInterpretation
from uproot.interpretation.objects import CannotBeAwkward

from jetmill.sources.trees.columns import Column
from jetmill.sources.trees.lists import AsLists
from jetmill.sources.trees.tree import MOST_COMPRESSED, Arrays, Tree


class TTree(Tree):
    """A TTree."""

    unknown = (UnknownInterpretation, CannotBeAwkward, NotImplementedError)

    def __init__(self, path: str, found: uproot.TTree):
        self._tree, self._known = found, set(found.keys())
        super().__init__(path, found.name, found.num_entries, map(Column, self._known))

    def entry_type(self, column: Column) -> ak.types.Type:
        """Return the type of an entry of the whole branch; nothing is read."""
        branch = self._tree[column.branch]
        return branch.interpretation.awkward_form(branch.file).type

    def typename(self, column: Column) -> str:
        """Return what ROOT calls the type of the branch."""
        return str(self._tree[column.branch].typename)

    def counter(self, column: Column) -> Column | None:
        """Return the branch that holds the lengths of the lists of another one, if there is one."""
        counted = self._tree[column.branch].count_branch
        return None if counted is None or counted.name not in self._known else Column(counted.name)

    def read(self, columns: Sequence[Column], file_bytes: int, chunk_bytes: int) -> Iterator[tuple[int, Arrays]]:
        """Return an iterator over all entries."""
        branches = list(dict.fromkeys(column.branch for column in columns))
        step = max(1, int(chunk_bytes * self.num_entries / max(1, self._bytes(branches, file_bytes))))
        plain = {name: lists for name in branches if (lists := AsLists.like(self._tree[name].interpretation))}
        # Parts of entries are taken by Awkward Array.
        for column in columns:
            if column.members or column.elements:
                plain.pop(column.branch, None)
        others = [name for name in branches if name not in plain]
        return self._chunks(columns, plain, others, step)

    def _chunks(
        self, columns: Sequence[Column], plain: Mapping[str, AsLists], others: Sequence[str], step: int
    ) -> Iterator[tuple[int, Arrays]]:
        reads: list[Iterator[Any]] = []
        if plain:
            reads.append(self._tree.iterate([*plain.items()], step_size=step, library="np", how=dict))
        if others:
            reads.append(self._tree.iterate(others, step_size=step, library="ak", how=dict))
        for start, found in enumerate(zip(*reads, strict=True)):
            entries = reduce(or_, found)
            arrays = {c: entries[c.branch] if c.branch in plain else self.take(c, entries[c.branch]) for c in columns}
            yield min(step, self.num_entries - start * step), arrays

    def _bytes(self, branches: Sequence[str], file_bytes: int) -> int:
        """Return the bytes of some branches in memory, or raise if the numbers in the tree are impossible."""
        size = 0
        for name in branches:
            branch = self._tree[name]
            if branch.num_entries != self.num_entries:
                raise ValueError(f"'{name}' has {branch.num_entries} entries, the tree {self.num_entries}")
            size += max(branch.uncompressed_bytes, branch.compressed_bytes)
        if size > MOST_COMPRESSED * file_bytes:
            raise ValueError(f"{size} bytes are declared, in a file of {file_bytes}")
        return size
