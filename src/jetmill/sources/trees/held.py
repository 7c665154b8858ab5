"""What the entries of a branch of a tree hold, or of a part of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import awkward as ak
import numpy as np


@dataclass(frozen=True)
class Held:
    """What an entry holds: a value, a list of values, a list of lists.

    Attributes
    ----------
    lists
        The levels of lists, each with its length if the branch fixes it, as in ``Tau[5]``, or None.
    value
        Type of the values.
    """

    lists: tuple[int | None, ...]
    value: ak.types.Type

    @property
    def depth(self) -> int:
        """0 for a value, 1 for a list of values, 2 for a list of lists."""
        return len(self.lists)

    @property
    def fixed(self) -> bool:
        """Whether the lists of a level have a length that the branch fixes."""
        return any(size is not None for size in self.lists)

    @cached_property
    def dtype(self) -> np.dtype | None:
        """Type of the values, None if they are not numbers: float64 for ROOT's ``Double32_t``."""
        if not isinstance(self.value, ak.types.NumpyType) or self.value.parameters:
            return None
        dtype = np.dtype(self.value.primitive)
        return dtype if dtype.kind in "fiub" else None

    @property
    def fields(self) -> list[str]:
        """Names of the members, if the values are objects or structs."""
        return list(self.value.fields) if isinstance(self.value, ak.types.RecordType) else []


def held_by(entry: ak.types.Type, members: Sequence[str] = (), elements: Sequence[int | None] = ()) -> Held:
    """Return what the entries of a branch hold, given their type.

    Parameters
    ----------
    members
        Members that are taken of an object, of that member, and so on.
    elements
        Elements that are taken of the innermost lists; None for the only one.

    Raises
    ------
    LookupError
        If there is no such member, or no such element.
    """
    lists, wanted = [], list(members)
    while True:
        # Text is a list of characters with a parameter that says so.
        if isinstance(entry, ak.types.ListType | ak.types.RegularType) and not entry.parameters:
            lists.append(entry.size if isinstance(entry, ak.types.RegularType) else None)
            entry = entry.content
        elif wanted and isinstance(entry, ak.types.RecordType):
            entry = entry.content(wanted.pop(0))
        else:
            break
    if wanted:
        raise LookupError(f"has no member '{wanted[0]}'")
    for element in reversed(elements):
        if not lists:
            raise LookupError("is not a list")
        size = lists.pop()
        if size is not None and (element or 0) >= size:
            raise LookupError(f"has {size} elements, [0] to [{size - 1}]")
    return Held(tuple(lists), entry)
