"""Where variables are in a tree: of jets, of events, of what jets are matched to, and of constituents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jetmill.errors import JetmillError
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input, Matched
from jetmill.settings.types import NAME
from jetmill.sources.trees.columns import Column, names_in_table
from jetmill.sources.trees.constituents import ElementLinks, IndexLists, Link, Nested
from jetmill.sources.trees.tree import Tree
from jetmill.variables.missing import stored_type


@dataclass(frozen=True)
class Place:
    """The place of a variable of jets in the tree.

    Attributes
    ----------
    column
        What holds it.
    dtype
        Type of the variable.
    index
        Column of jets with the index of their element in `column`, for objects that jets are matched to.
    out_of_range
        Whether an index beyond the last element means that there is none.
    """

    column: Column
    dtype: np.dtype
    index: Column | None = None
    out_of_range: bool = False


class Layout:
    """The variables of a tree.

    In a tree of events the variable ``pt`` is the branch ``Jet_pt`` (or ``Jet.pt``, for ``jets="Jet"``) with
    one number per jet, or else the branch ``pt`` with one number per event, given to each of its jets. With
    ``matched`` the variable ``gen_pt`` is the element of the branch ``GenJet_pt`` that the jet's index points to. An
    alias comes before all of these.
    """

    def __init__(self, tree: Tree, settings: Input, constituents: Mapping[str, Constituents]):
        self._tree, self._settings, self._collections = tree, settings, constituents
        self.on_event = settings.level == "event"
        self._links: dict[tuple[str, ...], tuple[dict[str, Column], Link]] = {}

    def place(self, name: str) -> Place:
        """Return where a variable of jets is.

        Raises
        ------
        JetmillError
            If it is not there, or not one number per jet or event.
        """
        if name not in self._settings.aliases:
            for prefix in sorted(self._settings.matched, key=len, reverse=True):
                if name.startswith(f"{prefix}_"):
                    return self._matched(self._settings.matched[prefix], name.removeprefix(f"{prefix}_"))
        column = self._column_of_jets(name)
        what = "one number per jet or event" if self.on_event else "one number per entry"
        held, dtype = self._tree.held(column), self._numbers(column, what)
        if held.fixed or held.depth > self.on_event:
            raise self._tree.wrong(column, f"is not {what}")
        return Place(column, dtype)

    def variables(self) -> list[str]:
        """Return the names of all variables in the table of jets that have a place, sorted."""
        return self._names_in([self._settings.jets], self.place)

    def constituent_variables(self, collection: str) -> list[str]:
        """Return the names of all variables of a collection and of its table of links that have a place, sorted."""
        origin = self._collections[collection].tree
        tables = [origin.branches or collection, *([origin.links] if origin.links else [])]
        return self._names_in(tables, lambda name: self.constituent_dtypes(collection, [name]))

    def _names_in(self, tables: Sequence[str], find: Callable[[str], object]) -> list[str]:
        """Return the names in some tables for which `find` raises no error, sorted."""
        starts = [start for table in tables for start in names_in_table(table, "") or [""]]
        spelled = {s.removeprefix(start) for s in self._tree.spellings for start in starts if s.startswith(start)}

        def is_found(name: str) -> bool:
            try:
                find(name)
            except JetmillError:
                return False
            return True

        return sorted(name for name in spelled if NAME.fullmatch(name) and is_found(name))

    def link(self, collection: str, names: Sequence[str]) -> tuple[dict[str, Column], Link]:
        """Return the column of each variable of a collection, and the link between jets and constituents."""
        key = (collection, *names)
        if key not in self._links:
            columns = self._columns_of_constituents(collection, names)
            self._links[key] = columns, self._find_link(collection, names, columns)
        return self._links[key]

    def constituent_dtypes(self, collection: str, names: Sequence[str]) -> dict[str, np.dtype]:
        """Return the type of each variable of constituents."""
        columns, _ = self.link(collection, names)
        return {name: self._numbers(column, "one number per constituent") for name, column in columns.items()}

    def _column_of_jets(self, name: str) -> Column:
        """Return the column of a variable of jets or of their event."""
        settings = self._settings
        if name in settings.aliases:
            return self._aliased("input", settings.aliases, name)
        if (column := self._in_table(settings.jets, name)) is not None:
            return column
        if self.on_event and (column := self._in_table(settings.event, name)) is not None:
            # As in Delphes, where the event is a list of length 1.
            return column.element(None) if self._tree.held(column).depth == 1 else column
        return self._branch([settings.jets, settings.event if self.on_event else "", ""], name)

    def _matched(self, matched: Matched, name: str) -> Place:
        """Return where a variable of objects that jets are matched to is."""
        index = self._column_of_jets(matched.index)
        self._check_index(index, "one integer per jet")
        column = self._branch([matched.branches], name)
        dtype = self._numbers(column, "one number per element")
        if self._tree.held(column).depth != 1:
            raise self._tree.wrong(column, "is not one number per element")
        return Place(column, stored_type(dtype), index, matched.out_of_range == "missing")

    def _find_link(self, collection: str, names: Sequence[str], columns: dict[str, Column]) -> Link:
        origin = self._collections[collection].tree
        if not names:
            raise JetmillError(
                f"{self._tree.path}: constituents.{collection} reads no variable of the tree, which says how many there"
                " are"
            )
        if origin.links is not None:
            own = list(filter(self._in(origin.links), columns.values()))
            linked = [c for c in columns.values() if c not in own]
            index = None if origin.index is None else self._index(origin.links, origin.index)
            target = origin.branches or collection
            if index is not None and not linked and not any(map(self._in(target), self._tree.spellings.values())):
                raise self._tree.missing([f"{target}_{names[0]}"])
            if linked and index is None:
                raise JetmillError(
                    f"{self._tree.path}: '{linked[0]}' is not in the table '{origin.links}';"
                    f" constituents.{collection}.tree.index must say which branch of it points there"
                )
            return IndexLists(self._index(origin.links, origin.jet_index), index, own, linked)
        if origin.element_links is not None:
            links = self._column_of_jets(origin.element_links)
            held = self._tree.held(links)
            if held.depth != 2 or not {"m_persKey", "m_persIndex"} <= set(held.fields):
                raise self._tree.wrong(links, "is not a list of ElementLinks for each jet")
            return ElementLinks(links, list(dict.fromkeys(columns.values())))
        return Nested(columns)

    def _columns_of_constituents(self, collection: str, names: Sequence[str]) -> dict[str, Column]:
        """Return the column of each variable of a collection: of its own table, or of that of the links."""
        settings = self._collections[collection]
        origin = settings.tree
        nested = origin.links is None and origin.element_links is None
        what = f"one number per {'constituent' if nested else 'element'}"
        found = {}
        for name in names:
            if name in settings.aliases:
                column = self._aliased(f"constituents.{collection}", settings.aliases, name)
            else:
                column = self._branch([origin.branches or collection, *([origin.links] if origin.links else [])], name)
            self._numbers(column, what)
            if self._tree.held(column).depth != (2 if nested and self.on_event else 1):
                raise self._tree.wrong(column, f"is not {what}")
            found[name] = column
        return found

    def _aliased(self, section: str, aliases: Mapping[str, str], name: str) -> Column:
        """Return the column that an alias means, or raise."""
        if (column := self._tree.find(aliases[name])) is None:
            raise self._tree.missing([aliases[name]], f"{section}.aliases.{name}")
        return column

    def _numbers(self, column: Column, expected: str) -> np.dtype:
        """Return the type of the numbers that a column holds, or raise if they are none."""
        if (dtype := self._tree.held(column).dtype) is None:
            raise self._tree.wrong(column, f"is not {expected}")
        return dtype

    def _index(self, table: str, name: str) -> Column:
        """Return a column of a table that holds an index for each row, or raise."""
        column = self._branch([table], name)
        self._check_index(column, "one integer per link")
        return column

    def _check_index(self, column: Column, expected: str) -> None:
        if self._numbers(column, expected).kind not in "iu" or self._tree.held(column).depth != 1:
            raise self._tree.wrong(column, f"is not {expected}")

    def _in_table(self, table: str, name: str) -> Column | None:
        """Return the column of a variable of a table, if there is one."""
        known = self._tree.spellings
        return next((known[spelling] for spelling in names_in_table(table, name) if spelling in known), None)

    def _branch(self, tables: Sequence[str], name: str) -> Column:
        """Return the column of a variable in the first of some tables that has one, or raise; "" is the tree itself."""
        for table in tables:
            column = self._in_table(table, name) if table else self._tree.spellings.get(name)
            if column is not None:
                return column
        raise self._tree.missing([f"{table}_{name}" if table else name for table in tables])

    def _in(self, table: str) -> Callable[[Column], bool]:
        """Return whether the name of a column is that of one of a table."""
        return lambda column: str(column).rpartition("/")[2].startswith(tuple(f"{table}{between}" for between in "_.:"))
