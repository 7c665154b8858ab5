"""Section ``split``: training, validation and test."""

from typing import Annotated, Any

from annotated_types import Ge, Le

from jetmill.settings.types import Before, Expr, Fraction, OneOf, parses, section
from jetmill.splitting import CONDITION, NUMBER, RULES, SHARE, Rule, kind_of

# A text is an expression, and errors in it are reported as such.
WhichJets = Annotated[Fraction | tuple[int, ...] | Expr, Before(lambda x: parses(x) if isinstance(x, str) else x)]


@section
class Split:
    """How jets are divided into training, validation and test."""

    by: Annotated[str, OneOf("jetmill.splitting", "RULES")] = "event"
    """The rule that says which jet goes where."""
    test: WhichJets = 0.2
    """Share of the jets for testing; with modulo, a list of remainders; with expression, a condition."""
    val: WhichJets = 0.1
    """Share of the remaining jets for validation; with modulo, a list of remainders; with expression, a condition."""
    modulo: Annotated[int, Ge(2), Le(10_000)] | None = None
    """Divisor of the event number (by: modulo), at most 10,000."""

    def __post_init__(self) -> None:
        takes = self.rule.takes
        given = {"test": kind_of(self.test), "val": kind_of(self.val)} | ({"modulo": NUMBER} if self.modulo else {})
        # A share may be the default of a key that a rule does not take.
        if takes != {key: kind for key, kind in given.items() if key in takes or kind != SHARE}:
            raise ValueError(f"by: {self.by} takes {', '.join(f'{key} ({what})' for key, what in takes.items())}")
        if self.rule.check is not None:
            self.rule.check(**self.keys)

    @property
    def rule(self) -> Rule:
        """The rule that splits."""
        return RULES[self.by]

    @property
    def keys(self) -> dict[str, Any]:
        """The keys that the rule takes."""
        return {key: getattr(self, key) for key in self.rule.takes}

    @property
    def conditions(self) -> dict[str, str]:
        """Those that are expressions."""
        return {key: getattr(self, key) for key, kind in self.rule.takes.items() if kind == CONDITION}
