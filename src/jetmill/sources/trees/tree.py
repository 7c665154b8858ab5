"""What TTrees and RNTuples have in common: columns that have names, and are read some entries at a time."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import awkward as ak

from jetmill.errors import JetmillError, first_line, nearest_quantity
from jetmill.sources.chunk import MissingVariableError
from jetmill.sources.trees.columns import Column, spellings_of
from jetmill.sources.trees.held import Held, held_by
from jetmill.sources.trees.lists import Lists

# Not even zeros are compressed by this factor.
MOST_COMPRESSED = 2**16

Arrays = Mapping[Column, Lists]


class Tree(ABC):
    """A TTree or an RNTuple of an open file.

    Attributes
    ----------
    path
        The file.
    name
        Name of the tree.
    num_entries
        Number of its entries.
    spellings
        What each of its columns can be called, but for parts of them.
    """

    def __init__(self, path: str, name: str, num_entries: int, columns: Iterable[Column]):
        self.path, self.name, self.num_entries = path, name, num_entries
        self.spellings = spellings_of(columns)
        self._held: dict[Column, Held] = {}

    # What is raised for a type that uproot does not know how to read.
    unknown: tuple[type[Exception], ...] = (NotImplementedError,)

    @abstractmethod
    def entry_type(self, column: Column) -> ak.types.Type:
        """Return the type of an entry of the whole branch; raises one of `unknown`."""

    @abstractmethod
    def typename(self, column: Column) -> str:
        """Return what ROOT calls the type of the branch."""

    @abstractmethod
    def read(self, columns: Sequence[Column], file_bytes: int, chunk_bytes: int) -> Iterator[tuple[int, Arrays]]:
        """Return an iterator over all entries, about `chunk_bytes` at a time: their number and their columns.

        Raises
        ------
        ValueError
            At once if the numbers in the tree are impossible for a file of so many bytes.
        """

    def counter(self, column: Column) -> Column | None:  # noqa: ARG002
        """Return the branch that holds the lengths of the lists of another one, if there is one."""
        return None

    def find(self, text: str) -> Column | None:
        """Return the column that a text means, ``Jet.Tau[0]`` or ``p4.fE`` for instance; None if there is none."""
        if text in self.spellings:
            return self.spellings[text]
        if part := re.fullmatch(r"(.+)\[(\d{1,9})\]", text):
            whole = self.find(part[1])
            return None if whole is None else whole.element(int(part[2]))
        head, _, member = text.rpartition(".")
        whole = self.find(head) if head else None
        return None if whole is None or member not in self.held(whole).fields else whole.member(member)

    def held(self, column: Column) -> Held:
        """Return what a column holds.

        Raises
        ------
        JetmillError
            If uproot cannot read it, or it is an element that there is not.
        """
        if column not in self._held:
            try:
                self._held[column] = held_by(self.entry_type(column), column.members, column.elements)
            except self.unknown as error:
                raise self.wrong(column, f"cannot be read ({first_line(error)})") from error
            except LookupError as error:
                raise self.wrong(column, str(error.args[0])) from None
        return self._held[column]

    def take(self, column: Column, entries: ak.Array) -> Lists:
        """Return a column, given entries of its branch; raises JetmillError for lists without the element."""
        try:
            return Lists.of(column.take(entries))
        except LookupError as error:
            raise self.wrong(column, str(error.args[0])) from None

    def wrong(self, column: Column, what: str) -> JetmillError:
        """Return an error that names a branch and its type."""
        return JetmillError(f"{self.path}: branch '{column}' ({self.typename(column)}) {what}")

    def missing(self, names: Sequence[str], key: str = "") -> MissingVariableError:
        """Return an error for a branch that has none of some names, which a key of the configuration may give."""
        head = names[0].rpartition(".")[0]
        whole = self.find(head)
        members = [] if whole is None else self.held(whole).fields
        # Of that name in another table, as 'EventInfoAuxDyn.eventNumber' for eventNumber, if it is in one alone.
        elsewhere = {str(column) for name, column in self.spellings.items() if re.split("[./:]", name)[-1] == names[-1]}
        if members:
            hint = f" '{head}' has {', '.join(members)}"
        elif len(elsewhere) == 1:
            hint = f" There is '{elsewhere.pop()}', which may be another quantity."
        else:
            hint = nearest_quantity(names, self.spellings)
        quoted = " or ".join(f"'{name}'" for name in dict.fromkeys(names))
        given = f", as {key} says" if key else ""
        return MissingVariableError(f"{self.path}: tree '{self.name}' has no branch {quoted}{given}.{hint}")
