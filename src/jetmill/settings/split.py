"""Section ``split``: training, validation and test."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from jetmill.settings.types import Fraction, section


@section
class Split:
    """How jets are divided into training, validation and test."""

    by: Literal["event", "jet", "modulo"] = "event"
    """event: by a hash of the seed and the values of input.event_id, so that the jets of an event stay together in all
    files and samples. jet: by scikit-learn's train_test_split, applied twice to each batch; jets of one event, or the
    same jet in two files, may end up in different splits. modulo: by the remainder of the event number, from 0 to
    modulo - 1 for negative numbers too."""
    test: Fraction | tuple[int, ...] = 0.2
    """Share of the jets for testing; with modulo, a list of remainders."""
    val: Fraction | tuple[int, ...] = 0.1
    """Share of the remaining jets for validation; with modulo, a list of remainders."""
    modulo: Annotated[int, Ge(2), Le(10_000)] | None = None
    """Divisor of the event number (by: modulo), at most 10,000."""

    def __post_init__(self) -> None:
        lists = [not isinstance(x, int | float) for x in (self.test, self.val)]
        if self.by != "modulo":
            if any(lists) or self.modulo is not None:
                raise ValueError(f"by: {self.by} takes two shares, test and val, and no modulo")
            return
        if self.modulo is None or not all(lists):
            raise ValueError("by: modulo takes modulo, and test and val as lists of remainders")
        remainders = [*self.test, *self.val]  # type: ignore[misc]
        if len(set(remainders)) < len(remainders) or not all(0 <= r < self.modulo for r in remainders):
            raise ValueError(f"test and val take different remainders from 0 to {self.modulo - 1}")
