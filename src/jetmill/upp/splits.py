"""Training, validation and test of UPP: cuts of each split, often on remainders of the event number."""

from collections.abc import Mapping
from typing import Any

from jetmill.errors import JetmillError, nearest
from jetmill.splitting import SPLITS
from jetmill.upp.cuts import Cut, Remainders, as_cuts
from jetmill.upp.notes import Notes
from jetmill.variables.ftag import all_cuts

EVENT = "eventNumber"


def split_cuts(cuts: Mapping[str, Any]) -> tuple[dict[str, list[Cut]], list[Cut]]:
    """Return the cuts of each split that not all of them have, and those that all have.

    Parameters
    ----------
    cuts
        The section ``global_cuts`` of UPP.

    Raises
    ------
    JetmillError
        If a split is not there.
    """
    for name in SPLITS:
        if name not in cuts:
            raise JetmillError(f"global_cuts: has no {name}.{nearest(name, map(str, cuts))}")
    splits = {name: as_cuts(f"global_cuts.{name}", cuts[name]) for name in SPLITS}
    shared = [cut for cut in splits["train"] if all(cut in of_split for of_split in splits.values())]
    common = [*as_cuts("global_cuts.common", cuts.get("common") or []), *shared]
    return {name: [cut for cut in of_split if cut not in shared] for name, of_split in splits.items()}, common


def split_section(splits: Mapping[str, list[Cut]], *, by: str, notes: Notes) -> tuple[dict[str, Any], list[str]]:
    """Return the section ``split``, and what drops the jets that are in no split.

    Parameters
    ----------
    splits
        See `split_cuts`.
    by
        How to split if UPP does not.
    """
    if not any(splits.values()):
        notes.differs("global_cuts", "train, val and test are the same jets in UPP; here each jet is in one of them")
        return {"by": by, "test": 0.1, "val": 0.1}, []
    left_out = True
    if Remainders.decide(splits):
        remainders = Remainders(splits)
        found = list(remainders.combinations())
        if any(len(names) > 1 for _, names in found):
            notes.differs("global_cuts", "some jets are in two splits in UPP; here test comes first, then val")
        left_out = any(not names for _, names in found)
        if list(remainders.moduli) == [EVENT]:
            return _by_modulo(remainders.moduli[EVENT], [(r[EVENT], names) for r, names in found])
    texts = {name: all_cuts(cuts) if cuts else "1 == 1" for name, cuts in splits.items()}
    dropped = [" | ".join(f"({text})" for text in texts.values())] if left_out else []
    return {"by": "expression", "val": texts["val"], "test": texts["test"]}, dropped


def _by_modulo(modulo: int, found: list[tuple[int, list[str]]]) -> tuple[dict[str, Any], list[str]]:
    test = [r for r, names in found if "test" in names]
    val = [r for r, names in found if "val" in names and r not in test]
    without = [r for r, names in found if not names]
    dropped = [f"{EVENT} % {modulo} != {r}" for r in without]
    return {"by": "modulo", "modulo": modulo, "val": val, "test": test}, dropped
