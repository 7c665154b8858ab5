"""What cuts of UPP say: ranges of variables, and remainders of integers."""

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from jetmill.errors import JetmillError
from jetmill.variables.ftag import divisor_of

Cut = tuple[Any, ...]
Range = tuple[float, float]
WHOLE: Range = (-math.inf, math.inf)
COMPARISONS = {"==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge}
# Remainders that are looked at one by one.
MAX_COMBINATIONS = 1_000_000


def as_cuts(place: str, cuts: Any) -> list[Cut]:
    """Return a list of cuts ``[variable, operator, value]``, each once.

    Raises
    ------
    JetmillError
        If it is no such list.
    """
    if not isinstance(cuts, list):
        raise JetmillError(f"{place}: must be a list of cuts")
    found = [tuple(cut.split(maxsplit=2)) if isinstance(cut, str) else cut for cut in cuts]
    for cut in found:
        if not isinstance(cut, list | tuple) or len(cut) != 3:
            raise JetmillError(f"{place}: '{cut}' is not a cut [variable, operator, value]")
    return list(dict.fromkeys(tuple(_hashable(part) for part in cut) for cut in found))


def variables_of(cuts: Sequence[Cut]) -> list[str]:
    """Return the variables of cuts, each once."""
    return list(dict.fromkeys(str(cut[0]) for cut in cuts))


def ranges(cuts: Sequence[Cut]) -> tuple[dict[str, Range], list[Cut]]:
    """Return the range of each variable that cuts leave, and the cuts that are no limits of a range."""
    found: dict[str, Range] = {}
    others = []
    for cut in cuts:
        variable, sign, value = cut
        low, high = found.get(variable, WHOLE)
        if sign in (">", ">=") and isinstance(value, int | float):
            found[variable] = (max(low, value), high)
        elif sign in ("<", "<=") and isinstance(value, int | float):
            found[variable] = (low, min(high, value))
        else:
            others.append(cut)
    return found, others


class Remainders:
    """Splits that are decided by remainders of integers alone.

    Attributes
    ----------
    moduli
        Variable to the modulus of its remainders.
    """

    def __init__(self, splits: Mapping[str, Sequence[Cut]]):
        self._splits = splits
        self.moduli: dict[str, int] = {}
        for cuts in splits.values():
            for variable, sign, _ in cuts:
                divisor = divisor_of(sign)
                self.moduli[variable] = math.lcm(self.moduli.get(variable, 1), divisor[0] if divisor else 1)

    @staticmethod
    def decide(splits: Mapping[str, Sequence[Cut]]) -> bool:
        """Say whether they decide these splits."""
        cuts = [cut for of_split in splits.values() for cut in of_split]
        found = bool(cuts) and all(divisor_of(sign) and isinstance(value, int) for _, sign, value in cuts)
        return found and math.prod(Remainders(splits).moduli.values()) <= MAX_COMBINATIONS

    def combinations(self) -> Iterator[tuple[dict[str, int], list[str]]]:
        """Yield remainders of the variables, and the splits that jets with them are in."""
        for numbers in product(*map(range, self.moduli.values())):
            remainders = dict(zip(self.moduli, numbers, strict=True))
            yield remainders, [name for name, cuts in self._splits.items() if self._pass(remainders, cuts)]

    @staticmethod
    def _pass(remainders: Mapping[str, int], cuts: Sequence[Cut]) -> bool:
        for variable, sign, value in cuts:
            divisor = divisor_of(sign)
            if divisor and not COMPARISONS[divisor[1]](remainders[variable] % divisor[0], value):
                return False
        return True


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
