"""What is read of a tree as one column, and how it can be called."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import awkward as ak


@dataclass(frozen=True)
class Column:
    """A branch of a TTree or a field of an RNTuple, or a part of it.

    Attributes
    ----------
    branch
        Name of the branch or of the field.
    members
        Members that are taken of objects: ``("fP", "fX")``.
    elements
        Elements that are taken of the innermost lists; None for the only one.
    """

    branch: str
    members: tuple[str, ...] = ()
    elements: tuple[int | None, ...] = ()

    def __str__(self) -> str:
        """Return how it is written in a configuration."""
        return ".".join([self.branch, *self.members]) + "".join(f"[{e}]" for e in self.elements if e is not None)

    def member(self, name: str) -> "Column":
        """Return a member of it."""
        return replace(self, members=(*self.members, name))

    def element(self, number: int | None) -> "Column":
        """Return an element of it."""
        return replace(self, elements=(*self.elements, number))

    def take(self, entries: ak.Array) -> ak.Array:
        """Return the column, given entries of the branch.

        Raises
        ------
        LookupError
            If a list is too short, or has more than the only element.
        """
        for name in self.members:
            entries = entries[name]
        for element in reversed(self.elements):
            sizes = ak.num(entries, axis=-1)
            wrong = sizes != 1 if element is None else sizes <= element
            if ak.any(wrong, axis=None):
                first = ak.flatten(sizes[wrong], axis=None)[0]
                wanted = "not of 1, as one per event is" if element is None else f"which has no [{element}]"
                raise LookupError(f"holds a list of {first}, {wanted}")
            entries = entries[..., element or 0]
        return entries


def spellings_of(columns: Iterable[Column]) -> dict[str, Column]:
    """Return what columns can be called.

    Of a split branch ``Jet/Jet.Tau[5]`` the branch above and the fixed lengths can be left out: ``Jet.Tau``. A short
    name that two branches have is the name of neither.
    """
    full = {str(column): column for column in columns}
    short: dict[str, set[Column]] = {}
    for name, column in full.items():
        for spelling in (name.partition("[")[0], name.rpartition("/")[2], name.rpartition("/")[2].partition("[")[0]):
            short.setdefault(spelling, set()).add(column)
    return {name: next(iter(of)) for name, of in short.items() if len(of) == 1} | full


def names_in_table(table: str, name: str) -> list[str]:
    """Return what the branch of a variable of a table can be called.

    ``Jet_pt`` in NanoAOD, ``Jet.pt`` where branches are split. In PHYSLITE a container has two tables, ``AuxDyn`` and
    ``Aux``, that stand side by side, and with ``:`` for ``.`` in RNTuples.
    """
    if not table:
        return []
    table = table.rstrip(".:")
    stem = table.removesuffix("Dyn").removesuffix("Aux") if table.endswith(("Aux", "AuxDyn")) else table
    tables = dict.fromkeys([table, f"{stem}AuxDyn", f"{stem}Aux"])
    return [f"{of}{between}{name}" for of in tables for between in ("_", ".", ":", ":.")]
