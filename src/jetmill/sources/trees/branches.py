"""What the entries of a branch of a tree hold, as uproot reads it."""

from dataclasses import dataclass
from functools import cached_property

import awkward as ak
import numpy as np
import uproot
from uproot.interpretation.identify import UnknownInterpretation
from uproot.interpretation.objects import CannotBeAwkward

# Errors of uproot for types that it cannot read.
UNKNOWN = (UnknownInterpretation, CannotBeAwkward, NotImplementedError)


@dataclass(frozen=True)
class Held:
    """What an entry holds.

    Attributes
    ----------
    depth
        0 for a value, 1 for a list of values, 2 for a list of lists.
    fixed
        Whether the lists of a level have a length that the branch fixes, as in ``Tau[5]``.
    value
        Type of the values.
    """

    depth: int
    fixed: bool
    value: ak.types.Type

    @cached_property
    def dtype(self) -> np.dtype | None:
        """Type of the values, None if they are not numbers: float64 for ROOT's ``Double32_t``."""
        if not isinstance(self.value, ak.types.NumpyType) or self.value.parameters:
            return None
        dtype = np.dtype(self.value.primitive)
        return dtype if dtype.kind in "fiub" else None

    @property
    def fields(self) -> set[str]:
        """Names of the members, if the values are objects or structs."""
        return set(self.value.fields) if isinstance(self.value, ak.types.RecordType) else set()


def held_by(branch: uproot.TBranch) -> Held:
    """Return what the entries of a branch hold, without reading it.

    Raises
    ------
    Exception
        One of `UNKNOWN` if uproot does not know how to read the branch, any other if the file is damaged.
    """
    value = branch.interpretation.awkward_form(branch.file).type
    depth, fixed = 0, False
    # Text is a list of characters, marked by a parameter.
    while isinstance(value, ak.types.ListType | ak.types.RegularType) and not value.parameters:
        fixed |= isinstance(value, ak.types.RegularType)
        value, depth = value.content, depth + 1
    return Held(depth, fixed, value)
