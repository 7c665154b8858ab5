"""What a branch holds, for every way in which uproot reads one."""

import numpy as np
import pytest
import uproot

from jetmill.sources.trees.held import held_by

LEAVES = [("pt", ">f4"), ("eta", ">f8")]


def entry(interpretation):
    return interpretation.awkward_form(None).type


@pytest.mark.parametrize(
    ("interpretation", "depth", "fixed", "dtype"),
    [
        (uproot.AsDtype(">f4"), 0, False, "f4"),
        (uproot.AsDtype(">f4", "f8"), 0, False, "f8"),
        (uproot.AsDtype("bool"), 0, False, "?"),
        (uproot.AsDtype("u1"), 0, False, "u1"),
        (uproot.AsDtype((">i8", (3,))), 1, True, "i8"),
        (uproot.AsDtype((">i8", (3, 2))), 2, True, "i8"),
        (uproot.AsDouble32(0, 10, 12), 0, False, "f8"),
        (uproot.AsFloat16(0, 10, 12), 0, False, "f4"),
        (uproot.AsJagged(uproot.AsDtype(">u2")), 1, False, "u2"),
        (uproot.AsJagged(uproot.AsDtype((">u2", (5,)))), 2, True, "u2"),
        (uproot.AsDtype(LEAVES), 0, False, None),
        (uproot.AsJagged(uproot.AsDtype(LEAVES)), 1, False, None),
        (uproot.AsStrings(), 0, False, None),
    ],
    ids=str,
)
def test_what_a_branch_holds(interpretation, depth, fixed, dtype):
    held = held_by(entry(interpretation))
    assert (held.depth, held.fixed) == (depth, fixed)
    assert held.dtype == dtype if dtype is None else held.dtype == np.dtype(dtype)


def test_the_members_of_a_struct_have_names():
    assert held_by(entry(uproot.AsJagged(uproot.AsDtype(LEAVES)))).fields == ["pt", "eta"]
    assert held_by(entry(uproot.AsDtype(">f4"))).fields == []
