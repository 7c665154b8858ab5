"""Go through values that come in blocks, in two passes if need be, as the fit_scalers stage does."""

from collections.abc import Callable, Iterable

import numpy as np

from jetmill.scaling.moments import Accumulator, Statistics
from jetmill.scaling.quartiles import Quartiles

Blocks = Callable[[], Iterable[np.ndarray]]


def statistics_of(blocks: Blocks, *, log: bool, quartiles: bool) -> Statistics:
    found = Accumulator(log=log, quartiles=quartiles)
    for values in blocks():
        found.add(values)
    if found.look_closer():
        for values in blocks():
            found.add_again(values)
    return found.result()


def exact_quartiles(blocks: Blocks) -> tuple[float, float, float]:
    found = Quartiles()
    for values in blocks():
        found.add(values)
    found.look_closer()
    for values in blocks():
        found.add_again(values)
    return found.result()
