"""Section ``split``: training, validation and test."""

from typing import Annotated, Any

from annotated_types import Ge, Le

from jetmill.settings.types import Before, Expr, Fraction, OneOf, parses, section
from jetmill.splitting import (
    CONDITION,
    EACH_ITS_OWN,
    FOLDS,
    FOLDS_BY,
    NUMBER,
    REMAINDER,
    RULES,
    SHARE,
    SPLITS,
    Groups,
    Rule,
    groups_of_fold,
    kind_of,
)


def _share_or_expression(value: Any) -> Any:
    """Read a number, which is a text on Snakemake's command line, or else an expression, whose errors are reported."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return parses(value)


WhichJets = Annotated[Fraction | tuple[int, ...] | Expr, Before(_share_or_expression)]


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
    folds: Annotated[int, Ge(3), Le(100)] | None = None
    """Number of folds, 3 to 100, instead of test and val. Each has its own results in fold_0, fold_1, ... below
    output_dir: fold k is for testing, the next one (fold 0 after the last) for validation, all others for training.
    Jets of one event are in one fold, which is a hash of the event as for by: event."""
    fold_by: Expr | None = None
    """Integer expression of variables of the jet whose remainder modulo folds is the fold, instead of the hash of the
    event, such as jetFoldHash or event // 10."""

    def __post_init__(self) -> None:
        if self.fold_by is not None and self.folds is None:
            raise ValueError("fold_by needs folds, the number of folds")
        if self.folds is not None:
            others = [key for key in ("by", "test", "val", "modulo") if getattr(self, key) != getattr(Split, key)]
            if others:
                raise ValueError(f"folds are by: event, or by the expression fold_by, and take no {others[0]}")
            return
        takes = self.rule.takes
        given = {"test": kind_of(self.test), "val": kind_of(self.val)} | ({"modulo": NUMBER} if self.modulo else {})
        # A share may be the default of a key that a rule does not take.
        if takes != {key: kind for key, kind in given.items() if key in takes or kind != SHARE}:
            raise ValueError(f"by: {self.by} takes {', '.join(f'{key} ({what})' for key, what in takes.items())}")
        if self.rule.check is not None:
            self.rule.check(**self.keys)

    @property
    def rule(self) -> Rule:
        """The rule that splits, or finds the fold of each jet."""
        if self.folds is None:
            return RULES[self.by]
        return FOLDS if self.fold_by is None else FOLDS_BY

    @property
    def keys(self) -> dict[str, Any]:
        """The keys that the rule takes."""
        return {key: getattr(self, key) for key in self.rule.takes}

    @property
    def conditions(self) -> dict[str, str]:
        """Those that are conditions."""
        return self._of_kind(CONDITION)

    @property
    def remainders(self) -> dict[str, str]:
        """Those that are integers, as expressions of their remainders."""
        return {key: f"({text}) % {self.folds}" for key, text in self._of_kind(REMAINDER).items()}

    def _of_kind(self, kind: str) -> dict[str, str]:
        return {key: getattr(self, key) for key, found in self.rule.takes.items() if found == kind}

    @property
    def expressions(self) -> dict[str, str]:
        """Those that are expressions of variables of the jet."""
        return self.conditions | self.remainders

    @property
    def group_names(self) -> tuple[str, ...]:
        """What the rule divides jets into: splits, or folds."""
        return SPLITS if self.folds is None else tuple(f"fold_{k}" for k in range(self.folds))

    @property
    def results(self) -> dict[str, Groups]:
        """Directories of results below that of the run ("": itself), and which groups the splits are made of there."""
        if self.folds is None:
            return {"": EACH_ITS_OWN}
        return {name: groups_of_fold(k, self.folds) for k, name in enumerate(self.group_names)}
