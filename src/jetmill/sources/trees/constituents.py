"""Constituents of jets in a tree: in branches nested by jet, by lists of indices, or by ATLAS ElementLinks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jetmill.errors import JetmillError
from jetmill.ragged import jet_of, starts_of
from jetmill.sources.trees.columns import Column
from jetmill.sources.trees.lists import Lists
from jetmill.sources.trees.tree import Arrays


@dataclass(frozen=True)
class Association:
    """The constituents of the jets of a chunk.

    Attributes
    ----------
    counts
        Constituents of each jet, int64 (n_jets,).
    places : dict of ndarray of int64, shape (n_constituents,)
        Place of each constituent among all values of a branch; a branch without places has the constituents in order.
    """

    counts: np.ndarray
    places: dict[Column, np.ndarray]


class Nested:
    """Branches with a list for each jet.

    Parameters
    ----------
    columns
        Variable to column.
    """

    def __init__(self, columns: Mapping[str, Column]):
        self.columns = list(dict.fromkeys(columns.values()))

    def associate(self, arrays: Arrays, jets_per_entry: np.ndarray, path: str) -> Association:
        """Return the constituents of the jets of a chunk.

        Raises
        ------
        JetmillError
            If branches differ in the numbers of jets or constituents.
        """
        counts = None
        for column in self.columns:
            *of_events, found = arrays[column].counts
            if of_events and not np.array_equal(of_events[0], jets_per_entry):
                raise JetmillError(f"{path}: branch '{column}' does not have a list for each jet of each event")
            if counts is not None and not np.array_equal(found, counts):
                raise JetmillError(
                    f"{path}: branches '{column}' and '{self.columns[0]}' have different numbers of constituents"
                )
            counts = found
        assert counts is not None
        return Association(counts, {})


class IndexLists:
    """A table with the index of the jet, and of the constituent in another table.

    Parameters
    ----------
    jet_index, index
        Branches of the table of links; `index` may be None if the table itself has all variables.
    own, linked
        Branches of variables of the table of links, and of the one that they point to.
    """

    def __init__(self, jet_index: Column, index: Column | None, own: Sequence[Column], linked: Sequence[Column]):
        self._jet_index, self._index, self._own, self._linked = jet_index, index, list(own), list(linked)
        self.columns = [jet_index, *([index] if index else []), *own, *linked]

    def associate(self, arrays: Arrays, jets_per_entry: np.ndarray, path: str) -> Association:
        """Return the constituents of the jets of a chunk; an index of -1 is no link.

        Raises
        ------
        JetmillError
            If an index is out of range, or branches of the table of links have different lengths.
        """
        (links,) = arrays[self._jet_index].counts
        for column in [*self._own, *([self._index] if self._index else [])]:
            if not np.array_equal(arrays[column].counts[0], links):
                raise JetmillError(f"{path}: branches '{column}' and '{self._jet_index}' have different lengths")
        jet = _global(arrays[self._jet_index], links, jets_per_entry, self._jet_index, "jets", path)
        used, target = jet >= 0, None
        if self._index:
            used &= arrays[self._index].values != -1
        if self._index and self._linked:
            sizes = _sizes(arrays, self._linked, path)
            target = _global(arrays[self._index], links, sizes, self._index, f"'{self._linked[0]}'", path)
        chosen = np.flatnonzero(used)
        chosen = chosen[np.argsort(jet[chosen], kind="stable")]
        places = dict.fromkeys(self._own, chosen)
        if target is not None:
            places |= dict.fromkeys(self._linked, target[chosen])
        return Association(np.bincount(jet[chosen], minlength=int(jets_per_entry.sum())), places)


class ElementLinks:
    """A branch of jets with a list of links for each; key 0 is no link.

    Parameters
    ----------
    links
        Branch of links.
    linked
        Branches of variables of the table that they point to.
    """

    def __init__(self, links: Column, linked: Sequence[Column]):
        self._links, self._linked = links, list(linked)
        self._key, self._index = links.member("m_persKey"), links.member("m_persIndex")
        self.columns = [self._key, self._index, *linked]

    def associate(self, arrays: Arrays, jets_per_entry: np.ndarray, path: str) -> Association:
        """Return the constituents of the jets of a chunk.

        Raises
        ------
        JetmillError
            If a link is out of range.
        """
        key, index = arrays[self._key].values, arrays[self._index].values
        of_events, per_jet = arrays[self._key].counts
        if not np.array_equal(of_events, jets_per_entry):
            raise JetmillError(f"{path}: branch '{self._links}' does not have a list for each jet of each event")
        jet = jet_of(per_jet)
        event = jet_of(jets_per_entry)[jet]
        sizes = _sizes(arrays, self._linked, path)
        used = key != 0
        if len(keys := np.unique(key[used])) > 1:
            raise JetmillError(
                f"{path}: the links of '{self._links}' point into {len(keys)} containers (m_persKey"
                f" {', '.join(map(str, keys))}), not into one"
            )
        if (wrong := used & (index >= sizes[event])).any():
            first = int(np.flatnonzero(wrong)[0])
            raise JetmillError(
                f"{path}: a link of '{self._links}' points to {index[first]}, but '{self._linked[0]}' has"
                f" {sizes[event[first]]} in that event"
            )
        places = (starts_of(sizes)[event] + index)[used]
        return Association(np.bincount(jet[used], minlength=len(per_jet)), dict.fromkeys(self._linked, places))


Link = Nested | IndexLists | ElementLinks


def read(
    link: Link, arrays: Arrays, variables: Mapping[str, Column], jets_per_entry: np.ndarray, jets: np.ndarray, path: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return counts and variables of the constituents of the jets where the mask `jets` (n_jets,) is true."""
    found = link.associate(arrays, jets_per_entry, path)
    kept = slice(None) if jets.all() else np.flatnonzero(np.repeat(jets, found.counts))
    columns = {}
    for name, column in variables.items():
        columns[name] = arrays[column].values[found.places[column][kept] if column in found.places else kept]
    return found.counts[jets], columns


def _sizes(arrays: Arrays, columns: Sequence[Column], path: str) -> np.ndarray:
    """Return the length of a table in each event; all its branches must have it."""
    (sizes,) = arrays[columns[0]].counts
    for column in columns[1:]:
        if not np.array_equal(arrays[column].counts[0], sizes):
            raise JetmillError(f"{path}: branches '{column}' and '{columns[0]}' have different lengths")
    return sizes


def _global(index: Lists, links: np.ndarray, sizes: np.ndarray, column: Column, of: str, path: str) -> np.ndarray:
    """Turn indices in each event into places in all values of the chunk; -1 stays."""
    flat = index.values.astype(np.int64)
    event = jet_of(links)
    if (wrong := (flat < -1) | (flat >= sizes[event])).any():
        first = int(np.flatnonzero(wrong)[0])
        raise JetmillError(
            f"{path}: '{column}' holds {flat[first]}, but there are {sizes[event[first]]} {of} in that event"
        )
    return np.where(flat < 0, -1, starts_of(sizes)[event] + flat)
